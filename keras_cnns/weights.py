"""Weights trained elsewhere, by torchvision, keras.applications or another network, in the networks of this library.

A layer's arrays are found by the name that the other library gives it. All are found, and their shapes compared, before
the first is assigned: what does not fit leaves the model as it was.
"""

import math
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


def load_torchvision(model: keras.Model, state_dict: Mapping) -> None:
    """Load a state dict of torchvision's VGG, ResNet, DenseNet or Mask R-CNN, or of a CIFAR ResNet in PyTorch.

    The logits are then torchvision's on the same images, which for its published weights are RGB, divided by 255, minus
    (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225). Import torchvision before this library: the Triton it may
    bring crashes when it is loaded after TensorFlow.

    Args:
        model: `vgg11`, 13, 16, 19 of an input that ends in 7x7 maps (224 to 255 pixels a side); `resnet18`, 34, or 50,
            101, 152 with `stride_in="3x3"`, as torchvision has it; `densenet121`, 161, 169, 201; or `resnet_cifar`, for
            the names `conv1, bn1, layer1.0.conv1, ..., linear`, with `layer2.0.shortcut.0` for option B's projections;
            or `mask_rcnn` with `stride_in="3x3"`, whose parts then compute what those of torchvision's
            `maskrcnn_resnet50_fpn` do (its anchors are rounded otherwise, so what it finds is not quite the same).
        state_dict: a mapping of names to arrays or tensors: `module.state_dict()`, or what a published file holds.
            `num_batches_tracked` is ignored, and a `module.` before the names, which data-parallel training leaves.

    Raises:
        ValueError: a network that torchvision does not have, or a state dict that does not fit, with the layers and
            both shapes. Nothing is loaded then.
    """
    if not isinstance(state_dict, Mapping) or not all(isinstance(name, str) for name in state_dict):
        kind = type(state_dict).__name__
        raise ValueError(f"state_dict is a {kind}; it must be a mapping of names to arrays, as module.state_dict() is.")
    arrays = {torch_name(name): value for name, value in state_dict.items() if "num_batches_tracked" not in name}
    if isinstance(model, keras.Model) and "mask_head" in [layer.name for layer in model.layers]:
        load_mask_rcnn(model, arrays)
        return
    names = {ours: theirs for ours, (theirs, _) in peer_names(model).items()}
    if None in names.values():
        raise ValueError(
            f"{model.name} is not in torchvision, whose AlexNet (one tower, other widths) and GoogLeNet (batch "
            "normalisation, 3x3 for 5x5) are not the papers' networks either."
        )
    pairs = match(model, "state_dict", names, TORCH, arrays, from_torch)
    if "res3a_branch2c" in names and model.get_layer("res3a_branch2a").strides != (1, 1):
        raise ValueError(f'{model.name} strides in the 1x1, torchvision in the 3x3: build it with stride_in="3x3".')
    assign(pairs)


def load_mask_rcnn(model, arrays):
    """The parts of torchvision's Mask R-CNN with a feature pyramid, by arrays of its names."""
    if "res5" in [layer.name for layer in model.layers]:
        raise ValueError(f'{model.name} has the neck "c4"; torchvision has the other alone.')
    arrays = {mask_rcnn_entry(name): torch_array(value) for name, value in arrays.items()}
    for kind in ("weight", "bias"):  # a mask of the background, which nothing reads
        name = f"{MASK_RCNN['mask_logits']}.{kind}"
        arrays |= {name: arrays[name][1:]} if name in arrays else {}
    pairs = []
    for part, prefixes in (
        ("features", ("backbone", "rpn")),
        ("box_head", "roi_heads.box"),
        ("mask_head", "roi_heads.mask"),
    ):
        own = model.get_layer(part)
        names = {layer.name: mask_rcnn_name(layer.name) for layer in own.layers if layer.weights}
        of_part = {name: value for name, value in arrays.items() if name.startswith(prefixes)}
        pairs += match(own, "state_dict", names, TORCH, of_part, from_torch)
    if model.get_layer("features").get_layer("res3a_branch2a").strides != (1, 1):
        raise ValueError(f'{model.name} strides in the 1x1, torchvision in the 3x3: build it with stride_in="3x3".')
    assign(pairs)


def mask_rcnn_name(name):
    """torchvision's name of a layer of Mask R-CNN's."""
    return MASK_RCNN.get(name) or f"backbone.body.{resnet(name, [])[0]}"


