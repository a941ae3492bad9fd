"""A network as the table its paper prints."""

import math
from typing import NamedTuple

import keras

from keras_cnns.layers import (
    Crop,
    EachRoI,
    LocalResponseNormalization,
    MaxUnpooling,
    OriginalDropout,
    PaddedIdentity,
    RoIsOfImages,
)


class Row(NamedTuple):
    """One layer. Sizes are a number where both sides agree, else (vertical, horizontal)."""

    name: str
    kind: str  # conv, deconv, fc, maxpool, unpool, avgpool, global avgpool, lrn, bn, add, concat, dropout, crop, or the
    # class's name
    kernel: int | tuple | None
    stride: int | tuple | None
    padding: int | tuple | None  # pixels on every side, or "before+after" where they differ
    groups: int | None
    output_shape: tuple  # without the batch
    weights: int  # kernels; other trainable arrays of layers that are not listed above
    biases: int
    gamma_beta: int  # scales and offsets of a normalisation; its moving statistics are not counted
    multiply_adds: int  # of convolutions and fully connected layers, for one image; 0 where its size is not fixed


KINDS = {
    keras.layers.Conv2D: "conv",
    keras.layers.Conv2DTranspose: "deconv",
    keras.layers.Dense: "fc",
    keras.layers.MaxPooling2D: "maxpool",
    keras.layers.AveragePooling2D: "avgpool",
    keras.layers.GlobalAveragePooling2D: "global avgpool",
    keras.layers.BatchNormalization: "bn",
    keras.layers.Add: "add",
    keras.layers.Concatenate: "concat",
    keras.layers.Dropout: "dropout",
    Crop: "crop",
    LocalResponseNormalization: "lrn",
    MaxUnpooling: "unpool",
    OriginalDropout: "dropout",
}
UNLISTED = (  # a paper's table gives these no row
    keras.layers.InputLayer,
    keras.layers.ZeroPadding2D,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.Softmax,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Rescaling,
    PaddedIdentity,
    EachRoI,
    RoIsOfImages,
)


def layer_table(model: keras.Model) -> list[Row]:
    """Return the model's layers as a list of `Row`s, in the order a reader follows: main branch, then shortcut.

    Padding layers are told in the row of the layer they pad, and a crop before an addition in the addition's;
    activations, flattening and softmax have no row. A model inside the model is listed layer by layer. A layer used
    several times has one row, that of its first use.

    Raises:
        ValueError: the model is not built, or is no graph of layers (neither functional nor sequential).
    """
    if not isinstance(model, (keras.Sequential, keras.models.Model)) or not getattr(model, "inputs", None):
        raise ValueError(f"{getattr(model, 'name', model)} is not a built functional or sequential Keras model.")
    rows, order = [], layers_in_order(model)
    adding = [node for layer, node in order.items() if isinstance(layer, keras.layers.Add)]
    added = {id(tensor) for node in adding for tensor in node.input_tensors}
    for layer, node in order.items():
        if isinstance(layer, keras.Model):
            rows += layer_table(layer)
        elif not isinstance(layer, UNLISTED) and not (isinstance(layer, Crop) and id(node.outputs[0]) in added):
            rows.append(row(layer, node))
    return rows


def layers_in_order(model):
    """The layers of a functional model, each after its inputs, and a layer's first input before its second.

    A dict from layer to its first node in this model: a layer may serve other models, on inputs of other sizes.
    Of several outputs the one nearest to the input comes first, so that an auxiliary head stands where it leaves.
    """
    order = {}
    for path in sorted((ancestors(output) for output in model.outputs), key=len):
        for node in path:
            order.setdefault(node.operation, node)
    return order


def ancestors(output):
    """The graph nodes (calls of layers) an output depends on, in the order described above, itself last."""
    order, seen = [], set()
    stack = [(output, False)]
    while stack:  # not recursive: a 1202-layer network is deeper than Python's stack
        tensor, inputs_done = stack.pop()
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        if inputs_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((tensor, True))
            stack += [(each, False) for each in reversed(node.input_tensors)]
    return order


def row(layer, node):
    kind = next((KINDS[base] for base in type(layer).__mro__ if base in KINDS), type(layer).__name__)
    output_shape = tuple(node.outputs[0].shape[1:])
    kernel = None if kind == "unpool" else getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    weights, biases, gamma_beta = count(layer)
    groups = getattr(layer, "groups", 1) if kind in ("conv", "deconv") else None
    multiply_adds = 0
    if kind in ("conv", "deconv", "fc"):
        places = output_shape[:-1] if kind != "deconv" else node.input_tensors[0].shape[1:-1]
        multiply_adds = 0 if None in places else weights * math.prod(places)
    return Row(
        layer.name,
        kind,
        both(kernel),
        both(getattr(layer, "strides", None)) if kernel else None,
        padding(layer, node.input_tensors[0], kernel) if kernel else None,
        groups,
        output_shape,
        weights,
        biases,
        gamma_beta,
        multiply_adds,
    )


def both(pair):
    """One number for a square kernel or stride, the pair for another."""
    if isinstance(pair, (tuple, list)) and len(set(pair)) == 1:
        return pair[0]
    return pair


def count(layer):
    """Trainable numbers of a layer, as (weights, biases, gamma and beta)."""
    counts = {"weights": 0, "biases": 0, "gamma_beta": 0}
    part = {"bias": "biases", "gamma": "gamma_beta", "beta": "gamma_beta"}
    statistics = ("moving_mean", "moving_variance")
    for variable in getattr(layer, "variables", ()):  # a bare operation, such as x + y, has none
        if variable.name not in statistics and "seed" not in variable.name:
            counts[part.get(variable.name, "weights")] += math.prod(variable.shape)
    return counts.values()


def padding(layer, image, kernel):
    """Pixels of padding per side: what the padding layer before adds, and what "same" adds.

    "same" on a side of unknown size is told as for a size that the stride divides; of a transposed convolution it is
    that of the convolution which it transposes.
    """
    sides = []
    before = image._keras_history.operation
    dilation = getattr(layer, "dilation_rate", (1, 1))
    explicit = before.padding if isinstance(before, keras.layers.ZeroPadding2D) else ((0, 0), (0, 0))
    for axis in (0, 1):
        start, end = explicit[axis]
        if layer.padding == "same":
            size, stride = image.shape[1 + axis], layer.strides[axis]
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            free = size is None or isinstance(layer, keras.layers.Conv2DTranspose)
            overlap = reach - stride if free else (-(-size // stride) - 1) * stride + reach - size
            start, end = start + max(overlap, 0) // 2, end + max(overlap, 0) - max(overlap, 0) // 2
        sides.append(start if start == end else f"{start}+{end}")
    return both(tuple(sides))
