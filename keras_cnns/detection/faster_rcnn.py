"""Faster R-CNN: Ren et al., "Faster R-CNN: Towards Real-Time Object Detection", NIPS 2015.

Deviations: ZF's contrast normalisation is across maps, with ZFNet's constants; the released network normalises within
each map. Of an anchor's two scores the first is "no object", anchor after anchor; the release has one kind first.
Proposals are of at least 16 pixels of the image that the network is given; the release scales that with the image.
Trunks start as their own networks do, until trained ones are loaded. Nothing is frozen: the paper's recipe freezes
VGG-16's conv1 and conv2.
"""

from collections.abc import Sequence

import keras

from keras_cnns.arguments import FreeShape, check_choice, check_classes, check_input_shape
from keras_cnns.classification.alexnet import normal
from keras_cnns.detection.fast_rcnn import STRIDE, detector_head, unnormalised, vgg16_trunk
from keras_cnns.layers import LocalResponseNormalization, RoIDetections, RPNProposals
from keras_cnns.layers.ceil_pooling import ceil_max_pooling
from keras_cnns.ops import generate_anchors

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)  # of the detector's deltas in the release, which learns them divided by these


def faster_rcnn(
    input_shape: FreeShape = (None, None, 3),
    classes: int = 20,
    trunk: str = "vgg16",
    ratios: Sequence[float] = (0.5, 1, 2),
    scales: Sequence[float] = (8, 16, 32),
    proposals: int = 300,
    name: str = "faster_rcnn",
) -> keras.Model:
    """Return Faster R-CNN: from an image what it proposes and what that is, all in float32.

    Outputs are logits `(batch, proposals, classes + 1)`, class 0 the background and class k of the data set k + 1;
    deltas `(batch, proposals, 4 * (classes + 1))` as those of `fast_rcnn`; the proposals `(batch, proposals, 4)`, in
    pixels, with rows of zeros where there are fewer; and for its training the scores `(batch, rows, columns, 2 * k)`
    and deltas `(batch, rows, columns, 4 * k)` of the k anchors of each cell.

    Inputs are `image`, `(batch, height, width, channels)`, and `sizes`, `(batch, 2)`: the (height, width) of each image
    in the batch, which is less than the batch's where images of different sizes are padded at the bottom and the right.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; None for any size.
        classes: number of classes without the background.
        trunk: "vgg16" (137,078,239 parameters with 20 classes) or "zf" (59,294,751).
        ratios, scales: of the anchors, as in `keras_cnns.ops.generate_anchors`.
        proposals: boxes of an image: 300 at test, section 3.3.

    Raises:
        ValueError: an unknown trunk, an input too small, no class, or anchors that are none.

    Source: sections 3.1 (region proposal network), 3.3 (proposals); for the rest Fast R-CNN, sections 2.1 to 2.3.
    """
    check_choice("trunk", trunk, tuple(TRUNKS))
    check_classes(classes)
    check_input_shape(input_shape, smallest=1, free=True)
    build, filters, size, start = TRUNKS[trunk]
    anchors = generate_anchors(STRIDE, ratios, scales)

    image, sizes = keras.Input(input_shape, name="image"), keras.Input((2,), name="sizes")
    features = build(image)
    x = propose_conv(features, filters, 3, "rpn_conv_3x3", padding="same", activation="relu")
    scores = propose_conv(x, 2 * len(anchors), 1, "rpn_cls_score", dtype="float32")
    moves = propose_conv(x, 4 * len(anchors), 1, "rpn_bbox_pred", dtype="float32")
    boxes = RPNProposals(anchors, STRIDE, after=proposals, name="proposal")(scores, moves, sizes)

    logits, deltas = detector_head(features, boxes, classes, size, start)
    return keras.Model([image, sizes], [logits, deltas, boxes, scores, moves], name=name)


def faster_rcnn_detector(
    model: keras.Model,
    deviations: Sequence[float] = DEVIATIONS,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.05,
    most: int = 100,
    name: str = "faster_rcnn_detector",
) -> keras.Model:
    """Return what a trained Faster R-CNN finds, suppression inside: (boxes, scores, labels), the best first.

    Boxes `(batch, most, 4)` in pixels of its input and cut off at each image's size, scores `(batch, most)`, labels
    `(batch, most)` int32, numbered from 0 without the background; behind the boxes found are zeros. Inputs and weights
    are the network's. `keras_cnns.export` writes it.

    Args:
        model: as `faster_rcnn` returns it.
        deviations: of the deltas that it was trained on, four; by default those of `FasterRCNNTraining`.
        iou_threshold: of the suppression within each class, Fast R-CNN's.
        score_threshold, most: below which there is no box, and boxes of an image at most, both the release's.

    Raises:
        ValueError: a threshold outside [0, 1].
    """
    logits, deltas, proposals, *_ = model.outputs
    deltas = unnormalised(deltas, (0, 0, 0, 0), deviations)
    layer = RoIDetections(iou_threshold, score_threshold, most, name="detections")
    return keras.Model(model.inputs, layer(logits, deltas, proposals, model.inputs[1]), name=name)


def propose_conv(x, filters, size, name, **kwargs):
    """A layer of the region proposal network: weights ~ N(0, 0.01^2), section 3.1.3."""
    return keras.layers.Conv2D(filters, size, kernel_initializer=normal(), name=name, **kwargs)(x)


def zf_trunk(x):
    """ZFNet from its image to conv5, windows padded so that cells lie 16 pixels apart; sizes of a 600x1000 image."""

    def conv(x, filters, size, name, strides=1):
        if strides > 1:
            x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        arguments = {"activation": "relu", "kernel_initializer": normal(), "name": name}
        padding = "valid" if strides > 1 else "same"
        return keras.layers.Conv2D(filters, size, strides, padding=padding, **arguments)(x)

    def normalise_and_pool(x, number):
        x = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, name=f"norm{number}")(x)
        return ceil_max_pooling(keras.layers.ZeroPadding2D(1, name=f"pool{number}_border")(x), f"pool{number}")

    x = normalise_and_pool(conv(x, 96, 7, "conv1", strides=2), 1)  # 300x500, 151x251
    x = normalise_and_pool(conv(x, 256, 5, "conv2", strides=2), 2)  # 76x126, 39x64
    x = conv(x, 384, 3, "conv3")
    x = conv(x, 384, 3, "conv4")
    return conv(x, 256, 3, "conv5")


# How a trunk is built, the filters of its proposal network, the side that boxes are pooled to, and how each of its
# fully connected layers starts.
TRUNKS = {"vgg16": (vgg16_trunk, 512, 7, dict), "zf": (zf_trunk, 256, 6, lambda: {"kernel_initializer": normal()})}