def mask_rcnn_entry(name):
    """An entry's name in today's torchvision, whose published file is older."""
    for pattern, today in (
        (r"(_blocks\.\d)\.(weight|bias)", r"\1.0.\2"),
        (r"rpn\.head\.conv\.(weight|bias)", r"rpn.head.conv.0.0.\1"),
        (r"mask_fcn(\d)", lambda found: f"{int(found[1]) - 1}.0"),
    ):
        name = re.sub(pattern, today, name)
    return name


MASK_RCNN = {f"fpn_lateral{level}": f"backbone.fpn.inner_blocks.{level - 2}.0" for level in (2, 3, 4, 5)}
MASK_RCNN |= {f"fpn_out{level}": f"backbone.fpn.layer_blocks.{level - 2}.0" for level in (2, 3, 4, 5)}
MASK_RCNN |= {"rpn_conv": "rpn.head.conv.0.0", "rpn_cls": "rpn.head.cls_logits", "rpn_bbox": "rpn.head.bbox_pred"}
MASK_RCNN |= {name: f"roi_heads.box_head.{name}" for name in ("fc6", "fc7")}
MASK_RCNN |= {name: f"roi_heads.box_predictor.{name}" for name in ("cls_score", "bbox_pred")}
MASK_RCNN |= {f"mask_conv{i}": f"roi_heads.mask_head.{i - 1}.0" for i in (1, 2, 3, 4)}
MASK_RCNN |= {"mask_deconv": "roi_heads.mask_predictor.conv5_mask"}
MASK_RCNN |= {"mask_logits": "roi_heads.mask_predictor.mask_fcn_logits"}


def load_keras_applications(model: keras.Model, source: keras.Model, fold_biases: bool = True) -> None:
    """Load the weights of a VGG, ResNet or DenseNet of keras.applications.

    The logits are then those of the source with `classifier_activation=None` on the same images. Its published weights
    want what its `preprocess_input` gives: for VGG and ResNet BGR, not RGB, minus (103.939, 116.779, 123.68); for
    DenseNet the same as torchvision's. Where its epsilon differs from ours, the difference goes into the variances.

    Args:
        model: `vgg16`, 19, `resnet50`, 101, 152 with `stride_in="1x1"`, or `densenet121`, 169, 201.
        source: that model of keras.applications, with its classifier and for the same classes.
        fold_biases: its ResNets have biases in their convolutions, ours have none: True subtracts them from the moving
            means of the batch normalisations that follow, which computes the same; False refuses any that is not zero.

    Raises:
        ValueError: a network that keras.applications does not have, or a source that does not fit, with the layers and
            both shapes. Nothing is loaded then.
    """
    if not isinstance(source, keras.Model):
        raise ValueError(f"source is a {type(source).__name__}; it must be a model of keras.applications.")
    names = {ours: theirs for ours, (_, theirs) in peer_names(model).items()}
    if None in names.values():
        raise ValueError(f"{model.name} is not in keras.applications.")
    peers = {layer.name: layer for layer in source.layers}
    arrays = {f"{name}.{variable.name}": variable for name, peer in peers.items() for variable in peer.weights}
    shared = [(model.get_layer(ours), peers[theirs]) for ours, theirs in names.items() if theirs in peers]
    for layer, peer in shared:
        bias, mean = f"{peer.name}.bias", f"{peer.name.removesuffix('conv')}bn.moving_mean"
        if hasattr(layer, "epsilon") and hasattr(peer, "epsilon"):
            arrays[f"{peer.name}.moving_variance"] = np.asarray(peer.moving_variance) + (peer.epsilon - layer.epsilon)
        elif not layer.use_bias and bias in arrays and mean in arrays:
            values = np.asarray(arrays.pop(bias))
            if values.any() and not fold_biases:
                raise ValueError(f"{bias} is not zero and {layer.name} has no bias; fold_biases=True would take it in.")
            arrays[mean] = np.asarray(arrays[mean]) - values
    pairs = match(model, source.name, names, {name: name for name in TORCH}, arrays, lambda array, layer: array)
    for layer, peer in shared:
        if getattr(layer, "strides", None) != getattr(peer, "strides", None):
            where = f"{layer.name} strides by {layer.strides}, {peer.name} by {peer.strides}"
            raise ValueError(f'{where}: build {model.name} with stride_in="1x1", as keras.applications has it.')
    assign(pairs)


