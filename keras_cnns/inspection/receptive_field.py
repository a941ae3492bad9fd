"""The part of an image that one pixel of a feature map sees: by arithmetic, and measured by gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, inf, lcm
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_cnns.inspection.calls import calls_of, find_call, image_sides, is_image
from keras_cnns.inspection.layer_table import both
from keras_cnns.layers import (
    BedOfNailsUnpooling,
    Crop,
    LocalResponseNormalization,
    MaxPoolingWithIndices,
    MaxUnpooling,
    NearestUnpooling,
    OriginalDropout,
    PaddedIdentity,
)
from keras_cnns.layers.unpooling import fit, sides


class ReceptiveField(NamedTuple):
    """In pixels of the image; a number where both sides agree, else (vertical, horizontal).

    Pixel i of the map sees `size` pixels of the image, the first of them at `offset + i * stride`.
    """

    size: int | tuple | None  # None: the whole image, whose size is free
    stride: int | Fraction | tuple | None  # None: the layer has no places, every unit sees the same
    offset: int | tuple | None  # where the first pixel's field begins; negative inside the padding


class MeasuredField(NamedTuple):
    """In pixels of the image; a number where both sides agree, else (vertical, horizontal)."""

    size: int | tuple
    box: tuple  # (x1, y1, x2, y2), the last two exclusive: what the unit sees within the image
    unit: tuple | None  # (row, column) of the unit measured, the map's middle; None where the layer has no places
    image: tuple  # (height, width) of the image it was measured on


def receptive_field(model: keras.Model, layer: keras.layers.Layer | str) -> ReceptiveField:
    """Return the `ReceptiveField` of one layer of a Keras model, computed from kernels, strides and padding.

    Padding counts as image: a field may be larger than the image. Of branches that meet, their union counts; where
    upsampling gives neighbouring pixels different fields, the largest does. A layer after global pooling or flattening
    sees whatever the map before it sees of the image. Maps of free size are taken to be multiples of every stride.

    Args:
        model: a built functional or sequential model; models inside it are opened.
        layer: a layer or its name; of a layer called several times, the last call.

    Raises:
        ValueError: no such layer (the nearest names are told), or one that stands behind a layer of which the
            arithmetic cannot know what it mixes; `measured_receptive_field` can.
    """
    calls = calls_of(model)
    call = find_call(calls, model, layer)
    fields = field_of_every_call(calls)[call]
    if isinstance(fields, str):
        raise ValueError(fields)
    return summary(fields, image_sides(calls))


def receptive_fields(model):
    """Return the `ReceptiveField` of every layer by its name, or the sentence that says why it has none."""
    calls = calls_of(model)
    sides = image_sides(calls)
    return {
        call.layer.name: fields if isinstance(fields, str) else summary(fields, sides)
        for call, fields in field_of_every_call(calls).items()
    }


def measured_receptive_field(model: keras.Model, layer: keras.layers.Layer | str) -> MeasuredField:
    """Return the `MeasuredField` of a layer: the pixels of the image on which its middle unit's gradient is not zero.

    The layers themselves run, one after another, with all weights one, so that nothing cancels, on maps of ones, so
    that no ReLU is shut, max pooling averages, since its gradient would reach one pixel of each window alone, and max
    unpooling repeats.
    Between layers only the gradient's places are kept: the product of hundreds of layers would underflow. The model's
    own weights are left alone. An image of free size is taken larger than the field, or 256 if the arithmetic fails.

    Arguments and errors: as in `receptive_field`, but no layer is refused unless its gradient stops.
    """
    calls = calls_of(model)
    target = find_call(calls, model, layer)
    needed = {target}
    for call in reversed(calls):
        if call in needed:
            needed.update(source for source, _ in call.inputs)
    if not any(is_image(call) for call in needed):
        raise ValueError(f"layer {target.layer.name!r} of {model.name} depends on no image.")

    fields = field_of_every_call(calls)[target]
    sizes = (inf, inf) if isinstance(fields, str) else [field.size for field in fields]
    free = [256 if size == inf else 1 << max(64, size + size // 4).bit_length() for size in sizes]
    variables = [variable for call in needed for variable in getattr(call.layer, "variables", ())]
    weights = [variable for variable in variables if "float" in variable.dtype]
    ones = keras.StatelessScope([(weight, tf.ones(weight.shape, weight.dtype)) for weight in weights])
    values, images = {}, []
    with tf.GradientTape() as tape, ones:
        for call in calls:
            if call not in needed:
                continue
            if not call.inputs:
                values[call] = [tf.ones(ones_shape(call, free), call.tensors[0].dtype)]
                if is_image(call):
                    tape.watch(values[call])
                    images += values[call]
                continue
            tensors = dict(zip(call.input_ids, (values[source][i] for source, i in call.inputs), strict=True))
            arguments, keywords = call.arguments.fill_in(tensors)
            outputs = average_for_max(call.layer)(*arguments, **keywords)
            values[call] = [places_only(output) for output in tf.nest.flatten(outputs)]
        output = values[target][0]
        unit = tuple(side // 2 for side in output.shape[1:3]) if output.shape.rank == 4 else None
        seen = tf.reduce_sum(output[:, unit[0], unit[1]] if unit else output)
    gradients = [gradient for gradient in tape.gradient(seen, images) if gradient is not None]
    touched = sum((tf.reduce_sum(tf.abs(gradient), axis=(0, 3)) for gradient in gradients), 0.0)
    rows, columns = tf.where(touched).numpy().T if gradients else ((), ())
    if not len(rows):
        raise ValueError(f"no gradient leads from layer {target.layer.name!r} of {model.name} back to the image.")
    box = tuple(map(int, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
    return MeasuredField(both((box[3] - box[1], box[2] - box[0])), box, unit, tuple(images[0].shape[1:3]))


def ones_shape(call, free):
    """The shape of one input of ones; image sides that the model leaves free are `free`."""
    shape = list(call.tensors[0].shape[1:])
    if is_image(call):
        shape[:2] = [given or side for given, side in zip(shape, free, strict=False)]
    return (1, *(side or 1 for side in shape))


@tf.custom_gradient
def places_only(x):
    """Ones in place of the values; in place of a gradient that is not zero one that a softmax cannot cancel either."""

    def places(gradient):
        noise = tf.random.stateless_uniform(tf.shape(gradient), (0, 0), 1, 2)
        return tf.where(gradient != 0, tf.cast(noise, gradient.dtype), 0)

    return tf.ones_like(x), places


def average_for_max(layer):
    if isinstance(layer, MaxPoolingWithIndices):
        average = keras.layers.AveragePooling2D(layer.pool_size, layer.strides, layer.padding)
        return lambda x: (average(x), average(x))  # the indices depend on the same pixels
    if isinstance(layer, MaxUnpooling):

        def repeat(x, indices, like=None):
            y = NearestUnpooling(layer.strides)(x + indices)
            return y if like is None else fit(y, (0, 0), sides(like))

        return repeat
    if isinstance(layer, keras.layers.MaxPooling2D):
        return lambda x: keras.ops.average_pool(x, layer.pool_size, layer.strides, layer.padding)
    if isinstance(layer, keras.layers.GlobalMaxPooling2D):
        return lambda x: keras.ops.mean(x, axis=(1, 2), keepdims=layer.keepdims)
    return layer


# The arithmetic.


@dataclass
class Field:
    """What the pixels of a map see along one side of the image: pixel i the image's pixels first .. last.

    The fields of the first few pixels are listed; those of the next few lie `advance` further on, and so forth. One is
    listed unless there was upsampling. An `advance` of zero: all see the same, since a global pooling.
    """

    listed: list
    advance: int = 1

    def __getitem__(self, i):
        turns, i = divmod(i, len(self.listed))
        return tuple(end + turns * self.advance for end in self.listed[i])

    @property
    def size(self):
        return max(last - first + 1 for first, last in self.listed)

    @property
    def stride(self):
        return Fraction(self.advance, len(self.listed))

    def through(self, window):
        """The field of the next map, whose pixels see this one's through a `Window`."""
        turns = len(self.listed) // gcd(len(self.listed), window.inputs)
        spans = [window.span(i) for i in range(window.outputs * turns)]
        listed = [(self[first][0], self[last][1]) for first, last in spans]
        return Field(listed, self.advance * window.inputs * turns // len(self.listed))

    def whole(self, side):
        """The field of a unit that sees the whole map of `side` pixels."""
        if side is None:
            return Field([(-inf, inf)], 0)
        return Field([(self[0][0], self[side - 1][1])], 0)


class Window(NamedTuple):
    """Along one side: `span(i)` is what output pixel i sees of the input, (first pixel, last pixel).

    `outputs` pixels further on in the output it is `inputs` pixels further on in the input.
    """

    span: Callable
    outputs: int = 1
    inputs: int = 1


KERNELS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
WHOLE_MAP = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
MEETING = (
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Concatenate,
)
OPERATIONS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate", "Relu")  # bare ones, such as x + y
PIXEL_BY_PIXEL = (
    keras.layers.Dense,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.Softmax,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Identity,
    LocalResponseNormalization,
    OriginalDropout,
)


def field_of_every_call(calls):
    """A dict from call to its (vertical, horizontal) `Field`s, or to a sentence on the layer that forbids them."""
    fields = {}
    for call in calls:
        given = [fields[source] for source, _ in call.inputs]
        fields[call] = next((each for each in given if isinstance(each, str)), None) or next_fields(call, given)
    return fields


def next_fields(call, given):
    layer = call.layer
    if not call.inputs:
        if is_image(call):
            return Field([(0, 0)]), Field([(0, 0)])
        return f"input {layer.name!r} of shape {call.tensors[0].shape} is no image."
    no_places = [fields for fields in given if not any(field.advance for field in fields)]
    if no_places:  # nothing can add to them
        return union(no_places)
    shape = next(source.tensors[index].shape for source, index in call.inputs)
    refused = f"layer {layer.name!r} of class {type(layer).__name__}"
    if getattr(layer, "data_format", None) == "channels_first":
        return f"{refused} has its channels first; only (batch, height, width, channels) is understood."
    if getattr(layer, "axis", -1) not in (-1, [-1], (-1,), len(shape) - 1, [3], (3,)):
        return f"{refused} works along axis {layer.axis}, not along the channels."
    if isinstance(layer, WHOLE_MAP):
        return tuple(field.whole(side) for field, side in zip(given[0], shape[1:3], strict=True))
    if isinstance(layer, MEETING) or (type(layer).__name__ in OPERATIONS and not isinstance(layer, keras.layers.Layer)):
        if any(len({fields[axis].stride for fields in given}) > 1 for axis in (0, 1)):
            return f"{refused} joins maps of different strides."
        return union(given)
    if isinstance(layer, PIXEL_BY_PIXEL):
        return given[0]
    windows = [window(layer, shape, axis) for axis in (0, 1)]
    if None in windows:
        return f"{refused} may mix places in a way that the arithmetic does not know."
    return tuple(field.through(window) for field, window in zip(given[0], windows, strict=True))


def union(given):
    def joined(fields):
        listed = lcm(*(len(field.listed) for field in fields))
        spans = [[field[i] for field in fields] for i in range(listed)]
        ends = [(min(first for first, _ in each), max(last for _, last in each)) for each in spans]
        return Field(ends, fields[0].advance * listed // len(fields[0].listed))

    return tuple(joined(fields) for fields in zip(*given, strict=True))


def window(layer, shape, axis):
    """The `Window` of a layer along one axis of its input, or None for a class not known."""
    if isinstance(layer, (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)):
        before = layer.padding if isinstance(layer, keras.layers.ZeroPadding2D) else layer.cropping
        shift = -before[axis][0] if isinstance(layer, keras.layers.ZeroPadding2D) else before[axis][0]
        return Window(lambda i: (i + shift, i + shift))
    if isinstance(layer, BedOfNailsUnpooling) or (
        isinstance(layer, MaxUnpooling) and layer.pool_size == layer.strides == (2, 2)
    ):
        times = layer.size[axis] if isinstance(layer, BedOfNailsUnpooling) else 2
        return Window(lambda i: (i // times, i // times), times, 1)
    if isinstance(layer, Crop):
        return Window(lambda i: (i + layer.offset, i + layer.offset))
    if isinstance(layer, PaddedIdentity):
        return Window(lambda i: (i * layer.strides, i * layer.strides), 1, layer.strides)
    if isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation in ("nearest", "bilinear"):
        times = layer.size[axis]
        if layer.interpolation == "nearest":
            return Window(lambda i: (i // times, i // times), times, 1)
        # Output centre i + 1/2 lies at (i + 1/2) / times - 1/2 of the input, between two pixels or on one.
        return Window(lambda i: ((2 * i + 1 - times) // (2 * times), -((times - 2 * i - 1) // (2 * times))), times, 1)
    if not isinstance(layer, (*KERNELS, keras.layers.Conv2DTranspose)):
        return None

    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    stride = layer.strides[axis]
    extent = (kernel[axis] - 1) * getattr(layer, "dilation_rate", (1, 1))[axis] + 1
    if isinstance(layer, keras.layers.Conv2DTranspose):
        # The transpose of a convolution from the output to the input: pixel j of the input is spread over the output's
        # j * stride - before ... + extent - 1. The padding follows from the output's size, which 99 pixels tell.
        output = layer.compute_output_shape((1, 99, 99, shape[-1]))[1 + axis]
        before = max(98 * stride + extent - output, 0) // 2
        return Window(lambda i: (-((extent - 1 - i - before) // stride), (i + before) // stride), stride, 1)
    before = 0
    if layer.padding == "same":
        side = shape[1 + axis]
        overlap = extent - stride if side is None else (-(-side // stride) - 1) * stride + extent - side
        before = max(overlap, 0) // 2
    return Window(lambda i: (i * stride - before, i * stride - before + extent - 1), 1, stride)


def summary(fields, sides):
    """The `ReceptiveField` of (vertical, horizontal) `Field`s in an image of these sides."""
    sizes, strides, offsets = [], [], []
    for field, side in zip(fields, sides, strict=True):
        if field.advance == 0:  # all units see the same: the map's field, cut at the image's edge
            first, last = field[0]
            first, last = max(first, 0), min(last, inf if side is None else side - 1)
            sizes.append(None if last == inf else last - first + 1)
            strides.append(None)
            offsets.append(first)
        else:
            sizes.append(field.size)
            strides.append(int(field.stride) if field.stride.denominator == 1 else field.stride)
            offsets.append(field[0][0])
    return ReceptiveField(both(tuple(sizes)), both(tuple(strides)), both(tuple(offsets)))
