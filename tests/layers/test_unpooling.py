"""The unpoolings against 4x4 cases by hand, loops written out, and PyTorch's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import BedOfNailsUnpooling, MaxPoolingWithIndices, MaxUnpooling, NearestUnpooling

SMALL = np.array([[1, 2], [3, 4]], "float32")
# The maxima 5, 6, 7, 8 lie lower right, upper left, lower left and lower right in their windows.
BEFORE = np.array([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]], "float32")
WINDOWS = [  # pool_size, strides, padding
    (2, 2, "same"),
    (2, 2, "valid"),
    (3, 3, "same"),
    ((2, 3), (2, 3), "valid"),
    (3, 2, "same"),
    (3, 2, "valid"),
    (3, 1, "same"),
    (2, 3, "same"),
    (1, 2, "valid"),
    ((3, 2), (1, 2), "same"),
]
windows = pytest.mark.parametrize("window", WINDOWS, ids=str)


def one(matrix):
    return np.asarray(matrix, "float32")[None, ..., None]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def repeated(*shape):
    """Few different numbers, so that windows have several maxima."""
    return np.random.default_rng(0).integers(-2, 3, shape).astype("float32")


def test_nearest_by_hand():
    y = NearestUnpooling(2)(one(SMALL))
    np.testing.assert_array_equal(y[0, ..., 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])


def test_bed_of_nails_by_hand():
    y = BedOfNailsUnpooling(2)(one(SMALL))
    np.testing.assert_array_equal(y[0, ..., 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


def test_max_unpooling_by_hand():
    pooled, indices = MaxPoolingWithIndices(2)(one(BEFORE))
    np.testing.assert_array_equal(pooled[0, ..., 0], [[5, 6], [7, 8]])
    np.testing.assert_array_equal(indices[0, ..., 0], [[3, 0], [2, 3]])
    y = MaxUnpooling(2)(one(SMALL), indices)
    np.testing.assert_array_equal(y[0, ..., 0], [[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]])


def test_of_several_maxima_the_first_row_by_row_counts():
    tied = [[1, 7, 0, 0], [7, 7, 0, 0], [2, 1, -5, -9], [2, 2, -5, -5]]
    x = tf.constant(one(tied))
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled, indices = MaxPoolingWithIndices(2)(x)
    np.testing.assert_array_equal(indices[0, ..., 0], [[1, 0], [0, 0]])
    there = tape.gradient(pooled, x)[0, ..., 0]
    np.testing.assert_array_equal(there, [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("size", [3, (1, 4), (3, 2)])
def test_sizes_and_channels(size):
    down, across = size if isinstance(size, tuple) else (size, size)
    x = random(2, 3, 5, 4)
    nearest, nails = NearestUnpooling(size), BedOfNailsUnpooling(size)
    assert nearest.compute_output_shape(x.shape) == nails.compute_output_shape(x.shape) == (2, 3 * down, 5 * across, 4)
    np.testing.assert_array_equal(nearest(x), x.repeat(down, 1).repeat(across, 2))
    expected = np.zeros((2, 3 * down, 5 * across, 4))
    expected[:, ::down, ::across] = x
    np.testing.assert_array_equal(nails(x), expected)


def test_gradients_of_nearest_and_nails_are_a_sum_and_a_choice():
    x, upstream = tf.constant(random(2, 3, 4, 2)), random(2, 6, 8, 2, seed=1)
    gradients = []
    for layer in (NearestUnpooling(2), BedOfNailsUnpooling(2)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        gradients.append(tape.gradient(y, x, upstream))
    np.testing.assert_allclose(gradients[0], upstream.reshape(2, 3, 2, 4, 2, 2).sum((2, 4)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(gradients[1], upstream[:, ::2, ::2])


def by_loops(x, values, pool_size, strides, padding):
    """(indices, where) of the maxima of `x`, and the map with `values` there, a window after the other."""
    pool, stride = ((each, each) if isinstance(each, int) else each for each in (pool_size, strides))
    batch, height, width, channels = values.shape
    before = [0, 0]
    if padding == "same":
        before = [max((values.shape[1 + a] - 1) * stride[a] + pool[a] - x.shape[1 + a], 0) // 2 for a in (0, 1)]
    indices, places, unpooled = np.zeros(values.shape, int), np.zeros((*values.shape, 2), int), np.zeros_like(x)
    for b, row, column, c in np.ndindex(batch, height, width, channels):
        top, left = row * stride[0] - before[0], column * stride[1] - before[1]
        best = -np.inf
        for i, j in np.ndindex(pool):
            place = top + i, left + j
            if 0 <= place[0] < x.shape[1] and 0 <= place[1] < x.shape[2] and x[b, *place, c] > best:
                best = x[b, *place, c]
                indices[b, row, column, c] = i * pool[1] + j
                places[b, row, column, c] = place
        unpooled[b, *places[b, row, column, c], c] = values[b, row, column, c]
    return indices, places, unpooled


@windows
@pytest.mark.parametrize("size", [(4, 6), (7, 5)])
def test_positions_and_unpooling_equal_loops(window, size):
    x = repeated(2, *size, 3)
    pooled, indices = MaxPoolingWithIndices(*window)(x)
    values = random(*pooled.shape)
    expected_indices, _, expected = by_loops(x, values, *window)
    np.testing.assert_array_equal(pooled, keras.layers.MaxPooling2D(*window)(x))
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(MaxUnpooling(*window)(values, indices, x), expected)


@windows
def test_the_gradient_is_that_of_the_places_where_values_stand(window):
    """The unpooling is linear in its values, so <Ax, y> = <x, A'y>; of values that others overwrote nothing is left."""
    x = repeated(2, 7, 6, 3)
    pooled, indices = MaxPoolingWithIndices(*window)(x)
    values, upstream = tf.constant(random(*pooled.shape)), random(*x.shape, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(values)
        unpooled = MaxUnpooling(*window)(values, indices, x)
    gradient = tape.gradient(unpooled, values, upstream)
    np.testing.assert_allclose(np.vdot(unpooled, upstream), np.vdot(values, gradient), rtol=1e-5)
    _, places, _ = by_loops(x, pooled.numpy(), *window)
    last = {(b, *places[b, row, column, c], c): (b, row, column, c) for b, row, column, c in np.ndindex(*pooled.shape)}
    expected = np.zeros(pooled.shape)
    for place, value in last.items():
        expected[value] = upstream[place]
    np.testing.assert_array_equal(gradient, expected)


@windows
def test_the_gradient_of_pooling_is_keras(window):
    x = tf.constant(random(2, 7, 6, 3))
    gradients = []
    for layer in (MaxPoolingWithIndices(*window), keras.layers.MaxPooling2D(*window)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            pooled = layer(x)
            pooled = pooled[0] if isinstance(pooled, (tuple, list)) else pooled
        gradients.append(tape.gradient(pooled, x, random(*pooled.shape, seed=1)))
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (3, 3), ((2, 3), (2, 1)), (2, 3)], ids=str)
@pytest.mark.parametrize("size", [(6, 8), (9, 11)])
def test_it_is_pytorchs(window, size):
    """Its indices count the pixels of the whole map; where windows overlap, values that agree are compared."""
    torch = pytest.importorskip("torch")
    x = repeated(2, *size, 3)
    theirs = torch.from_numpy(x.transpose(0, 3, 1, 2)).requires_grad_()
    their_pooled, places = torch.nn.functional.max_pool2d(theirs, *window, return_indices=True)
    their_values = their_pooled.detach().requires_grad_()
    unpooled = torch.nn.functional.max_unpool2d(their_values, places, *window, output_size=size)

    pooled, indices = MaxPoolingWithIndices(*window)(x)
    layer = MaxUnpooling(*window)
    (_, across), (down, right) = layer.pool_size, layer.strides
    row, column = np.mgrid[: pooled.shape[1], : pooled.shape[2]][:, None, :, :, None]
    flat = (row * down + indices // across) * size[1] + column * right + indices % across
    np.testing.assert_array_equal(flat, places.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(layer(pooled, indices, x), unpooled.detach().numpy().transpose(0, 2, 3, 1))
    if any(pool > stride for pool, stride in zip(layer.pool_size, layer.strides, strict=True)):
        return  # its gradient also goes to values that others overwrote
    upstream = random(*x.shape)
    with tf.GradientTape() as tape:
        tape.watch(pooled)
        y = layer(pooled, indices, x)
    unpooled.backward(torch.from_numpy(upstream.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(tape.gradient(y, pooled, upstream), their_values.grad.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("window", "expected"),
    [((2, 2, "valid"), (6, 8)), ((2, 2, "same"), (6, 8)), ((3, 2, "valid"), (7, 9)), ((2, 3, "same"), (9, 12))],
)
def test_the_size_where_none_is_given(window, expected):
    """Under "valid" PyTorch's: (side - 1) * stride + pool."""
    layer, values = MaxUnpooling(*window), random(1, 3, 4, 2)
    y = layer(values, np.zeros(values.shape, "uint8"))
    assert y.shape == layer.compute_output_shape(values.shape, values.shape) == (1, *expected, 2)
    assert MaxPoolingWithIndices(*window)(y)[0].shape == values.shape


@windows
def test_bfloat16_is_float32_on_numbers_that_both_have(window):
    x = repeated(2, 7, 6, 3)
    pooled, indices = MaxPoolingWithIndices(*window)(x)
    low_pooled, low_indices = MaxPoolingWithIndices(*window, dtype="mixed_bfloat16")(x)
    assert low_pooled.dtype == "bfloat16" and low_indices.dtype == indices.dtype == "uint8"
    np.testing.assert_array_equal(indices, low_indices)
    values = tf.constant(repeated(*pooled.shape))
    with tf.GradientTape() as tape:
        tape.watch(values)
        y = MaxUnpooling(*window, dtype="mixed_bfloat16")(values, indices, x)
    assert y.dtype == "bfloat16"
    np.testing.assert_array_equal(tf.cast(y, "float32"), MaxUnpooling(*window)(values, indices, x))
    assert tape.gradient(y, values).dtype == "float32"


def test_windows_of_many_pixels_have_wider_indices():
    x = random(1, 20, 20, 1)
    pooled, indices = MaxPoolingWithIndices(20)(x)
    assert indices.dtype == "int32" and indices[0, 0, 0, 0] == x.argmax()
    np.testing.assert_array_equal(MaxUnpooling(20)(pooled, indices), np.where(x == x.max(), x, 0))


def down_and_up(window, sides=(None, None)):
    image = keras.Input((*sides, 3))
    pooled, indices = MaxPoolingWithIndices(*window, name="pool")(image)
    y = MaxUnpooling(*window, name="unpool")(pooled, indices, like=image)
    return keras.Model(image, [y, NearestUnpooling((2, 3))(pooled), BedOfNailsUnpooling((2, 3))(pooled)])


@pytest.mark.slow
@pytest.mark.parametrize("window", [(2, 2, "same"), (3, 2, "valid")], ids=str)
def test_any_size_saved_loaded_and_exported(window, save_and_load, tmp_path):
    model = down_and_up(window)
    assert model.output_shape[0] == (None, None, None, 3)
    again = save_and_load(model)
    model.export(tmp_path / "saved", verbose=False)
    exported = tf.saved_model.load(tmp_path / "saved")
    for size in ((6, 8), (9, 7)):
        x = random(2, *size, 3)
        _, _, expected = by_loops(x, keras.layers.MaxPooling2D(*window)(x).numpy(), *window)
        np.testing.assert_array_equal(model(x)[0], expected)
        for ours, loaded, served in zip(model(x), again(x), exported.serve(x), strict=True):
            np.testing.assert_array_equal(ours, loaded)
            np.testing.assert_array_equal(ours, served)
    fixed = down_and_up(window, (9, 7))
    assert fixed.output_shape[0] == (None, 9, 7, 3) and fixed.get_layer("pool").output[1].dtype == "uint8"


@pytest.mark.parametrize("window", [(2, 2, "same"), (3, 2, "same")], ids=str)
def test_xla_gives_the_same_with_its_gradient(window):
    model, x = down_and_up(window), tf.constant(repeated(2, 7, 6, 3))

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)[0]
            loss = tf.reduce_sum(y * tf.range(7.0)[None, :, None, None])
        return y, tape.gradient(loss, x)

    for plain, compiled in zip(both(x), tf.function(both, jit_compile=True)(x), strict=True):
        np.testing.assert_array_equal(plain, compiled)


def test_bad_arguments_are_told():
    values = random(1, 3, 4, 2)
    indices = np.zeros(values.shape, "uint8")
    with pytest.raises(ValueError, match="size is 0; it must be a whole number of at least 1, or two of them"):
        BedOfNailsUnpooling(0)
    with pytest.raises(ValueError, match=r"pool_size is 2\.5; it must be"):
        MaxUnpooling(2.5)
    with pytest.raises(ValueError, match="padding is 'full'; it must be 'valid' or 'same'"):
        MaxUnpooling(2, padding="full")
    with pytest.raises(ValueError, match=r"indices are .*; they must have the values' shape"):
        MaxUnpooling(2)(values, indices[:, :2])
    with pytest.raises(ValueError, match=r"like is .*; it must pool to the values' size, \(3, 4\)"):
        MaxUnpooling(2)(values, indices, random(1, 8, 8, 2))
