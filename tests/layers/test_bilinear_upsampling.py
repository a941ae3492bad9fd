"""Transposed convolution with the bilinear start, and its crop: by hand, zero-stuffed, as an adjoint, as PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import BilinearUpsampling, Crop


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def with_kernel(layer, channels):
    """The layer with random weights, which mix its channels."""
    layer.build((None, None, None, channels))
    layer.set_weights([random(*layer.kernel.shape, seed=1)])
    return layer


@pytest.mark.parametrize(
    ("factor", "kernel_size", "tent"),
    [
        (1, None, [1]),
        (2, None, [1 / 4, 3 / 4, 3 / 4, 1 / 4]),
        (2, 3, [1 / 2, 1, 1 / 2]),
        (3, None, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        (4, None, [1 / 8, 3 / 8, 5 / 8, 7 / 8, 7 / 8, 5 / 8, 3 / 8, 1 / 8]),
    ],
)
def test_the_start_by_hand(factor, kernel_size, tent):
    layer = BilinearUpsampling(factor, kernel_size)
    layer.build((None, None, None, 3))
    (kernel,) = layer.get_weights()  # and no bias
    assert kernel.shape == (len(tent), len(tent), 3, 3)
    for a, b in np.ndindex(3, 3):
        np.testing.assert_allclose(kernel[..., a, b], np.outer(tent, tent) * (a == b), rtol=1e-6)


def test_two_pixels_become_four():
    x = np.array([0, 8], "float32").reshape(1, 1, 2, 1)
    y = BilinearUpsampling(2)(x)
    assert y.shape == (1, 2, 4, 1)
    np.testing.assert_allclose(
        y[0, :, :, 0], 0.75 * np.array([[0, 2, 6, 6], [0, 2, 6, 6]])
    )  # a row lies beside nothing


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_inside_it_is_bilinear_resizing(factor):
    x = random(2, 6, 7, 3)
    inside = slice(factor, -factor)
    expected = tf.image.resize(x, (6 * factor, 7 * factor))[:, inside, inside]
    np.testing.assert_allclose(BilinearUpsampling(factor)(x)[:, inside, inside], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "kernel_size", "padding", "expected"),
    [
        (1, 3, "same", (5, 7)),  # a stride of 1 keeps the size, of 2 doubles it
        (2, None, "same", (10, 14)),
        (3, None, "same", (15, 21)),
        (2, None, "valid", (12, 16)),  # (side - 1) * factor + kernel size
        (8, None, "valid", (48, 64)),
        (2, 5, "valid", (13, 17)),
    ],
)
def test_sizes(factor, kernel_size, padding, expected):
    layer, x = BilinearUpsampling(factor, kernel_size, padding), random(2, 5, 7, 3)
    y = layer(x)
    assert y.shape == (2, *expected, 3) and tuple(layer.compute_output_shape(x.shape)) == y.shape


def zero_stuffed(x, kernel, stride):
    """`factor - 1` zeros between the pixels, `size - 1` around them, then a plain convolution, window by window."""
    size = len(kernel)
    height, width = ((side - 1) * stride + 1 + 2 * (size - 1) for side in x.shape[1:3])
    stuffed = np.zeros((len(x), height, width, x.shape[-1]))
    stuffed[:, size - 1 : height - size + 1 : stride, size - 1 : width - size + 1 : stride] = x
    y = np.zeros((len(x), height - size + 1, width - size + 1, kernel.shape[2]))
    for row, column in np.ndindex(y.shape[1:3]):
        window = stuffed[:, row : row + size, column : column + size]
        y[:, row, column] = np.einsum("bijc,ijfc->bf", window, kernel[::-1, ::-1])
    return y


@pytest.mark.parametrize(("factor", "kernel_size"), [(2, 4), (2, 3), (3, 5), (1, 3), (4, 4)])
def test_it_is_a_convolution_of_the_zero_stuffed_map(factor, kernel_size):
    layer, x = with_kernel(BilinearUpsampling(factor, kernel_size, "valid"), 3), random(2, 4, 5, 3)
    np.testing.assert_allclose(layer(x), zero_stuffed(x, layer.get_weights()[0], factor), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_it_is_the_transpose_of_a_strided_convolution_and_not_its_inverse(padding):
    """<A x, y> = <x, A'y> with the kernel's two channel axes exchanged; A A' is not the identity."""
    layer, x = with_kernel(BilinearUpsampling(2, 4, padding), 3), random(2, 5, 6, 3)
    up = layer(x)
    y = random(*up.shape, seed=2)
    down = tf.nn.conv2d(y, layer.kernel, strides=2, padding=padding.upper())
    assert down.shape == x.shape
    np.testing.assert_allclose(np.vdot(up, y), np.vdot(x, down), rtol=1e-4)
    again = tf.nn.conv2d(up, layer.kernel, strides=2, padding=padding.upper())
    assert abs(again - x).numpy().max() > 1


@pytest.mark.parametrize(("factor", "kernel_size"), [(2, 4), (3, 5), (8, 16)])
def test_it_is_pytorchs(factor, kernel_size):
    torch = pytest.importorskip("torch")
    layer, x = with_kernel(BilinearUpsampling(factor, kernel_size, "valid"), 3), random(2, 4, 5, 3)
    kernel = torch.from_numpy(layer.get_weights()[0].transpose(3, 2, 0, 1).copy())  # (in, out, height, width)
    theirs = torch.nn.functional.conv_transpose2d(torch.from_numpy(x.transpose(0, 3, 1, 2)), kernel, stride=factor)
    np.testing.assert_allclose(layer(x), theirs.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


def test_it_learns_all_pairs_of_channels():
    layer, x = BilinearUpsampling(2), tf.constant(random(2, 5, 6, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 3)
    (weight,) = layer.trainable_weights
    assert (abs(tape.gradient(loss, weight.value).numpy()) > 0).all()


def test_crop_by_hand():
    x = np.arange(30, dtype="float32").reshape(1, 5, 6, 1)
    y = Crop(1)(x, np.zeros((1, 2, 3, 7)))
    np.testing.assert_array_equal(y[0, ..., 0], [[7, 8, 9], [13, 14, 15]])


def test_any_size_saved_loaded_and_in_bfloat16(save_and_load):
    image = keras.Input((None, None, 2))
    x = with_kernel(BilinearUpsampling(2, 5, "valid", name="up"), 2)(image)
    model = keras.Model(image, Crop(2, name="crop")(x, image))
    assert model.output_shape == (None, None, None, 2)
    again = save_and_load(model)
    for size in ((4, 4), (1, 5)):
        x = random(1, *size, 2)
        expected = zero_stuffed(x, model.get_layer("up").get_weights()[0], 2)[:, 2 : 2 + size[0], 2 : 2 + size[1]]
        np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(model(x), again(x))
    low = BilinearUpsampling(2, dtype="mixed_bfloat16")(random(1, 4, 4, 2))
    assert low.dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(low, "float32"), BilinearUpsampling(2)(random(1, 4, 4, 2)), atol=0.03)


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match=r"factor is 1\.5; it must be a whole number of at least 1"):
        BilinearUpsampling(1.5)
    with pytest.raises(ValueError, match="kernel_size is 3; it must be a whole number of at least factor, 4"):
        BilinearUpsampling(4, 3)
    with pytest.raises(ValueError, match="offset is -1; it must be a whole number of at least 0"):
        Crop(-1)
    with pytest.raises(ValueError, match=r"a map of \(5, 6\) pixels has no \(4, 5\) from pixel 2 on"):
        Crop(2)(random(1, 5, 6, 1), random(1, 4, 5, 1))
