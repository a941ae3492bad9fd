"""Masks in their boxes, by hand and by geometry."""

import numpy as np
import tensorflow as tf

from keras_cnns.losses import mask_loss
from keras_cnns.ops import mask_targets, paste_masks, pyramid_level


def test_a_mask_of_its_own_box_stays_as_it_is():
    mask = np.float32([[0, 1], [1, 1]])
    box = np.float32([10, 20, 30, 60])
    np.testing.assert_array_equal(mask_targets(mask, box, box, 2), mask)


def test_a_box_over_half_of_an_object_sees_half_of_its_mask():
    """Twice as wide as the object and half beside it: left columns 0, right ones the object's left half."""
    mask = np.float32([[1, 0], [1, 0]]).repeat(2, 0).repeat(2, 1)  # 4x4: the left half
    object_box, roi = np.float32([8, 0, 16, 8]), np.float32([4, 0, 12, 8])
    np.testing.assert_array_equal(mask_targets(mask, object_box, roi, 4), np.float32([[0, 0, 1, 1]] * 4))


def test_masks_come_back_at_the_pixels_of_their_boxes():
    """A box from (2, 1) to (6, 3) of ones covers the pixels whose middles it covers; corners may lie between pixels."""
    ones = np.ones((2, 28, 28), "float32")
    boxes = np.float32([[2, 1, 6, 3], [2.4, 0.6, 5.6, 3.4]])
    whole = np.zeros((5, 8), bool)
    whole[1:3, 2:6] = True
    np.testing.assert_array_equal(paste_masks(ones, boxes, (5, 8)), [whole, whole])
    larger = paste_masks(ones[:1], np.float32([[2.6, 0.4, 5.4, 3.6]]), (5, 8))[0]  # one column less, two rows more
    assert larger.numpy().sum() == 4 * 2 and larger.numpy()[0:4, 3:5].all()


def test_a_disk_comes_back_to_within_a_cell_of_its_mask():
    """Of radius 30 around (60.5, 50.5): pixels are wrong only within 60 / 28 of its edge."""
    y, x = np.mgrid[:100, :120] + 0.5
    distance = np.hypot(x - 60.5, y - 50.5)
    middle = (np.arange(28) + 0.5) * 60 / 28 - 30
    inside = np.float32(np.hypot(middle[:, None], middle) < 30)
    found = paste_masks(inside[None], np.float32([[30.5, 20.5, 90.5, 80.5]]), (100, 120))[0].numpy()
    wrong = found != (distance < 30)
    assert np.abs(distance[wrong] - 30).max() < 60 / 28
    assert abs(found.sum() - np.pi * 30**2) < 0.03 * np.pi * 30**2


def test_no_object_gives_no_mask():
    assert paste_masks(np.zeros((0, 28, 28), "float32"), np.zeros((0, 4), "float32"), (4, 5)).shape == (0, 4, 5)


def test_the_level_of_a_box():
    """FPN, section 4.2: 224 pixels are level 4; "if the RoI's scale becomes smaller (say, 1/2 of 224), k = 3"."""
    sides = np.float32([1, 55, 56, 111, 112, 223, 224, 447, 448, 10_000])
    boxes = np.stack([sides * 0, sides * 0, sides, sides], axis=1)
    np.testing.assert_array_equal(pyramid_level(boxes, (4, 8, 16, 32)) + 2, [2, 2, 2, 2, 3, 3, 4, 4, 5, 5])
    assert pyramid_level(np.float32([0, 0, 448, 112]), (4, 8, 16, 32)) + 2 == 4  # the root of the area counts


def test_the_loss_is_that_of_the_own_class_alone():
    """Logits of log 3 are 3/4: -log 3/4 where the object is, -log 1/4 where it is not; half and half."""
    logits = np.full((1, 3, 2, 2, 2), 7.0, "float32")
    logits[0, 0, ..., 1] = np.log(3)
    labels, targets = np.int32([[2, 0, -1]]), np.zeros((1, 3, 2, 2), "float32")
    targets[0, 0, 0] = 1
    expected = -(np.log(3 / 4) + np.log(1 / 4)) / 2
    np.testing.assert_allclose(mask_loss(labels, targets, logits), [expected], rtol=1e-6)
    assert mask_loss(labels * 0, targets, logits).numpy() == [0]


def test_with_softmax_classes_compete():
    """Of the background, class 0 and class 1 the logits 0, 0, log 2: 1/4, 1/4, 1/2."""
    logits = np.zeros((1, 1, 1, 2, 3), "float32")
    logits[..., 2] = np.log(2)
    targets = np.float32([[[[1, 0]]]])
    expected = -(np.log(1 / 2) + np.log(1 / 4)) / 2
    np.testing.assert_allclose(mask_loss(tf.constant([[2]]), targets, logits, "softmax"), [expected], rtol=1e-6)
