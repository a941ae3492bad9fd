"""Weights trained elsewhere, of torchvision and keras.applications, in the networks of this library.

Each layer's arrays are found by the other library's names for them, and all are found and compared in shape before the
first is assigned: weights of another network leave the model as it was.
"""

import re
from collections.abc import Mapping

import keras
import numpy as np

TORCH = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_torchvision(model, state_dict):
    """Load a state dict of torchvision's VGG-11/13/16/19, ResNet or DenseNet, or of a CIFAR ResNet in PyTorch.

    The logits are then torchvision's on the same images, as `(batch, height, width, channels)`: RGB, divided by 255,
    minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225), for torchvision's own weights. torchvision's
    bottlenecks stride in the 3x3: `resnet50(stride_in="3x3")`. A CIFAR ResNet has the names `conv1, bn1,
    layer1.0.conv1, ..., linear`, and `layer2.0.shortcut.0` for the projections of option B.

    Args:
        model: `vgg11` to `vgg19`, `resnet18` to `resnet152`, `resnet_cifar` or `densenet121` to `densenet201`.
        state_dict: a mapping of names to arrays or tensors, `module.state_dict()` or a published file's; a `module.` in
            front of every name, as data-parallel training leaves it, is ignored, and so is `num_batches_tracked`.

    Raises:
        ValueError: a network that torchvision does not have, or a state dict that does not fit, with the layers and
            both shapes. Nothing was loaded then.
    """
    if not isinstance(state_dict, Mapping):
        kind = type(state_dict).__name__
        raise ValueError(f"state_dict is a {kind}; it must be a mapping of names to arrays, as module.state_dict() is.")
    names = {ours: theirs for ours, theirs, _ in peer_names(model)}
    if not names:
        raise ValueError(
            f"{model.name} has no counterpart in torchvision, whose AlexNet (other widths, no towers) and GoogLeNet "
            "(batch normalisation, 3x3 for 5x5) are other networks than the papers'."
        )
    arrays = {torch_name(name): value for name, value in state_dict.items() if "num_batches_tracked" not in name}
    pairs = match(model, "state_dict", names, arrays, lambda variable: TORCH[variable], from_torch)
    if "res3a_branch2c" in names and model.get_layer("res3a_branch2a").strides != (1, 1):
        raise ValueError(f'{model.name} strides in its 1x1, torchvision in the 3x3; build it with stride_in="3x3".')
    assign(pairs)


def load_keras_applications(model, source, fold_biases=True):
    """Load the weights of `keras.applications`: VGG16, VGG19, ResNet50/101/152 or DenseNet121/169/201.

    The logits are then those of `source` with `classifier_activation=None` on the same images. Its published weights
    want what its `preprocess_input` gives: for VGG and ResNet **BGR** minus (103.939, 116.779, 123.68), for DenseNet
    RGB as torchvision's. Batch normalisation keeps this library's epsilon; the difference goes into the variances.

    Args:
        model: the network of the same name; a ResNet with `stride_in="1x1"`, the default.
        source: a `keras.applications` model with its classifier (`include_top=True`) and as many classes.
        fold_biases: its ResNets have a bias in every convolution, these have none: the bias is subtracted from the
            moving mean of the batch normalisation after it, which leaves the same function. False refuses a ResNet
            whose biases are not all zero.

    Raises:
        ValueError: a network that `keras.applications` does not have, or a source that does not fit, with the layers
            and both shapes. Nothing was loaded then.
    """
    if not isinstance(source, keras.Model):
        raise ValueError(f"source is a {type(source).__name__}; it must be a model of keras.applications.")
    names = {ours: theirs for ours, _, theirs in peer_names(model) if theirs}
    if not names:
        raise ValueError(f"{model.name} has no counterpart in keras.applications.")
    peers = {layer.name: layer for layer in source.layers}
    arrays = {f"{name}.{variable.name}": variable for name, layer in peers.items() for variable in layer.weights}
    strides = []
    for ours, theirs in names.items():
        layer, peer = model.get_layer(ours), peers.get(theirs)
        if isinstance(layer, keras.layers.BatchNormalization) and isinstance(peer, keras.layers.BatchNormalization):
            arrays[f"{theirs}.moving_variance"] = peer.moving_variance + (peer.epsilon - layer.epsilon)
        if isinstance(layer, keras.layers.Conv2D) and isinstance(peer, keras.layers.Conv2D):
            strides += [(ours, layer.strides, theirs, peer.strides)] if layer.strides != peer.strides else []
    for ours, theirs in names.items():
        mean = f"{theirs.removesuffix('conv')}bn.moving_mean"
        if getattr(model.get_layer(ours), "use_bias", True) or f"{theirs}.bias" not in arrays or mean not in arrays:
            continue
        bias = np.asarray(arrays.pop(f"{theirs}.bias"))
        if bias.any() and not fold_biases:
            raise ValueError(f"{theirs} has biases, {ours} has none; fold_biases=True takes them into {mean}.")
        if arrays[mean].shape == bias.shape:
            arrays[mean] = arrays[mean] - bias
    pairs = match(model, source.name, names, arrays, lambda variable: variable, lambda array, layer: np.asarray(array))
    if strides:
        ours, stride, theirs, other = strides[0]
        advice = 'build it with stride_in="1x1"'
        raise ValueError(f"{model.name}'s {ours} has strides {stride}, {source.name}'s {theirs} {other}; {advice}.")
    assign(pairs)


def peer_names(model):
    """Triples of a layer's name here, in torchvision, and in keras.applications (or None); none for other networks."""
    layers = {layer.name for layer in model.layers}
    if "conv1_1" in layers:
        return vgg_names(model)
    if "res2a_branch2a" in layers:
        return [resnet_names(name) for name in layers if re.match("res.*branch|bn|conv1$|fc1000", name)]
    if "s1_b1_a" in layers:
        return 
