"""Class activation maps: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.inspection.backpropagation import forward
from keras_cnns.inspection.calls import open_calls
from keras_cnns.inspection.saliency import chosen_classes
from keras_cnns.layers import OriginalDropout

PASSED_OVER = (keras.layers.Dropout, keras.layers.Flatten, keras.layers.Identity, OriginalDropout)


def class_activation_map(
    model: keras.Model, images: np.ndarray, classes: int | Sequence[int] | None = None
) -> np.ndarray:
    """Return where a class's score comes from, float32 `(batch, rows, columns)`, at the size of the last maps.

    The maps before the global average pooling, summed with the weights that the dense layer gives their averages: the
    mean of the result is the class's score but for its bias (and a dropout's scale).

    Args:
        model, images, classes: as in `saliency`.

    Raises:
        ValueError: a network that does not end in global average pooling and one dense layer; or as in `saliency`.

    Source: section 2.
    """
    calls, outputs = open_calls(model)
    logits = outputs[0][0]
    call = logits
    while call.inputs and (call is logits or isinstance(call.layer, PASSED_OVER)):
        call = call.inputs[0][0]
    if not isinstance(logits.layer, keras.layers.Dense) or not averages_all(call):
        raise ValueError(
            f"{model.name} ends in {call.layer.name!r} and {logits.layer.name!r}; class activation maps need global "
            "average pooling and one dense layer."
        )
    maps = call.inputs[0][0]
    scores, maps = (tf.cast(each, tf.float32) for each in forward(calls, [logits, maps], tf.constant(images)))
    weights = tf.gather(tf.cast(logits.layer.kernel, tf.float32), chosen_classes(scores, classes), axis=1)
    return tf.einsum("brcf,fb->brc", maps, weights).numpy()


def averages_all(call):
    """Whether a call is global average pooling, by name or by a window as large as the map."""
    pools = isinstance(call.layer, keras.layers.AveragePooling2D)
    whole = pools and tuple(call.tensors[0].shape[1:3]) == (1, 1)
    return whole or isinstance(call.layer, keras.layers.GlobalAveragePooling2D)