def load_layers(model: keras.Model, source: keras.Model | Mapping) -> list[str]:
    """Load the layers that a network has in common with another, found by name, and return their names.

    So a classifier gives its trunk to FCN, SegNet and DeconvNet, FCN-32s starts FCN-16s, and FCN-16s starts FCN-8s. A
    fully connected layer over maps becomes the convolution of its window. What either has alone stays as it is.

    Args:
        model: the network to load into.
        source: a network of this library; VGG-16 of keras.applications, with its classifier or without; or a state dict
            of torchvision's VGG-16. Images must then be prepared as the source wants them.

    Raises:
        ValueError: a source that shares no layer, one whose layers of these names have other shapes, or another VGG,
            with convolutions that the model lacks. Nothing is loaded then.
    """
    if isinstance(source, keras.Model):
        names = {VGG16.get(layer.name, layer.name): layer for layer in source.layers}
        arrays = {f"{name}.{w.name}": np.asarray(w) for name, layer in names.items() for w in layer.weights}
        title = source.name
    elif isinstance(source, Mapping):
        parts = [(*torch_name(entry).rpartition("."), value) for entry, value in source.items()]
        kinds = {"weight": "kernel"}
        arrays = {f"{VGG16.get(name, name)}.{kinds.get(w, w)}": vgg16_array(value) for name, _, w, value in parts}
        title = "state_dict"
    else:
        raise ValueError(f"source is a {type(source).__name__}; it must be a network or torchvision's state dict.")

    pairs, loaded, faults = [], [], []
    for layer in model.layers:
        entries = {f"{layer.name}.{variable.name}": variable for variable in layer.weights}
        if not entries.keys() & arrays.keys():
            continue
        loaded.append(layer.name)
        for entry, variable in entries.items():
            shape, array = tuple(variable.shape), arrays.get(entry)
            if array is None:
                faults.append(f"it has no {entry}")
            elif array.shape == shape or (len(shape) == 4 and array.shape == flat(shape)):
                pairs.append((variable, array.reshape(shape)))
            else:
                faults.append(f"{entry} is {shape}, the source's {array.shape}")
    ours = {layer.name for layer in model.layers if VGG_CONVOLUTION.fullmatch(layer.name)}
    theirs = {entry.rpartition(".")[0] for entry in arrays if VGG_CONVOLUTION.fullmatch(entry.rpartition(".")[0])}
    if ours & theirs:  # of a trunk all or nothing
        faults = [f"only one of them has {name}" for name in sorted(ours ^ theirs)] + faults
    if faults or not loaded:
        reasons = some(faults) if loaded else ["they have no layer in common"]
        raise ValueError(f"{title} does not fit {model.name}, and nothing was loaded: {'; '.join(reasons)}.")
    assign(pairs)
    return loaded


def flat(shape):
    """The shape of a fully connected layer's kernel that computes what a convolution's of `shape` does at one place."""
    return (math.prod(shape[:3]), shape[3])


def vgg16_array(value):
    """An array of torchvision's VGG-16 in the layout of a convolution's, fc6's as that of its 7x7 window."""
    array = torch_array(value)
    if array.ndim == 2:
        array = array.reshape(-1, *((512, 7, 7) if array.shape[1] == 512 * 7 * 7 else (array.shape[1], 1, 1)))
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def match(model, source, names, variables, arrays, convert):
    """Pairs of a variable of `model` and its new value, or ValueError unless all of both sides pair up.

    names: the source's name of each layer; variables: of each variable; convert: brings an array to Keras's layout.
    """
    pairs, shapes, missing, left = [], [], [], dict(arrays)
    for ours, theirs in names.items():
        layer = model.get_layer(ours)
        for variable in layer.weights:
            entry = f"{theirs}.{variables[variable.name]}"
            if entry not in left:
                missing.append(f"it has no {entry} for {ours}")
                continue
            array = convert(left.pop(entry), layer)
            pairs.append((variable, array))
            if tuple(array.shape) != tuple(variable.shape):
                shapes.append(f"{ours}'s {variable.name} is {tuple(variable.shape)}, {entry} {tuple(array.shape)}")
    faults = [*some(shapes), *some(missing), *some([f"{model.name} has no place for its {entry}" for entry in left])]
    if faults:
        raise ValueError(f"{source} does not fit {model.name}, and nothing was loaded: {'; '.join(faults)}.")
    return pairs


def some(faults, number=3):
    """The first few of a list of faults, and how many more there are."""
    more = len(faults) - number
    return faults[:number] + ([f"and {more} more of these"] if more > 0 else [])


def assign(pairs):
    for variable, array in pairs:
        variable.assign(array)


def from_torch(value, layer):
    """An array in Keras's layout: kernels (out, in, h, w) and (out, in) reversed, a dense one's pixels in (h, w, c)."""
    array = torch_array(value)
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim != 2:
        return array
    before = layer.input._keras_history.operation
    if isinstance(before, keras.layers.Flatten) and array.shape[1] == layer.input.shape[-1]:
        height, width, channels = before.input.shape[1:]
        array = array.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(array), -1)
    return array.T


