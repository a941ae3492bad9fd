"""RoI pooling and its gradient against Caffe's loops written out in NumPy, and against torchvision's."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.ops import roi_pool


def c_round(x):
    """C's: to the nearest whole number, halves away from zero."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def caffe_bins(start, end, count, cells):
    """[(first, end)] of every bin: roi_pooling_layer.cpp, in float32 as there."""
    first, last = c_round(start), c_round(end)
    size = np.float32(max(last - first + 1, 1)) / np.float32(count)
    bins = []
    for i in range(count):
        low, high = np.floor(np.float32(i) * size), np.ceil(np.float32(i + 1) * size)
        bins.append([min(max(int(edge) + first, 0), cells) for edge in (low, high)])
    return bins


def by_loops(features, boxes, size, scale, upstream):
    """Pooled values `(B, N, h, w, C)`, and the gradient of the features."""
    _, height, width, channels = features.shape
    pooled = np.zeros((*boxes.shape[:2], *size, channels), "float32")
    gradient = np.zeros(features.shape, "float64")
    for image, number in np.ndindex(boxes.shape[:2]):
        x1, y1, x2, y2 = boxes[image, number] * np.float32(scale)
        for i, (top, bottom) in enumerate(caffe_bins(y1, y2, size[0], height)):
            for j, (left, right) in enumerate(caffe_bins(x1, x2, size[1], width)):
                for channel in range(channels):
                    best, place = -math.inf, None
                    for y in range(top, bottom):
                        for x in range(left, right):
                            if features[image, y, x, channel] > best:
                                best, place = features[image, y, x, channel], (image, y, x, channel)
                    if place:
                        pooled[image, number, i, j, channel] = best
                        gradient[place] += upstream[image, number, i, j, channel]
    return pooled, gradient


def with_gradient(features, boxes, size, scale, upstream):
    features = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = roi_pool(features, boxes, size, scale)
    return pooled, tape.gradient(pooled, features, upstream)


def random_boxes(random, batch, number, height, width):
    """Inside, across and beyond the border, without area, turned around, at halves of a cell, and the whole image."""
    boxes = random.uniform(-20, 180, (batch, number, 4))
    boxes[:, ::2] = np.sort(boxes[:, ::2].reshape(batch, -1, 2, 2), axis=2).reshape(batch, -1, 4)
    boxes[:, :3] = np.round(boxes[:, :3] / 8) * 8
    boxes[:, 3] = boxes[:, 3, [0, 1, 0, 1]]
    boxes[:, 4] = [0, 0, width, height]
    boxes[:, 5] = [400, 300, 500, 380]
    boxes[:, 6] = [-900, -700, 950, 800]
    return boxes.astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "ties", "xla"),
    [((7, 7), True, False), ((2, 3), True, True), ((6, 5), False, False), ((1, 1), False, False)],
)
def test_values_and_gradient_are_those_of_caffes_loops(size, ties, xla):
    random = np.random.default_rng(size[0])
    features = random.integers(0, 3, (2, 10, 13, 3)) if ties else random.normal(size=(2, 10, 13, 3))
    features = features.astype("float32")
    boxes = random_boxes(random, 2, 16, 160, 208)
    upstream = random.integers(-5, 6, (2, 16, *size, 3)).astype("float32")  # whole numbers: sums are exact
    pooled, gradient = by_loops(features, boxes, size, 1 / 16, upstream)
    assert (pooled[:, 5] == 0).all()  # a box beyond the border
    for function in (with_gradient, tf.function(with_gradient, jit_compile=xla)):
        ours, our_gradient = function(features, boxes, size, 1 / 16, upstream)
        np.testing.assert_array_equal(ours, pooled)
        np.testing.assert_array_equal(our_gradient, gradient)


def test_one_box_by_hand():
    """0 to 5 of a 6x6 map at scale 1/2: cells round(1.5) = 2 to round(5) = 5, two by two a bin."""
    features = np.arange(36, dtype="float32").reshape(1, 6, 6, 1)
    pooled = roi_pool(features, [[[3, 3, 10, 10]]], 2, 0.5)
    assert pooled.numpy()[0, 0, ..., 0].tolist() == [[21, 23], [33, 35]]
    halves = roi_pool(features, [[[1, 1, 1, 1], [2.99, 1, 3, 1], [-1, -1, 0, 0]]], 1, 0.5)
    assert halves.numpy().ravel().tolist() == [7, 8, 0]  # 0.5 is 1, 1.495 is 1, 1.5 is 2, -0.5 is -1


@pytest.mark.parametrize("count", [6, 7, 14])
def test_bins_of_all_sizes_round_as_floats_do(count):
    """Where a quotient is not exact, such as 3 / 7 times 7, float32's error decides whether a bin has a cell more."""
    cells = 90
    line = np.arange(cells, dtype="float32").reshape(1, 1, cells, 1)
    boxes = np.float32([[0, 0, last, 0] for last in range(cells)])[None]
    expected = [[max(end - 1, 0) for _, end in caffe_bins(0, last, count, cells)] for last in range(cells)]
    for function in (roi_pool, tf.function(roi_pool, jit_compile=True)):
        np.testing.assert_array_equal(function(line, boxes, (1, count), 1.0)[0, :, 0, :, 0], expected)
        np.testing.assert_array_equal(
            -function(-line, boxes, (1, count), 1.0)[0, :, 0, :, 0],
            [[first for first, _ in caffe_bins(0, last, count, cells)] for last in range(cells)],
        )


def test_the_same_as_torchvision_with_its_gradient():
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    features = random.normal(size=(2, 38, 50, 8)).astype("float32")
    boxes = random_boxes(random, 2, 40, 608, 800) * np.float32(4)
    upstream = random.integers(-5, 6, (2, 40, 7, 7, 8)).astype("float32")
    theirs = torch.from_numpy(features.transpose(0, 3, 1, 2)).requires_grad_()
    pooled = ops.roi_pool(theirs, [torch.from_numpy(each) for each in boxes], 7, 1 / 16)
    pooled.backward(torch.from_numpy(upstream.reshape(80, 7, 7, 8).transpose(0, 3, 1, 2)))
    ours, gradient = with_gradient(features, boxes, 7, 1 / 16, upstream)
    np.testing.assert_array_equal(ours, pooled.detach().numpy().transpose(0, 2, 3, 1).reshape(ours.shape))
    np.testing.assert_array_equal(gradient, theirs.grad.numpy().transpose(0, 2, 3, 1))


def test_unknown_sizes_no_boxes_and_bfloat16():
    spec = tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, 4))
    function = tf.function(lambda f, b: roi_pool(f, b, (2, 3), 1 / 16), input_signature=spec)
    random = np.random.default_rng(0)
    for height, width in ((10, 13), (3, 1), (1, 2)):
        features = random.integers(-9, 9, (2, height, width, 3)).astype("float32")
        boxes = random_boxes(random, 2, 8, 160, 208)
        expected, _ = by_loops(features, boxes, (2, 3), 1 / 16, np.zeros((2, 8, 2, 3, 3)))
        np.testing.assert_array_equal(function(features, boxes), expected)
        assert function(features, boxes[:, :0]).shape == (2, 0, 2, 3, 3)
        pooled = roi_pool(tf.cast(features, "bfloat16"), boxes, (2, 3), 1 / 16)
        assert pooled.dtype == "bfloat16"
        np.testing.assert_array_equal(tf.cast(pooled, "float32"), expected)
