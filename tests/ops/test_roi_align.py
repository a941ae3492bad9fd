"""RoIAlign and its gradient: ramps, loops over single samples in NumPy, torchvision's."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.ops import roi_align
from tests.ops.test_roi import random_boxes


def sample(features, y, x):
    """[((row, column), weight)] of the cells that make one sample: roi_align_kernel.cpp's pre_calc, for one point."""
    height, width = features.shape[:2]
    if y < -1 or y > height or x < -1 or x > width:
        return []
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, over = (0.0 if top == bottom else y - top), (0.0 if left == right else x - left)
    return [
        ((top, left), (1 - down) * (1 - over)),
        ((top, right), (1 - down) * over),
        ((bottom, left), down * (1 - over)),
        ((bottom, right), down * over),
    ]


def by_loops(features, boxes, size, scale, ratio, aligned, upstream):
    """Means `(B, N, h, w, C)` and the gradient of the features, in float64."""
    features, boxes = features.astype("float64"), boxes.astype("float64")
    means, gradient = np.zeros((*boxes.shape[:2], *size, features.shape[-1])), np.zeros(features.shape)
    for image, number in np.ndindex(boxes.shape[:2]):
        x1, y1, x2, y2 = boxes[image, number] * scale - (0.5 if aligned else 0)
        height, width = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1), max(x2 - x1, 1))
        for i, j, k, m in np.ndindex(*size, ratio, ratio):
            y = y1 + (i + (k + 0.5) / ratio) * height / size[0]
            x = x1 + (j + (m + 0.5) / ratio) * width / size[1]
            for cell, weight in sample(features[image], y, x):
                means[image, number, i, j] += weight * features[image][cell] / ratio**2
                gradient[image][cell] += weight * upstream[image, number, i, j] / ratio**2
    return means, gradient


def with_gradient(features, boxes, *how, upstream):
    features = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        means = roi_align(features, boxes, *how)
    return means, tape.gradient(means, features, upstream)


def test_a_ramp_is_reproduced_exactly():
    """A cell's middle is at 16 (i + 1/2) pixels, and so is the value there; a bin's mean is that of its middle."""
    y, x = np.meshgrid(16 * (np.arange(20) + 0.5), 16 * (np.arange(30) + 0.5), indexing="ij")
    ramp = np.stack([x, y], axis=-1)[None].astype("float32")
    boxes = np.float32([[[16, 16, 440, 300], [100.3, 50.7, 131.9, 270.1], [200, 100, 201, 101]]])
    means = roi_align(ramp, boxes, (5, 7), 1 / 16, aligned=True).numpy()
    for (x1, y1, x2, y2), each in zip(boxes[0], means[0], strict=True):
        for i, j in np.ndindex(5, 7):
            middle = x1 + (x2 - x1) * (j + 0.5) / 7, y1 + (y2 - y1) * (i + 0.5) / 5
            np.testing.assert_allclose(each[i, j], middle, rtol=0, atol=1e-3)  # of 480 pixels: float32's digits


def test_the_first_code_is_half_a_cell_off():
    ramp = np.arange(30, dtype="float32").reshape(1, 1, 30, 1)
    box = np.float32([[[80, 0, 112, 16]]])  # cells 5 and 6, whose values' mean is 5.5
    assert roi_align(ramp, box, 1, 1 / 16, aligned=True).numpy().item() == pytest.approx(5.5, abs=1e-5)
    assert roi_align(ramp, box, 1, 1 / 16).numpy().item() == pytest.approx(6.0, abs=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "ratio"), [((7, 7), 2), ((2, 3), 3), ((1, 1), 1), ((1, 4), 1)])
def test_values_and_gradient_are_those_of_the_loops(size, ratio, aligned):
    random = np.random.default_rng(size[0])
    features = random.normal(size=(2, 10, 13, 3)).astype("float32")
    boxes = random_boxes(random, 2, 14, 160, 208)
    upstream = random.normal(size=(2, 14, *size, 3)).astype("float32")
    means, gradient = by_loops(features, boxes, size, 1 / 16, ratio, aligned, upstream)
    for function in (with_gradient, tf.function(with_gradient)):
        ours, our_gradient = function(features, boxes, size, 1 / 16, ratio, aligned, upstream=upstream)
        np.testing.assert_allclose(ours, means, atol=1e-5)
        np.testing.assert_allclose(our_gradient, gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
def test_the_same_as_torchvision_with_its_gradient(aligned):
    ops = pytest.importorskip("torchvision.ops")
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    features = random.normal(size=(2, 38, 50, 8)).astype("float32")
    # Not times 4: samples exactly a cell beyond the map are the border's or 0 by float32's last digit.
    boxes = random_boxes(random, 2, 40, 608, 800) * np.float32(3.97)
    upstream = random.normal(size=(2, 40, 7, 7, 8)).astype("float32")
    theirs = torch.from_numpy(features.transpose(0, 3, 1, 2)).requires_grad_()
    means = ops.roi_align(theirs, [torch.from_numpy(each) for each in boxes], 7, 1 / 16, 2, aligned)
    means.backward(torch.from_numpy(upstream.reshape(80, 7, 7, 8).transpose(0, 3, 1, 2)))
    ours, gradient = with_gradient(features, boxes, 7, 1 / 16, 2, aligned, upstream=upstream)
    expected = means.detach().numpy().transpose(0, 2, 3, 1).reshape(ours.shape)
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(features).max())
    expected = theirs.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


def test_unknown_sizes_no_boxes_and_bfloat16():
    spec = tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, 4))
    function = tf.function(lambda f, b: roi_align(f, b, (2, 3), 1 / 16), input_signature=spec)
    random = np.random.default_rng(0)
    for height, width in ((10, 13), (3, 1), (1, 1)):
        features = random.integers(-9, 9, (2, height, width, 3)).astype("float32")
        boxes = random_boxes(random, 2, 8, 160, 208)
        expected, _ = by_loops(features, boxes, (2, 3), 1 / 16, 2, False, np.zeros((2, 8, 2, 3, 3)))
        np.testing.assert_allclose(function(features, boxes), expected, atol=1e-4)
        assert function(features, boxes[:, :0]).shape == (2, 0, 2, 3, 3)
        means = roi_align(tf.cast(features, "bfloat16"), boxes, (2, 3), 1 / 16)
        assert means.dtype == "bfloat16"
        np.testing.assert_allclose(tf.cast(means, "float32"), expected, rtol=2**-8, atol=1e-4)  # its last digit


def test_no_gradient_leads_to_the_boxes():
    boxes = tf.constant([[[0.0, 0.0, 30.0, 30.0]]])
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        means = roi_align(tf.random.normal((1, 4, 4, 2)), boxes, 2, 1 / 16)
    assert tape.gradient(means, boxes) is None


def test_a_bin_without_samples_is_told():
    with pytest.raises(ValueError, match="sampling_ratio is 0; it must be at least 1"):
        roi_align(np.zeros((1, 4, 4, 1), "float32"), np.zeros((1, 1, 4), "float32"), 7, 1 / 16, 0)
