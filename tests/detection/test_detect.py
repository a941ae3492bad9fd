"""What is found in photographs: by a detector whose answers are worked out by hand."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.detection import detect, draw_boxes, draw_masks, selective_search
from keras_cnns.layers import Preprocessing
from tests.detection.small import (
    BOXES,
    FOUND,
    IN_THE_CELL,
    LABELS,
    PROPOSED,
    SCORES,
    colour_detector,
    one_cell_detector,
    proposing_detector,
    red_and_blue,
)


@pytest.fixture(scope="module")
def model():
    return colour_detector()


def check(found, scale=1.0):
    assert found["boxes"].dtype == "float32" and found["labels"].dtype == "int32"
    np.testing.assert_allclose(found["boxes"], np.multiply(FOUND, scale), rtol=1e-5)
    np.testing.assert_allclose(found["scores"], SCORES, rtol=1e-5)
    assert found["labels"].tolist() == [0, 1]


def test_arrays_pictures_and_files(model, tmp_path):
    photo = red_and_blue()
    Image.fromarray(photo).save(tmp_path / "photo.png")
    images = [photo, Image.fromarray(photo).convert("RGBA"), tmp_path / "photo.png"]
    results = detect(model, images, proposals=[BOXES] * 3)
    assert len(results) == 3
    for found in results:
        check(found)


def test_boxes_are_in_the_images_own_pixels(model):
    """The network sees it twice as large, and at most 100 pixels wide: not 80x120 but 67x100."""
    photo = np.kron(red_and_blue(), np.ones((4, 4, 1), "uint8"))  # 160x240
    (found,) = detect(model, [photo], Preprocessing(None, shorter_side=80, longest_side=100), [BOXES * 4])
    check(found, 4)


def test_the_proposals_are_those_of_selective_search(model):
    photo = red_and_blue()
    (found,) = detect(model, [photo], score_threshold=0.9)
    (expected,) = detect(model, [photo], proposals=[selective_search(photo)], score_threshold=0.9)
    np.testing.assert_array_equal(found["boxes"], expected["boxes"])
    assert set(found["labels"].tolist()) == {0, 1}


def test_no_image_no_proposal_and_nothing_found(model):
    assert detect(model, []) == []
    for proposals in (np.zeros((0, 4)), BOXES[2:]):
        (found,) = detect(model, [red_and_blue()], proposals=[proposals], score_threshold=0.4)
        assert found["boxes"].shape == (0, 4) and found["scores"].shape == (0,) and found["labels"].shape == (0,)


def test_what_cannot_be_detected_is_said(model):
    photo = red_and_blue()
    with pytest.raises(ValueError, match="images is a single image"):
        detect(model, photo)
    with pytest.raises(ValueError, match="there are 1 images and proposals of 2; each image needs its own"):
        detect(model, [photo], proposals=[BOXES, BOXES])
    with pytest.raises(ValueError, match=r"proposals of image 0 have the shape \(4,\); it must be \(boxes, 4\)"):
        detect(model, [photo], proposals=[BOXES[0]])
    with pytest.raises(ValueError, match=r"preprocessing gives \(20, 20\) pixels; to detect, its size must be None"):
        detect(model, [photo], Preprocessing(20))
    classifier = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()], name="flat")
    with pytest.raises(ValueError, match=r"flat gives .* it must detect, as fast_rcnn, yolo_detector, faster_rcnn_"):
        detect(classifier, [photo])
    cell = one_cell_detector()
    with pytest.raises(ValueError, match="yolo_detector has boxes and a threshold of its own; give no proposals"):
        detect(cell, [photo], proposals=[BOXES])
    with pytest.raises(ValueError, match=r"preprocessing gives \(None, None\) pixels; .* its size must be \(20, 30\)"):
        detect(cell, [photo], Preprocessing(None))
    with pytest.raises(ValueError, match="preprocessing cuts images"):
        detect(cell, [photo], Preprocessing((20, 30), shorter_side=30))


def test_a_detector_of_one_size_sees_the_whole_photograph():
    """Stretched to its 20x30 pixels; the boxes are in the photograph's."""
    (found,) = detect(one_cell_detector(), [red_and_blue()])
    np.testing.assert_allclose(found["scores"], [score for score, _, _ in IN_THE_CELL], rtol=1e-5)
    np.testing.assert_allclose(found["boxes"], [box for _, box, _ in IN_THE_CELL], rtol=1e-5, atol=1e-4)
    assert found["labels"].tolist() == [label for _, _, label in IN_THE_CELL] and found["labels"].dtype == "int32"
    (best,) = detect(one_cell_detector(), [red_and_blue(80, 30)], score_threshold=0.15, max_outputs=2)
    np.testing.assert_allclose(best["boxes"], [[7.5, 20, 22.5, 60]] * 2, rtol=1e-5)


