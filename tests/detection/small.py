"""Detectors whose answers can be worked out by hand: the colour of a box; and a small Faster R-CNN."""

import keras
import numpy as np

from keras_cnns.detection import faster_rcnn_detector, yolo_detector
from keras_cnns.layers import RoIPooling, RPNProposals
from keras_cnns.ops import generate_anchors

LABELS = ["red", "blue"]


def colour_detector():
    """Of the brightest red and blue in a box: logits of 0 for the background, (red - 100) / 20 and (blue - 100) / 20.
    A blue box is moved to the right by half of its width, a red one stays."""
    image, boxes = keras.Input((None, None, 3), name="image"), keras.Input((None, 4), name="boxes")
    x = RoIPooling(1, 1.0, name="roi_pool")(image, boxes)
    x = keras.layers.Reshape((-1, 3), name="flatten")(x)
    logits, deltas = keras.layers.Dense(3, name="cls_score")(x), keras.layers.Dense(12, name="bbox_pred")(x)
    model = keras.Model([image, boxes], [logits, deltas], name="colours")
    kernel = np.float32([[0, 1, 0], [0, 0, 0], [0, 0, 1]]) / 20
    model.get_layer("cls_score").set_weights([kernel, np.float32([0, -5, -5])])
    bias = np.zeros(12, "float32")
    bias[8] = 0.5
    model.get_layer("bbox_pred").set_weights([np.zeros((3, 12), "float32"), bias])
    return model


def proposing_detector():
    """The same with two boxes of its own, the first two of `BOXES` in shares of the image, and one that is none."""
    image, sizes = keras.Input((None, None, 3), name="image"), keras.Input((2,), name="sizes")
    shares = BOXES[:2] / np.float32([60, 40, 60, 40])
    kernel = np.zeros((2, 12), "float32")
    kernel[0, [1, 3, 5, 7]], kernel[1, [0, 2, 4, 6]] = shares[:, [1, 3]].ravel(), shares[:, [0, 2]].ravel()
    boxes = keras.layers.Dense(12, use_bias=False, name="boxes")
    proposals = keras.layers.Reshape((3, 4), name="proposal")(boxes(sizes))
    boxes.set_weights([kernel])
    logits, deltas = colour_detector()([image, proposals])
    network = keras.Model([image, sizes], [logits, deltas, proposals, image, image], name="proposing")
    return faster_rcnn_detector(network, deviations=(0.5, 1, 1, 1))  # a blue box is moved by a quarter of its width


def small_faster_rcnn(classes, trunk, scales, name="small_faster_rcnn"):
    """Faster R-CNN with two convolutions of stride 8 and a small head, under the names of the paper's."""
    image, sizes = keras.Input((None, None, 3), name="image"), keras.Input((2,), name="sizes")
    x = keras.layers.Conv2D(16, 9, strides=8, padding="same", activation="relu", name="conv1")(image)
    features = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    anchors = generate_anchors(16, (1, 2), scales)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="rpn_conv_3x3")(features)
    scores = keras.layers.Conv2D(2 * len(anchors), 1, name="rpn_cls_score")(x)
    moves = keras.layers.Conv2D(4 * len(anchors), 1, name="rpn_bbox_pred")(x)
    boxes = RPNProposals(anchors, 8, after=20, name="proposal")(scores, moves, sizes)
    x = RoIPooling(4, 1 / 8, name="roi_pool5")(features, boxes)
    x = keras.layers.Reshape((-1, 4 * 4 * 16), name="flatten")(x)
    for number in (6, 7):
        x = keras.layers.Dense(32, activation="relu", name=f"fc{number}")(x)
        x = keras.layers.Dropout(0.5, name=f"drop{number}")(x)
    logits = keras.layers.Dense(classes + 1, name="cls_score")(x)
    deltas = keras.layers.Dense(4 * (classes + 1), name="bbox_pred")(x)
    return keras.Model([image, sizes], [logits, deltas, boxes, scores, moves], name=name)


def one_cell_detector():
    """YOLO of one cell and two boxes in images of 20x30, always the same: one in the middle, half as high and wide, of
    confidence 0.8, and one around everything, of confidence 0.2; "red" with 0.5 and "blue" with 1."""
    image = keras.Input((20, 30, 3), name="image")
    numbers = [0.5, 1.0, 0.8, 0.2, 0.5, 0.5, 0.5**0.5, 0.5**0.5, 0.5, 0.5, 1.0, 1.0]
    dense = keras.layers.Dense(12, name="cell")
    x = keras.layers.Reshape((1, 1, 12), name="cells")(dense(keras.layers.Flatten(name="flatten")(image)))
    dense.set_weights([np.zeros((1800, 12), "float32"), np.float32(numbers)])
    return yolo_detector(keras.Model(image, x, name="one_cell"), 2)


def red_and_blue(height=40, width=60):
    """A dark photograph with a red square at (5, 5, 15, 15) and a blue one at (30, 20, 40, 30)."""
    photo = np.zeros((height, width, 3), "uint8")
    photo[5:15, 5:15, 0], photo[20:30, 30:40, 2] = 200, 180
    return photo


BOXES = np.float32([[5, 5, 14, 14], [30, 20, 39, 29], [45, 5, 55, 15]])
# A softmax of (0, 5, -5) for red; of (0, -5, 4) for blue.
SCORES = [1 / (1 + np.exp(-5) + np.exp(-10)), 1 / (1 + np.exp(-4) + np.exp(-9))]
FOUND = [[5, 5, 14, 14], [34.5, 20, 43.5, 29]]
PROPOSED = [[5, 5, 14, 14], [32.25, 20, 41.25, 29]]  # what the proposing one finds
# What the one of one cell finds in an image of 40x60: P(class) P(object) of each box and class.
IN_THE_CELL = [
    (0.8, [15, 10, 45, 30], 1),
    (0.4, [15, 10, 45, 30], 0),
    (0.2, [0, 0, 60, 40], 1),
    (0.1, [0, 0, 60, 40], 0),
]
