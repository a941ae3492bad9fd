"""Which pixels move a class's score: its gradient, plain and guided.

tf-keras-vis 0.8.7 gives the same numbers, but has no deconvnet and no release since Keras 3.1.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.inspection.backpropagation import gradient, with_relu
from keras_cnns.inspection.calls import open_calls


def saliency(model: keras.Model, images: np.ndarray, classes: int | Sequence[int] | None = None) -> np.ndarray:
    """Return the gradient of a class's score by the pixels: float32, an array like `images`.

    Args:
        model: a built functional or sequential model of logits `(batch, classes)`; of several outputs the first.
        images: (batch, height, width, channels), as the network takes them: preprocessed.
        classes: a number, or one an image; by default the class with the highest score.

    Raises:
        ValueError: images of another shape, no such class, or a network that is no built graph or gives no logits.

    Source: Simonyan et al., "Deep Inside Convolutional Networks", 2014, section 3; their picture is the largest
    absolute value over the channels.
    """
    return score_gradient(model, images, classes)


def guided_backpropagation(
    model: keras.Model, images: np.ndarray, classes: int | Sequence[int] | None = None
) -> np.ndarray:
    """Return the guided gradient of a class's score: through a ReLU goes what is positive, where the ReLU is open.

    Activations other than a plain ReLU keep their gradient. Arguments, result and errors are those of `saliency`.

    Source: Springenberg et al., "Striving for Simplicity", 2015, section 3.4.
    """
    return score_gradient(model, images, classes, lambda layer: with_relu(layer, guided))


@tf.custom_gradient
def guided(x):
    return tf.nn.relu(x), lambda signal: tf.where(x > 0, tf.nn.relu(signal), 0)


def score_gradient(model, images, classes, rule=None):
    calls, outputs = open_calls(model)
    logits = outputs[0][0]

    def score(output):
        return tf.gather(output, chosen_classes(output, classes), axis=1, batch_dims=1)

    return gradient(calls, logits, images, score, rule)


def chosen_classes(logits, classes):
    """The classes given, one an image, or those with the highest scores."""
    if len(logits.shape) != 2:
        raise ValueError(f"the network gives {tuple(logits.shape)}; only logits (batch, classes) have class scores.")
    if classes is None:
        return keras.ops.convert_to_numpy(tf.argmax(logits, axis=1))
    classes = np.asarray(classes)
    if classes.dtype.kind not in "iu" or np.any((classes < 0) | (classes >= logits.shape[1])):
        raise ValueError(f"classes is {classes.tolist()}; the network has 0 to {logits.shape[1] - 1}.")
    return np.broadcast_to(classes, len(logits))
