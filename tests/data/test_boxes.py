"""Boxes stay on their pixels; proposals stand behind the objects; what a step of Fast R-CNN learns from."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digit_boxes
from keras_cnns.data.boxes import (
    draw_rois,
    jitter_objects,
    objects_and_proposals,
    pad_objects,
    random_flip_objects,
    scale_objects,
    with_proposals,
)
from keras_cnns.data.detection import truth
from tests.data.test_detection import HEIGHT, NONE, WIDTH


def spot(box, size=(HEIGHT, WIDTH)):
    """An image that is white under a box."""
    image = np.zeros((*size, 3), "uint8")
    x1, y1, x2, y2 = map(int, box)
    image[y1:y2, x1:x2] = 255
    return image


def box_of(image):
    rows, columns = (np.flatnonzero((image[..., 0] > 127).any(axis=axis)) for axis in (1, 0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_a_flip_takes_the_boxes_along():
    image, objects = spot([4, 5, 14, 25]), np.float32([[4, 5, 14, 25, 1, 1], NONE])
    seen = set()
    for key in range(20):
        flipped, moved = random_flip_objects((image, objects), tf.constant(key * 2**59, tf.uint64))
        assert box_of(flipped.numpy()) == moved[0, :4].numpy().tolist()
        assert moved[0, 4:].numpy().tolist() == [1, 1] and moved[1].numpy().tolist() == NONE
        seen.add(float(moved[0, 0]))
    assert seen == {4.0, WIDTH - 14.0}


@pytest.mark.parametrize(
    ("size", "scaled"), [((30, 40), (60, 80)), ((10, 40), (25, 100)), ((80, 60), (80, 60))], ids=str
)
def test_scaling_takes_the_boxes_along_and_stops_at_the_longest_side(size, scaled):
    """The shorter side to 60, the longer one to 100 at most; and then padded to 100 x 100."""
    image, objects = spot([4, 4, 20, 8], size), np.float32([[4, 4, 20, 8, 0, 0], NONE])
    image, objects = scale_objects(60, 100)((image, objects), None)
    assert image.shape == (*scaled, 3)
    factor = scaled[0] / size[0]
    np.testing.assert_allclose(objects[0], [4 * factor, 4 * factor, 20 * factor, 8 * factor, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(box_of(image.numpy()), objects[0, :4], atol=1)
    assert objects[1].numpy().tolist() == NONE
    padded, same = pad_objects(100, 100)((image, objects), None)
    assert padded.shape == (100, 100, 3) and (padded.numpy()[scaled[0] :] == 0).all()
    np.testing.assert_array_equal(padded[: scaled[0], : scaled[1]], image)
    np.testing.assert_array_equal(same, objects)


def test_jitter_of_nothing_stretches_the_image_and_its_boxes():
    image = np.zeros((20, 40, 3), "uint8")
    image[5:10, 10:30] = 255
    objects = np.float32([[10, 5, 30, 10, 1, 0], NONE])
    moved, boxes = jitter_objects(0.0, 40, 40)((tf.constant(image), tf.constant(objects)), tf.constant(3, tf.uint64))
    assert moved.shape == (40, 40, 3) and moved.dtype == tf.uint8
    assert boxes.numpy().tolist() == [[10, 10, 30, 20, 1, 0], NONE]
    assert (moved.numpy()[11:19, 10:30] == 255).all() and moved.numpy().astype(bool).any(axis=(1, 2)).sum() <= 12


def test_jittered_boxes_stay_on_their_pixels():
    """A white rectangle is found where its box says, whatever the part; what is outside is black, or no box."""
    gone = 0
    for key in range(40):
        image = np.full((60, 80, 3), 100, "uint8")
        image[0:6, 30:50] = 255
        objects = np.float32([[30, 0, 50, 6, 0, 0]])
        pair = tf.constant(image), tf.constant(objects)
        moved, boxes = jitter_objects(0.2, 120, 160)(pair, tf.constant(key, tf.uint64))
        white = moved.numpy()[..., 0] > 180
        if boxes[0, 4] < 0:
            gone += 1
            assert not white.any()
            continue
        x1, y1, x2, y2 = boxes[0, :4].numpy()
        if not white.any():
            assert y2 - y1 < 2
            continue
        rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
        np.testing.assert_allclose([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], [x1, y1, x2, y2], atol=1.6)
    assert 0 < gone < 20  # a part begins as far as 12 rows down


@pytest.fixture
def proposed():
    """Two pages of digits with four proposals each at most, of which the second page has one."""
    boxes = {
        "digits-test[0]": np.float32([[0, 0, 28, 28], [30, 30, 50, 50], [1, 2, 3, 4], [9, 9, 20, 20], [5, 5, 6, 6]])
    }
    images = digit_boxes("test").take(2)
    return with_proposals(images, lambda name: boxes.get(name, [[10, 20, 30, 50]]), 4)


def test_proposals_stand_behind_the_objects_and_move_with_them(proposed):
    batches = list(proposed.each(scale_objects(192, 192)).batches(1))
    for (image, rows), expected in zip(batches, ([0, 0, 56, 56], [20, 40, 60, 100]), strict=True):
        assert image.shape == (1, 192, 192, 3) and rows.shape == (1, 9 + 4, 6)
        objects, proposals = objects_and_proposals(rows[0])
        assert objects.shape == (9, 6) and proposals[0].numpy().tolist() == expected
        assert len(truth(rows[0])["boxes"]) == 9
    assert [len(objects_and_proposals(rows[0])[1]) for _, rows in batches] == [4, 1]
    for key in range(4):
        pair = batches[1][0][0], batches[1][1][0]
        _, moved = random_flip_objects(pair, tf.constant(key * 2**61, tf.uint64))
        assert objects_and_proposals(moved)[1].numpy().tolist() in ([[20, 40, 60, 100]], [[132, 40, 172, 100]])


@pytest.mark.slow
def test_what_a_step_learns_from_is_drawn_by_seed_and_epoch(proposed):
    """Of a page's nine digits and four proposals; batches of two pages of different sizes are padded with zeros."""

    def wider(pair, key):
        image, rows = pair
        wide = tf.cast(28 * tf.math.count_nonzero(rows[:, 4] == -2), tf.int32)  # by the number of its proposals
        return tf.pad(tf.maximum(tf.ensure_shape(image, (None, None, 3)), 1), [(0, 0), (0, wide), (0, 0)]), rows

    drawing = proposed.each(wider, draw_rois(count=6, foreground=0.5)).padded()

    def draw(epoch):
        ((images, rois), (labels, targets)) = next(iter(drawing.batches(2, epoch=epoch)))
        return images.numpy(), rois.numpy(), labels.numpy(), targets.numpy()

    images, rois, labels, targets = draw(0)
    assert images.shape == (2, 96, 96 + 4 * 28, 3) and rois.shape == (2, 6, 4) and targets.shape == (2, 6, 5)
    assert images[0, :, :96].all() and images[1, :, :96].all() and not images[1, :, 96 + 28 :].any()
    np.testing.assert_array_equal(targets[..., 0], labels)
    assert ((labels > 0).sum(axis=1) == 3).all() and not targets[labels <= 0][:, 1:].any()
    truths = [truth(rows[0]) for _, rows in proposed.each(lambda pair, key: pair).batches(1)]
    for own, their_labels, each in zip(rois, labels, truths, strict=True):
        for box, label in zip(own[:3].tolist(), their_labels[:3], strict=True):  # digits, or a proposal around one
            overlapped = [o for o, b in zip(each["labels"], each["boxes"].tolist(), strict=True) if b == box]
            assert not overlapped or overlapped == [label - 1]
    for ours, theirs in zip(draw(0), (images, rois, labels, targets), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(draw(1)[1], rois)
