"""A detector whose answers can be worked out by hand: the colour of a box."""

import keras
import numpy as np

from keras_cnns.layers import RoIPooling

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


def red_and_blue(height=40, width=60):
    """A dark photograph with a red square at (5, 5, 15, 15) and a blue one at (30, 20, 40, 30)."""
    photo = np.zeros((height, width, 3), "uint8")
    photo[5:15, 5:15, 0], photo[20:30, 30:40, 2] = 200, 180
    return photo


BOXES = np.float32([[5, 5, 14, 14], [30, 20, 39, 29], [45, 5, 55, 15]])
# A softmax of (0, 5, -5) for red; of (0, -5, 4) for blue.
SCORES = [1 / (1 + np.exp(-5) + np.exp(-10)), 1 / (1 + np.exp(-4) + np.exp(-9))]
FOUND = [[5, 5, 14, 14], [34.5, 20, 43.5, 29]]
