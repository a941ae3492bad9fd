"""A trained network as it is fastest to run: batch normalisation inside the convolution before it."""

from collections import Counter

import keras
import numpy as np

from keras_cnns.layers import BatchNormalization

NORMALIZATIONS = (keras.layers.BatchNormalization, BatchNormalization)
FOLDABLE = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
)
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def fold_batch_normalization(model):
    """Return a copy of a network for inference, without the dropout and the batch normalisations it can do without.

    With s = gamma / sqrt(variance + epsilon), a normalisation right after a convolution or dense layer without
    activation is part of it: kernel w becomes s w and bias b becomes s (b - mean) + beta, computed in float64. It stays
    where it follows anything else, as in DenseNet, or a layer that is called twice, whose output goes elsewhere too,
    that computes in another precision, or whose class has a `call` or weights of its own beside kernel and bias.
    Inputs, outputs and the names of the layers that stay are the model's; nested models are treated alike. It is of no
    use for training; the model itself is not changed.

    Args:
        model: a built functional or Sequential model, whose layers their configurations rebuild.

    Raises:
        ValueError: a model that is neither, such as a subclassed one.
    """
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ValueError(f"{model.name} is no built functional or Sequential model; only those can be folded.")
    model = keras.Model(graph.input, graph.output, name=model.name)
    normalizations = foldable(model)
    folded = {norm.name for norm in normalizations.values()}

    def rebuild(layer):
        if isinstance(layer, keras.Model):
            return fold_batch_normalization(layer)
        bias = {"use_bias": True} if layer.name in normalizations else {}
        return type(layer).from_config({**layer.get_config(), **bias})

    def call(layer, *args, **kwargs):
        idle = type(layer) in TRAINING_ONLY and not kwargs.get("training")
        return args[0] if idle or layer.name in folded else layer(*args, **kwargs)

    inputs = keras.tree.map_structure(
        lambda put: keras.Input(batch_shape=put.shape, dtype=put.dtype, name=put._keras_history.operation.name),
        model.input,
    )
    copy = keras.models.clone_model(model, inputs, clone_function=rebuild, call_function=call)
    for layer in copy.layers:
        source = model.get_layer(layer.name)
        if layer.name in normalizations:
            layer.set_weights(folded_weights(source, normalizations[layer.name]))
        elif not isinstance(layer, keras.Model):
            layer.set_weights(source.get_weights())
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # its weights are read only here
    return copy


def foldable(model):
    """A dict from the names of the layers that take a normalisation in to these normalisations."""
    nodes = [node for level in model._nodes_by_depth.values() for node in level if not node.is_input]
    calls = Counter(node.operation.name for node in nodes)
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in model.outputs)
    normalizations = {}
    for node in nodes:
        if type(node.operation) in NORMALIZATIONS and not node.arguments.kwargs.get("training"):
            x, before = node.input_tensors[0], node.input_tensors[0]._keras_history.operation
            once = calls[before.name] == calls[node.operation.name] == uses[id(x)] == 1
            if once and takes_in(before, node.operation, len(x.shape)):
                normalizations[before.name] = node.operation
    return normalizations


def takes_in(layer, norm, rank):
    """Whether a normalisation of the layer's output, of `rank` dimensions, can be written as its kernel and bias."""
    return (
        any(isinstance(layer, kind) and type(layer).call is kind.call for kind in FOLDABLE)
        and layer.activation is keras.activations.linear
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and norm.axis in (-1, rank - 1)
        and len(layer.weights) == 1 + layer.use_bias
        and layer.compute_dtype == norm.compute_dtype
    )


def folded_weights(layer, norm):
    """The layer's kernel and bias with the normalisation in them."""
    kernel, bias, *_ = [np.float64(weight) for weight in layer.get_weights()] + [np.float64(0)]
    scale = np.float64(norm.gamma) if norm.scale else 1.0
    scale = scale / np.sqrt(np.float64(norm.moving_variance) + norm.epsilon)
    bias = (bias - np.float64(norm.moving_mean)) * scale + (np.float64(norm.beta) if norm.center else 0.0)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # kernel (h, w, channels, multiplier)
        scale = scale.reshape(kernel.shape[-2:])
    elif isinstance(layer, keras.layers.Conv2DTranspose):  # kernel (h, w, filters, channels)
        scale = scale[:, None]
    return [kernel * scale, bias]
