"""Mask R-CNN: He et al., "Mask R-CNN", ICCV 2017, with the feature pyramid of Lin et al., CVPR 2017.

Deviations: where the papers print nothing, Detectron's choices stand: the ratios and sizes of the anchors, proposals of
each level apart, deltas over (0.1, 0.1, 0.2, 0.2), res5 with its stride on 14x14 in place of 7x7 without one. An anchor
has one score, its sigmoid's, as Detectron's; two in the paper of Faster R-CNN. Nothing is frozen: the paper starts from
ImageNet's ResNet and leaves its batch normalisation as it is.
"""

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.alexnet import normal
from keras_cnns.classification.blocks import allow_depth, he_normal
from keras_cnns.classification.resnet import BLOCKS, residual_network, residual_stage
from keras_cnns.detection.fast_rcnn import unnormalised
from keras_cnns.detection.faster_rcnn import DEVIATIONS
from keras_cnns.layers import (
    EachRoI,
    MaskOfClass,
    PyramidProposals,
    PyramidRoI,
    RoIDetections,
    RoIsOfImages,
    UpsampleAdd,
)

RATIOS = (0.5, 1, 2)
TRUNKS = tuple(f"resnet{depth}" for depth in BLOCKS if depth <= 101)


def mask_rcnn(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 80,
    neck: str = "fpn",
    trunk: str = "resnet50",
    roi_operation: str = "align",
    mask_activation: str = "sigmoid",
    proposals: int | None = None,
    stride_in: str = "1x1",
    name: str = "mask_rcnn",
) -> keras.Model:
    """Return Mask R-CNN: from an image what is in it, where, and which pixels of it, all in float32.

    Outputs are what is found, best first, at most 100 and zeros behind: boxes `(batch, 100, 4)` in pixels, scores and
    labels `(batch, 100)`, the latter from 0 without the background, and masks `(batch, 100, 28, 28)`, from 0 to 1, each
    over its box (`keras_cnns.ops.paste_masks`); 14x14 with the neck "c4".

    Inputs are `image`, `(batch, height, width, channels)`, and `sizes`, `(batch, 2)`: the (height, width) of each image
    in the batch, which is less than the batch's where images of different sizes are padded at the bottom and the right.

    Its parts are for the training (`MaskRCNNTraining`): layers `features` (a model from the image to the pyramid's maps
    and each level's scores and deltas of the anchors), `proposals`, `box_roi` and `mask_roi`, `res5` ("c4" alone),
    `box_head` and `mask_head` (from what lies under a box to logits and deltas, and to the logits of masks).

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; None for any size.
        classes: number of classes without the background.
        neck: "fpn" (44,400,436 parameters with ResNet-50 and 80 classes) or "c4" (35,970,928).
        trunk: "resnet18", "resnet34", "resnet50" or "resnet101".
        roi_operation: "align", or "pool", RoI pooling, which Table 2c and 2d compare it with.
        mask_activation: "sigmoid", a mask of each class for itself, or "softmax" over classes and background: Table 2b.
        proposals: boxes of an image at test: by default 1,000 ("fpn") or 300 ("c4"), section 3.1.
        stride_in: as in `resnet50`.

    Raises:
        ValueError: an unknown neck, trunk, operation, activation or stride_in, an input too small, or no class.

    Source: sections 3 and 3.1, Fig. 4; FPN, sections 3 and 4.
    """
    check_choice("neck", neck, ("fpn", "c4"))
    check_choice("trunk", trunk, TRUNKS)
    check_choice("roi_operation", roi_operation, ("align", "pool"))
    check_choice("mask_activation", mask_activation, ("sigmoid", "softmax"))
    check_classes(classes)
    check_input_shape(input_shape, smallest=17, free=True)
    depth = int(trunk.removeprefix("resnet"))
    allow_depth(depth)
    channels = classes + (mask_activation == "softmax")

    image, sizes = keras.Input(input_shape, name="image"), keras.Input((2,), name="sizes")
    if neck == "fpn":
        strides, anchors, sides = (4, 8, 16, 32, 64), ((32,), (64,), (128,), (256,), (512,)), (7, 14)
        features = pyramid_of(depth, input_shape, stride_in)
        (box_head, mask_head), shared = fpn_heads(classes, channels), lambda x: x
        proposals = 1000 if proposals is None else proposals
    else:
        strides, anchors, sides = (16,), ((32, 64, 128, 256, 512),), (14, 14)
        features = conv4_of(depth, input_shape, stride_in)
        shared = conv5_of(depth, stride_in, features.outputs[0].shape[-1])
        box_head, mask_head = c4_heads(shared.output_shape[-1], classes, channels)
        proposals = 300 if proposals is None else proposals

    maps, scores, moves = by_kind(features(image), len(strides))
    settings = {"ratios": RATIOS, "before": 1000 if neck == "fpn" else 6000, "after": proposals}
    candidates = PyramidProposals(strides, anchors, **settings, name="proposals")(scores, moves, sizes)
    pooled = maps[:4]  # P6 is for proposals alone
    x = PyramidRoI(sides[0], strides[:4], roi_operation, name="box_roi")(pooled, candidates)
    logits, deltas = (RoIsOfImages()(each, candidates) for each in box_head(shared(EachRoI()(x))))
    deltas = unnormalised(deltas, (0, 0, 0, 0), DEVIATIONS)
    boxes, scores, labels = RoIDetections(0.5, name="detections")(logits, deltas, candidates, sizes)
    x = PyramidRoI(sides[1], strides[:4], roi_operation, name="mask_roi")(pooled, boxes)
    masks = MaskOfClass(mask_activation, name="masks")(RoIsOfImages()(mask_head(shared(EachRoI()(x))), boxes), labels)
    return keras.Model([image, sizes], [boxes, scores, labels, masks], name=name)


