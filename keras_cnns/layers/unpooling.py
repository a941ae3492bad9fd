"""Unpooling, the way back from a pooled map to its size: by repetition, into a corner, or to remembered positions.

The positions are the switches of Zeiler & Fergus, ECCV 2014, section 2.1. DeconvNet (Noh et al., ICCV 2015, section
3.2.1) and SegNet (Badrinarayanan et al., PAMI 2017, section 3.1) unpool with them. SegNet's paper keeps a position as
its number within the window, in two bits for 2x2; here it takes a byte, where TensorFlow's own op takes eight.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class NearestUnpooling(keras.layers.UpSampling2D):
    """Repeat each value over a block of `size` pixels.

    `(batch, height, width, channels)` to `(batch, height * size, width * size, channels)`.

    Args:
        size: pixels a side, a number or (vertical, horizontal).

    Raises:
        ValueError: a size that is no positive number of pixels; the sentence is Keras's.
    """

    def __init__(self, size: int | Sequence[int] = 2, **kwargs):
        super().__init__(size, data_format="channels_last", interpolation="nearest", **kwargs)

    def get_config(self):
        return {**keras.layers.Layer.get_config(self), "size": self.size}


@keras.saving.register_keras_serializable(package="keras_cnns")
class BedOfNailsUnpooling(keras.layers.Layer):
    """Put each value into the upper left corner of a block of `size` pixels, the others being zero.

    `(batch, height, width, channels)` to `(batch, height * size, width * size, channels)`.

    Args:
        size: pixels a side, a number or (vertical, horizontal).

    Raises:
        ValueError: a size that is no positive number of pixels.
    """

    def __init__(self, size: int | Sequence[int] = 2, **kwargs):
        super().__init__(**kwargs)
        self.size = pair("size", size)

    def call(self, inputs):
        (height, width), (down, across), channels = sides(inputs), self.size, inputs.shape[-1]
        rows = tf.reshape(inputs, (-1, 1, width, channels))  # zero rows below, and zero pixels as channels behind
        nails = tf.pad(rows, [(0, 0), (0, down - 1), (0, 0), (0, (across - 1) * channels)])
        return tf.reshape(nails, (-1, height * down, width * across, channels))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height and height * self.size[0], width and width * self.size[1], channels)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="keras_cnns")
class MaxPoolingWithIndices(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` that also tells where in its window each maximum lies, for `MaxUnpooling`.

    `(batch, height, width, channels)` to the pooled map and the indices, integers of the same shape: 0 is the window's
    upper left pixel, counted row by row; of several maxima it is the first. Indices are `uint8`, of windows with more
    than 254 pixels `int32`; no gradient leads through them.

    Args:
        pool_size, strides, padding: as in Keras; "same" pads as TensorFlow does, rounding the size up.

    Raises:
        ValueError: a window or strides of no positive size, or an unknown padding; the sentence is Keras's.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        **kwargs,
    ):
        super().__init__(pool_size, strides, padding, data_format="channels_last", **kwargs)

    def call(self, inputs):
        pooled = super().call(inputs)
        x, maxima = tf.stop_gradient(inputs), tf.stop_gradient(pooled)
        kind = index_type(self.pool_size)
        indices = tf.zeros_like(maxima, kind)
        for pixel in reversed(window_pixels(x, self, fill=np.nan)[:-1]):  # which no maximum equals
            indices = tf.cast(pixel != maxima, kind) * (indices + 1)  # how many stand before the first maximum
        return pooled, indices

    def compute_output_shape(self, input_shape):
        shape = super().compute_output_shape(input_shape)
        return shape, shape

    def compute_output_spec(self, inputs):
        shape, _ = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, index_type(self.pool_size))

    def get_config(self):
        config = super().get_config()
        del config["data_format"]
        return config


@keras.saving.register_keras_serializable(package="keras_cnns")
class MaxUnpooling(keras.layers.Layer):
    """Put each value where its window had the maximum, the other pixels being zero.

    Called as `MaxUnpooling()(values, indices, like)`: the values `(batch, height, width, channels)`, the indices that
    `MaxPoolingWithIndices` of the same window, strides and padding gave, and the map that it pooled (or any of the
    same height and width), whose size the output takes. Without `like` it takes the least size that pools to the
    values' under "valid", the largest under "same". Where windows overlap and share a maximum, the last one's value
    stands.

    Args:
        pool_size, strides, padding: those of the pooling.

    Raises:
        ValueError: a window or strides of no positive size, an unknown padding, indices of another shape than the
            values, or a `like` that does not pool to their size.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pool_size = pair("pool_size", pool_size)
        self.strides = pair("strides", pool_size if strides is None else strides)
        if padding not in ("valid", "same"):
            raise ValueError(f"padding is {padding!r}; it must be 'valid' or 'same'.")
        self.padding = padding

    def call(self, inputs, indices, like=None):
        self.compute_output_shape(inputs.shape, indices.shape, None if like is None else like.shape)  # it checks
        if like is None:
            size = [self.default_side(axis, side) for axis, side in enumerate(sides(inputs))]
        else:
            size = sides(like)

        def put(values):
            return put_at(values, indices, self, size)

        @tf.custom_gradient
        def put_apart(values):
            def gradient(upstream):
                *before, taken = window_pixels(upstream, self)
                for number, pixel in reversed(list(enumerate(before))):
                    taken = tf.where(indices == number, pixel, taken)
                return taken

            return put(values), gradient

        apart = all(pool <= stride for pool, stride in zip(self.pool_size, self.strides, strict=True))
        return put_apart(inputs) if apart else put(inputs)  # TensorFlow's own gradient of `put` is ten times slower

    def default_side(self, axis, side):
        pool, stride = self.pool_size[axis], self.strides[axis]
        return side * stride if self.padding == "same" else (side - 1) * stride + pool

    def compute_output_shape(self, inputs_shape, indices_shape, like_shape=None):
        batch, *given, channels = inputs_shape
        if len(inputs_shape) != 4 or not tf.TensorShape(indices_shape).is_compatible_with(inputs_shape):
            raise ValueError(f"indices are {indices_shape}; they must have the values' shape, {inputs_shape}.")
        if like_shape is None:
            return (batch, *(side and self.default_side(axis, side) for axis, side in enumerate(given)), channels)
        for axis, (side, pooled) in enumerate(zip(like_shape[1:3], given, strict=True)):
            if side is not None and pooled is not None and geometry(side, axis, self)[0] != pooled:
                raise ValueError(f"like is {like_shape}; it must pool to the values' size, {tuple(given)}.")
        return (batch, *like_shape[1:3], channels)

    def get_config(self):
        window = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **window}