@pytest.mark.parametrize("preprocessing", [None, Preprocessing(None, shorter_side=80, longest_side=100)])
def test_a_detector_that_proposes_needs_photographs_alone(preprocessing):
    """The proposal without area finds nothing, though its colour is red."""
    (found,) = detect(proposing_detector(), [red_and_blue()], preprocessing)
    np.testing.assert_allclose(found["scores"], SCORES, rtol=1e-5)
    np.testing.assert_allclose(found["boxes"], PROPOSED, rtol=1e-4)
    assert found["labels"].tolist() == [0, 1]


def test_boxes_are_drawn_on_their_pixels():
    photo = np.zeros((50, 80, 3), "uint8")
    found = {"boxes": np.float32([[10, 5, 60, 45]]), "labels": np.int32([1]), "scores": np.float32([0.75])}
    drawn = np.asarray(draw_boxes(photo, found, LABELS))
    colour = drawn[44, 59]
    assert colour.any() and (drawn[44, 10:60] == colour).all() and (drawn[5:45, 59] == colour).all()
    assert not drawn[:5].any() and not drawn[45:].any() and not drawn[:, 60:].any() and not drawn[30:40, 20:50].any()
    assert not photo.any()
    del found["scores"]
    assert np.asarray(draw_boxes(photo, found, LABELS)).any()


def test_masks_are_drawn_half_transparent_under_their_boxes():
    photo = np.full((100, 160, 3), 100, "uint8")
    boxes = np.float32([[20, 20, 80, 80], [60, 50, 140, 95]])
    masks = np.zeros((2, 100, 160), bool)
    masks[0, 20:80, 20:80] = masks[1, 50:95, 60:140] = True
    found = {"boxes": boxes, "labels": np.int32([1, 1]), "masks": masks}
    boxes = np.asarray(draw_boxes(photo, found, LABELS))
    drawn = np.asarray(draw_masks(photo, found, LABELS)).astype(int)
    colour = boxes[79, 70]  # the better box's lower edge, over the other's mask
    assert (drawn[79, 70] == colour).all() and (drawn[94, 120] == colour).all()
    places = (75, 30), (90, 120), (75, 70)  # of the first, of the second, of both; the names lie higher
    first, second, both = (drawn[place] for place in places)
    np.testing.assert_array_equal(first, (100 + colour.astype(int)) // 2)
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(both, (first + colour) // 2)
    untouched = ~masks.any(axis=0) & (boxes == photo).all(axis=-1)
    assert untouched.sum() > 8000 and (drawn[untouched] == 100).all() and (photo == 100).all()
    drawn = np.asarray(draw_masks(photo, {**found, "labels": np.int32([0, 0])}, LABELS[:1])).astype(int)
    first, second, both = (drawn[place] for place in places)
    assert abs(first - second).max() > 30  # a class alone: each object has a colour
    np.testing.assert_allclose(both, (second + (2 * first - 100)) / 2, atol=1.5)  # the best on top
    with pytest.raises(ValueError, match=r"masks have the shape \(2, 9, 9\); .* must be \(2, 100, 160\)"):
        draw_masks(photo, {**found, "masks": masks[:, :9, :9]}, LABELS)