def by_kind(outputs, levels):
    """The maps, the scores and the deltas that `features` gives, each level by level."""
    return outputs[:levels], outputs[levels : 2 * levels], outputs[2 * levels :]


def trunk_of(depth, input_shape, stride_in):
    """A ResNet's input and the last map of each of its stages."""
    network = residual_network(depth, input_shape, 1, "trunk", stride_in=stride_in)
    last = {}
    for layer in network.layers:
        if layer.name.startswith("res") and layer.name.endswith("_relu") and "branch" not in layer.name:
            last[layer.name[3]] = layer.output
    return network.inputs[0], last


def pyramid_of(depth, input_shape, stride_in):
    """The feature pyramid P2 to P6, and its region proposal network, one for all levels: FPN, sections 3 and 4.1."""
    image, last = trunk_of(depth, input_shape, stride_in)
    x = conv(last["5"], 256, 1, "fpn_lateral5")
    maps = [conv(x, 256, 3, "fpn_out5")]
    for stage in "432":
        x = UpsampleAdd(name=f"fpn_topdown{stage}")(x, conv(last[stage], 256, 1, f"fpn_lateral{stage}"))
        maps.insert(0, conv(x, 256, 3, f"fpn_out{stage}"))
    maps.append(keras.layers.MaxPooling2D(1, strides=2, padding="same", name="fpn_p6")(maps[-1]))
    return keras.Model(image, [*maps, *proposing(maps, 256, len(RATIOS))], name="features")


def conv4_of(depth, input_shape, stride_in):
    """A ResNet to conv4_x, and its region proposal network: Faster R-CNN with ResNet, section 3 of Mask R-CNN."""
    image, last = trunk_of(depth, input_shape, stride_in)
    x = last["4"]
    return keras.Model(image, [x, *proposing([x], x.shape[-1], 5 * len(RATIOS))], name="features")


def proposing(maps, filters, anchors):
    """The scores and the deltas of the anchors of every level, by the same layers."""
    hidden = conv_layer(filters, 3, "rpn_conv", normal(), activation="relu")
    score = conv_layer(anchors, 1, "rpn_cls", normal(), dtype="float32")
    move = conv_layer(4 * anchors, 1, "rpn_bbox", normal(), dtype="float32")
    hidden = [hidden(each) for each in maps]
    return [*(score(each) for each in hidden), *(move(each) for each in hidden)]


def fpn_heads(classes, mask_channels):
    """Fig. 4, right: two fully connected layers for the box, four convolutions and a deconvolution for the mask."""
    pooled = x = keras.Input((7, 7, 256))
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = keras.layers.Dense(1024, activation="relu", name=f"fc{number}")(x)
    box_head = keras.Model(pooled, box_outputs(x, classes), name="box_head")
    pooled = x = keras.Input((14, 14, 256))
    for number in (1, 2, 3, 4):
        x = conv(x, 256, 3, f"mask_conv{number}", he_normal(), activation="relu")
    return box_head, keras.Model(pooled, mask_output(x, mask_channels), name="mask_head")


def conv5_of(depth, stride_in, filters):
    """conv5_x, which both heads of Fig. 4, left, apply to what lies under a box: 14x14 to 7x7."""
    pooled = keras.Input((14, 14, filters))
    return keras.Model(pooled, residual_stage(pooled, 5, depth, stride_in=stride_in), name="res5")


def c4_heads(filters, classes, mask_channels):
    """Fig. 4, left, behind conv5_x."""
    box_input, mask_input = (keras.Input((7, 7, filters)) for _ in range(2))
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(box_input)
    box_head = keras.Model(box_input, box_outputs(x, classes), name="box_head")
    return box_head, keras.Model(mask_input, mask_output(mask_input, mask_channels), name="mask_head")


def box_outputs(x, classes):
    """Logits with the background first, and four deltas for each of these classes."""
    output = lambda units, deviation, name: keras.layers.Dense(
        units, kernel_initializer=keras.initializers.RandomNormal(stddev=deviation), dtype="float32", name=name
    )(x)
    return [output(classes + 1, 0.01, "cls_score"), output(4 * (classes + 1), 0.001, "bbox_pred")]


def mask_output(x, channels):
    """A deconvolution to twice the size, and the logits of a mask for each class."""
    settings = {"strides": 2, "activation": "relu", "kernel_initializer": he_normal(), "name": "mask_deconv"}
    x = keras.layers.Conv2DTranspose(256, 2, **settings)(x)
    return conv(x, channels, 1, "mask_logits", keras.initializers.RandomNormal(stddev=0.001), dtype="float32")


def conv(x, filters, size, name, weights="glorot_uniform", **settings):
    return conv_layer(filters, size, name, weights, **settings)(x)


def conv_layer(filters, size, name, weights, **settings):
    return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=weights, name=name, **settings)