def put_at(values, indices, layer, size):
    """The map of `size` with each value at its index.

    A window's pixel (i, j) lies in the block of `strides` pixels that is i // stride below and j // stride right of
    the window's first. So the map is filled block by block, once for each place a window can have over a block, which
    is one place unless windows overlap: the latest window of all last.
    """
    (pool_down, pool_across), (down, across) = layer.pool_size, layer.strides
    cells = pool_down * pool_across
    steps = -(-pool_down // down), -(-pool_across // across)  # blocks that a window reaches over
    height, width = (side + step - 1 for side, step in zip(sides(values), steps, strict=True))
    channels = values.shape[-1]
    output = tf.zeros((), values.dtype)
    for i, j in reversed(list(np.ndindex(steps))):
        row, column = np.mgrid[i * down : (i + 1) * down, j * across : (j + 1) * across]
        number = np.where((row < pool_down) & (column < pool_across), row * pool_across + column, cells + 1)
        value, index = values, indices
        if steps != (1, 1):
            around = [(0, 0), (i, steps[0] - 1 - i), (j, steps[1] - 1 - j), (0, 0)]
            value, index = tf.pad(value, around), tf.pad(index, around, constant_values=cells)
        here = tf.reshape(index, (-1, 1, width, 1, channels)) == number.reshape(1, down, 1, across, 1)
        output = tf.where(here, tf.reshape(value, (-1, 1, width, 1, channels)), output)
    output = tf.reshape(output, (-1, height * down, width * across, channels))
    befores = [geometry(side, axis, layer)[1] for axis, side in enumerate(size)]
    return fit(output, befores, size)


def window_pixels(x, layer, fill=0):
    """The pixels of all windows as a list of maps: the first of every window, the second, row by row."""
    (pool_down, pool_across), (down, across) = layer.pool_size, layer.strides
    (height, above), (width, left) = (geometry(side, axis, layer) for axis, side in enumerate(sides(x)))
    if layer.pool_size == layer.strides:  # slices of blocks copy long runs; strided ones are 15 times slower
        x = fit(x, (-above, -left), (height * down, width * across), fill)
        blocks = tf.reshape(x, (-1, height, down, width, across, x.shape[-1]))
        return [blocks[:, :, i, :, j] for i, j in np.ndindex(layer.pool_size)]
    reach = (height - 1) * down + 1, (width - 1) * across + 1
    x = fit(x, (-above, -left), (reach[0] + pool_down - 1, reach[1] + pool_across - 1), fill)
    return [x[:, i : i + reach[0] : down, j : j + reach[1] : across] for i, j in np.ndindex((pool_down, pool_across))]


def geometry(side, axis, layer):
    """Along one side of a map: the number of windows, and the pixels of padding before the first."""
    pool, stride = layer.pool_size[axis], layer.strides[axis]
    if layer.padding == "valid":
        return (side - pool) // stride + 1, 0
    windows = -(-side // stride)
    return windows, at_least_zero((windows - 1) * stride + pool - side) // 2


def fit(x, start, size, fill=0):
    """The part of `x` from pixel `start` on, of `size`; what lies outside of `x` is `fill`."""
    inside, outside = [], []
    for first, length, side in zip(start, size, sides(x), strict=True):
        inside.append(slice(at_least_zero(first), first + length))
        outside.append((at_least_zero(-first), at_least_zero(first + length - side)))
    return tf.pad(x[:, *inside], [(0, 0), *outside, (0, 0)], constant_values=tf.constant(fill, x.dtype))


def at_least_zero(number):
    return max(number, 0) if isinstance(number, int) else tf.maximum(number, 0)


def sides(x):
    """Height and width: numbers where they are known, else scalar tensors."""
    dynamic = tf.shape(x)
    return [dynamic[axis] if x.shape[axis] is None else x.shape[axis] for axis in (1, 2)]


def index_type(pool_size):
    """Two numbers beyond a window's pixels are left for what lies in none."""
    return "uint8" if pool_size[0] * pool_size[1] <= 254 else "int32"


def pair(name, value):
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(type(each) is int and each >= 1 for each in values):
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1, or two of them.")
    return values
