"""A network as the table its paper prints."""

import math
from typing import NamedTuple

import keras

from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, PaddedIdentity


class Row(NamedTuple):
    """One layer. Sizes are a number where both sides agree, else (vertical, horizontal)."""

    name: str
    kind: str  # conv, fc, maxpool, avgpool, global avgpool, lrn, bn, add, concat, dropout, or the class's name
    kernel: int | tuple | None
    stride: int | tuple | None
    padding: int | tuple | None  # pixels on every side, or "before+after" where they differ
    groups: int | None
    output_shape: tuple  # without the batch
    weights: int  # kernels; other trainable arrays of layers that are not listed above
    biases: int
    gamma_beta: int  # scales and offsets of a normalisation; its moving statistics are not counted
    multiply_adds: int  # of convolutions and fully connected layers, for one image


KINDS = {
    keras.layers.Conv2D: "conv",
    keras.layers.Dense: "fc",
    keras.layers.MaxPooling2D: "maxpool",
    keras.layers.AveragePooling2D: "avgpool",
    keras.layers.GlobalAveragePooling2D: "global avgpool",
    keras.layers.BatchNormalization: "bn",
    keras.layers.Add: "add",
    keras.layers.Concatenate: "concat",
    keras.layers.Dropout: "dropout",
    LocalResponseNormalization: "lrn",
    OriginalDropout: "dropout",
}
UNLISTED = (  # a paper's table gives these no row
    keras.layers.InputLayer,
    keras.layers.ZeroPadding2D,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Softmax,
    keras.layers.Flatten,
    PaddedIdentity,
)


def layer_table(model):
    """Return the model's layers as a list of `Row`s, in the order a reader follows: main branch, then shortcut.

    Padding layers are told in the row of the layer they pad; activations, flattening and softmax have no row. A model
    inside the model is listed layer by layer.

    Raises:
        ValueError: the model is not built, or is no graph of layers (neither functional nor sequential).
    """
    if not isinstance(model, (keras.Sequential, keras.models.Model)) or not getattr(model, "inputs", None):
        raise ValueError(f"{getattr(model, 'name', model)} is not a built functional or sequential Keras model.")
    rows = []
    for layer in layers_in_order(model):
        if isinstance(layer, keras.Model):
            rows += layer_table(layer)
        elif not isinstance(layer, UNLISTED):
            rows.append(row(layer))
    return rows


def layers_in_order(model):
    """The layers of a functional model, each after its inputs, and a layer's first input before its second.

    Of several outputs the one nearest to the input comes first, so that an auxiliary head stands where it leaves.
    """
    paths = sorted((ancestors(output) for output in model.outputs), key=len)
    return list(dict.fromkeys(layer for path in paths for layer in path))


def ancestors(output):
    """The layers an output depends on, in the order described above, itself last."""
    order, seen = [], set()
    stack = [(output, False)]
    while stack:  # not recursive: a 1202-layer network is deeper than Python's stack
        tensor, inputs_done = stack.pop()
        layer, node, _ = tensor._keras_history
        if inputs_done:
            order.append(layer)
        elif (layer, node) not in seen:
            seen.add((layer, node))
            stack.append((tensor, True))
            stack += [(each, False) for each in reversed(layer._inbound_nodes[node].input_tensors)]
    return order


def row(layer):
    kind = next((KINDS[base] for base in type(layer).__mro__ if base in KINDS), type(layer).__name__)
    output_shape = tuple(layer.output.shape[1:])
    kernel = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    weights, biases, gamma_beta = count(layer)
    groups = getattr(layer, "groups", None) if kind == "conv" else None
    multiply_adds = 0
    if kind in ("conv", "fc"):
        places = output_shape[:-1]
        multiply_adds = 0 if None in places else weights * math.prod(places)
    return Row(
        layer.name,
        kind,
        both(kernel),
        both(getattr(layer, "strides", None)) if kernel else None,
        padding(layer, kernel) if kernel else None,
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
    for variable in layer.variables:
        if variable.name not in statistics and "seed" not in variable.name:
            counts[part.get(variable.name, "weights")] += math.prod(variable.shape)
    return counts.values()


def padding(layer, kernel):
    """Pixels of padding per side: what the padding layer before adds, and what "same" adds."""
    sides = []
    before = layer.input._keras_history.operation
    explicit = before.padding if isinstance(before, keras.layers.ZeroPadding2D) else ((0, 0), (0, 0))
    for axis in (0, 1):
        start, end = explicit[axis]
        if layer.padding == "same":
            size, stride = layer.input.shape[1 + axis], layer.strides[axis]
            overlap = kernel[axis] - stride if size is None else (-(-size // stride) - 1) * stride + kernel[axis] - size
            start, end = start + max(overlap, 0) // 2, end + max(overlap, 0) - max(overlap, 0) // 2
        sides.append(start if start == end else f"{start}+{end}")
    return both(tuple(sides))
