"""Mask R-CNN: its graph, what it learns from, and how. Its counts and rows are in test_zoo.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns import mask_rcnn, resnet18
from keras_cnns.data.boxes import size_among_objects
from keras_cnns.data.detection import digit_boxes
from keras_cnns.detection import MaskRCNNTraining
from keras_cnns.weights import load_layers

TINY = {"classes": 10, "trunk": "resnet18", "proposals": 20}


@pytest.fixture(scope="module")
def pages():
    """Two pages of digits, their objects with the page's size behind, and the masks of their ink."""
    images = digit_boxes("train")
    pixels, objects = (each[:2] for each in images.arrays)
    masks = np.zeros((2, 9, 56, 56), "uint8")
    for page, number in np.ndindex(2, 9):
        x1, y1, x2, y2 = objects[page, number, :4].astype(int)
        ink = pixels[page, y1:y2, x1:x2, :1] >= 64
        masks[page, number] = tf.image.resize(255 * ink.astype("uint8"), (56, 56), "nearest")[..., 0]
    sized = [size_among_objects((image, rows), None)[1] for image, rows in zip(pixels, objects, strict=True)]
    return pixels.astype("float32") - 128, np.stack(sized), masks


POOL = {"roi_operation": "pool", "mask_activation": "softmax"}


@pytest.mark.slow
@pytest.mark.parametrize(("neck", "choice"), [("fpn", {}), ("c4", POOL)], ids=["fpn", "c4-pool"])
def test_every_weight_learns(neck, choice, pages):
    keras.utils.set_random_seed(0)
    model = mask_rcnn(neck=neck, **TINY, **choice)
    training = MaskRCNNTraining(model, rois=16, before=100, after=50)
    training.compile(keras.optimizers.SGD())
    with tf.GradientTape() as tape:
        losses = training.losses_of(*pages)
        loss = tf.add_n(list(losses.values()))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    assert set(losses) == {"rpn_loss", "box_loss", "mask_loss"}
    pairs = zip(model.trainable_weights, gradients, strict=True)
    without = {weight.path for weight, gradient in pairs if gradient is None or not np.abs(gradient).max() > 0}
    # The anchors of P4 and P5, of 128 and 256 pixels, all cross the border of a page of 96, and no digit is so large.
    idle = {f"fpn_out{level}/{kind}" for level in (4, 5) for kind in ("kernel", "bias")}
    assert without == (idle if neck == "fpn" else set())
    assert np.isfinite(loss) and all(value > 0 for value in losses.values())
    # Of masks, a pixel between two is as good as a coin's throw: log 2; with softmax one of 11 channels.
    expected = np.log(11) if choice else np.log(2)
    assert float(losses["mask_loss"]) == pytest.approx(expected, rel=0.2)


@pytest.mark.slow
def test_a_scaled_loss_moves_the_weights_as_far(pages):
    """As in float16, where Keras puts a `LossScaleOptimizer` around the optimizer."""
    moved = []
    for wrap in (lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer):
        keras.utils.set_random_seed(0)
        model = mask_rcnn(**TINY)
        training = MaskRCNNTraining(model, rois=16, before=100, after=50)
        training.compile(wrap(keras.optimizers.SGD(1e-3)))
        before = model.get_layer("mask_head").get_weights()
        images, *objects = pages
        training.train_step((images, tuple(objects)))
        after = model.get_layer("mask_head").get_weights()
        moved.append(np.array([np.abs(new - old).max() for new, old in zip(after, before, strict=True)]))
    assert moved[0].max() > 0
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-2, atol=1e-7)


@pytest.mark.slow
def test_what_is_found_lies_in_its_image(pages):
    """Of a page in a larger batch; what is behind the number found is zeros."""
    model = mask_rcnn(**TINY)
    padded = np.pad(pages[0], [(0, 0), (0, 40), (0, 60), (0, 0)])
    found = model([padded, np.float32([[96, 96], [60, 50]])])
    every, scores, _, masks = (each.numpy() for each in found)
    for number, (height, width) in enumerate([(96, 96), (60, 50)]):
        boxes, count = every[number], np.count_nonzero(scores[number])
        assert (boxes >= 0).all() and (boxes <= np.tile([width, height], 2)).all() and not boxes[count:].any()
    assert masks.shape == (2, 100, 28, 28) and masks.min() >= 0 and masks.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_saved_and_loaded_it_is_the_same(neck, pages, save_and_load):
    model = mask_rcnn(neck=neck, **TINY)
    again, inputs = save_and_load(model), [pages[0][:1], np.full((1, 2), 96, "float32")]
    for ours, theirs in zip(model(inputs), again(inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_trunk_starts_from_a_classifier(pages):
    classifier, model = resnet18(input_shape=(None, None, 3), classes=10), mask_rcnn(**TINY)
    taken = load_layers(model.get_layer("features"), classifier)
    assert len(taken) == 40 and "fc1000" not in taken  # 20 convolutions and as many normalisations
    maps = keras.Model(classifier.inputs, classifier.get_layer("res5b_relu").output)(pages[0])
    lateral = model.get_layer("features").get_layer("fpn_lateral5")
    ours = keras.Model(model.get_layer("features").inputs, lateral.input)(pages[0])
    np.testing.assert_allclose(ours, maps, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_boxes_and_masks_are_float32_under_mixed_precision(pages):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = mask_rcnn(**TINY)
    finally:
        keras.config.set_dtype_policy("float32")
    found = model([pages[0][:1], np.full((1, 2), 96, "float32")])
    assert [each.dtype.name for each in found] == ["float32", "float32", "int32", "float32"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neck": "c5"}, "neck is 'c5'"),
        ({"trunk": "vgg16"}, "trunk is 'vgg16'"),
        ({"roi_operation": "warp"}, "roi_operation is 'warp'"),
        ({"mask_activation": "tanh"}, "mask_activation is 'tanh'"),
        ({"classes": 0}, "classes is 0"),
        ({"input_shape": (16, 100, 3)}, "at least 17 pixels"),
    ],
)
def test_what_it_is_not_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mask_rcnn(**arguments)