def torch_array(value):
    if hasattr(value, "detach"):  # a tensor, perhaps on another device, or of bfloat16, which NumPy lacks
        value = value.detach().cpu().float()
    return np.asarray(value, "float32")


def torch_name(name):
    """The entry's name in today's torchvision, whose DenseNet files still say `norm.1` where it says `norm1`."""
    return re.sub(r"(denselayer\d+\.(norm|conv))\.", r"\1", name.removeprefix("module."))


def peer_names(model):
    """For each layer with weights, its names in (PyTorch, keras.applications), None where it has none."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"model is a {type(model).__name__}; it must be a network of this library.")
    names = [layer.name for layer in model.layers]
    family = next((family for marker, family in FAMILIES.items() if marker in names), unknown)
    return {layer.name: family(layer.name, names) or (None, None) for layer in model.layers if layer.weights}


def unknown(name, names):
    return None


def vgg(name, names):
    if found := re.fullmatch(r"fc([678])", name):
        i = int(found[1]) - 6
        return f"classifier.{3 * i}", ("fc1", "fc2", "predictions")[i]
    if found := re.fullmatch(r"conv(\d)_(\d)", name):
        before = names[1 : names.index(name)]  # without the input; torchvision's ReLUs count as layers
        position = len(before) + sum(each.startswith("conv") for each in before)
        return f"features.{position}", f"block{found[1]}_conv{found[2]}"
    return None


def resnet(name, names):
    if found := re.fullmatch(r"(res|bn)(\d)([a-f])(\d*)_branch(1|2[abc])", name):
        kind, stage, letter, number, branch = found.groups()
        block = int(number or "abcdef".index(letter))
        part = "1abc".index(branch[-1])  # 0 is the shortcut
        if kind == "res":
            kind = "conv"
        inside = f"{kind}{part}" if part else f"downsample.{int(kind == 'bn')}"
        return f"layer{int(stage) - 1}.{block}.{inside}", f"conv{stage}_block{block + 1}_{part}_{kind}"
    ends = {"conv1": ("conv1", "conv1_conv"), "bn_conv1": ("bn1", "conv1_bn"), "fc1000": ("fc", "predictions")}
    return ends.get(name)


def resnet_cifar(name, names):
    if found := re.fullmatch(r"s(\d)_b(\d+)_(a|b|proj)(_bn)?", name):
        stage, block, part, bn = found.groups()
        kind = "bn" if bn else "conv"
        inside = f"shortcut.{int(kind == 'bn')}" if part == "proj" else f"{kind}{' ab'.index(part)}"
        return f"layer{stage}.{int(block) - 1}.{inside}", None
    ends = {"conv0": ("conv1", None), "conv0_bn": ("bn1", None), "fc": ("linear", None)}
    return ends.get(name)


def densenet(name, names):
    if found := re.fullmatch(r"conv(\d)_(\d+)_x([12])(_bn)?", name):
        stage, layer, part, bn = found.groups()
        torch, ours = ("norm", f"{int(part) - 1}_bn") if bn else ("conv", f"{part}_conv")
        return (
            f"features.denseblock{int(stage) - 1}.denselayer{layer}.{torch}{part}",
            f"conv{stage}_block{layer}_{ours}",
        )
    if found := re.fullmatch(r"conv([234])_blk(_bn)?", name):
        stage, bn = found.groups()
        torch, ours = ("norm", "bn") if bn else ("conv", "conv")
        return f"features.transition{int(stage) - 1}.{torch}", f"pool{stage}_{ours}"
    ends = {
        "conv1": ("features.conv0", "conv1_conv"),
        "conv1_bn": ("features.norm0", "conv1_bn"),
        "conv5_blk_bn": ("features.norm5", "bn"),
        "fc6": ("classifier", "predictions"),
    }
    return ends.get(name)


# A layer that only this family has: of the residual ones an addition, which their plain twins lack.
FAMILIES = {"conv1_1": vgg, "res2a": resnet, "s1_b1_add": resnet_cifar, "conv1_bn": densenet}

# VGG-16's layers by the names of keras.applications and torchvision, whose ReLUs and poolings count as layers.
VGG16 = {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}
VGG16 |= {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
for stage, (start, number) in enumerate([(0, 2), (5, 2), (10, 3), (17, 3), (24, 3)], start=1):
    for i in range(number):
        VGG16[f"features.{start + 2 * i}"] = VGG16[f"block{stage}_conv{i + 1}"] = f"conv{stage}_{i + 1}"
VGG_CONVOLUTION = re.compile(r"conv\d_\d|block\d_conv\d|features\.\d+")
