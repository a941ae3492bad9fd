"""The deconvnet: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1.

A layer is undone by unpooling, rectification and filtering. Unpooling with the remembered positions of the maxima and
filtering with the transposed filters are what the gradients of max pooling and of a convolution do; so the deconvnet is
backpropagation in which, as the paper says, the ReLU is imposed on the signal itself and contrast normalisation is not
used.

What the paper leaves open is set as follows. Where pooling windows overlap and share a maximum, what they bring back is
summed. Batch normalisation, as it is at inference, is a filter of one pixel: its scale is applied, its shift is not.
Average pooling, sums and concatenations are linear, and go back by their transpose, so that a residual or an inception
network is undone branch by branch; the branches' signals are summed.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.inspection.backpropagation import gradient, with_relu
from keras_cnns.inspection.calls import calls_of, find_call
from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, PaddedIdentity

TRANSPOSABLE = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.MaxPooling2D,  # given the switches
    keras.layers.GlobalMaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.UpSampling2D,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.Identity,
    keras.layers.Activation,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Average,
    keras.layers.Concatenate,
    OriginalDropout,
    PaddedIdentity,
)
OPERATIONS = ("Add", "Subtract", "Concatenate")  # bare ones, such as x + y


def project_back(
    model: keras.Model,
    layer: keras.layers.Layer | str,
    images: np.ndarray,
    features: int | Sequence[int],
    places: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Return what in each image made one unit of a layer active, as pixels: float32, an array like `images`.

    The unit's activation, all others of its layer set to zero, goes back to the image by the deconvnet (see the
    module); zero where the unit is not active. In a network without ReLU and normalisation it is the activation times
    its gradient.

    Args:
        model: a built functional or sequential model of one image input; models inside it are opened.
        layer: a layer or its name, of maps `(batch, height, width, features)` or a vector `(batch, features)`.
        images: (batch, height, width, channels), as the network takes them: preprocessed.
        features: the feature map or unit, a number or one an image.
        places: (row, column) in the map, one an image; by default where the feature is strongest in that image.

    Raises:
        ValueError: no such layer (the nearest names are told), feature or place; images of another shape; or a layer
            on the way that has no transpose, such as a sigmoid or a product of maps.

    Source: section 2.1.
    """
    calls = calls_of(model)
    target = find_call(calls, model, layer)
    shape = target.tensors[0].shape
    count = count_features(target)
    features = np.asarray(features)
    if features.dtype.kind not in "iu" or np.any((features < 0) | (features >= count)):
        raise ValueError(f"features is {features.tolist()}; layer {target.layer.name!r} has 0 to {count - 1}.")
    features = np.broadcast_to(features, len(images))
    if places is not None and (len(shape) == 2 or np.shape(places) != (len(images), 2)):
        raise ValueError(f"places has the shape {np.shape(places)}; only maps have them, a (row, column) an image.")

    def unit(output):
        chosen = tf.gather(output, features, axis=-1, batch_dims=1)  # (batch, height, width) or (batch,)
        if len(shape) == 2:
            return chosen
        sides = chosen.shape[1:]
        if places is None:
            strongest = tf.argmax(tf.reshape(chosen, (len(images), -1)), axis=1)
            at = np.stack(np.unravel_index(strongest, sides), axis=1)
        else:
            at = np.asarray(places)
            if np.any((at < 0) | (at >= sides)):
                raise ValueError(f"places is {at.tolist()}; layer {target.layer.name!r} has {sides[0]}x{sides[1]}.")
        return tf.gather_nd(chosen, at, batch_dims=1)

    return gradient(calls, target, images, unit, deconvnet, signal=tf.identity)


def count_features(target):
    """The number of features of a layer's maps or vector."""
    shape = target.tensors[0].shape
    if len(shape) not in (2, 4):
        raise ValueError(f"layer {target.layer.name!r} gives {shape}; only maps or vectors have features.")
    return shape[-1]


def deconvnet(layer):
    """What is called in a layer's place: its own values, and on the way back what section 2.1 does.

    Raises:
        ValueError: the layer has no transpose.
    """
    if isinstance(layer, LocalResponseNormalization):
        return lambda x: straight_back(layer, x)
    replaced = with_relu(layer, rectified)
    if replaced is not layer:
        return replaced
    name = f"layer {layer.name!r} of class {type(layer).__name__}"
    activation = getattr(layer, "activation", None) or keras.activations.linear
    if activation is not keras.activations.linear:
        what = getattr(activation, "__name__", activation)
        raise ValueError(f"{name} has the activation {what}; a deconvnet undoes ReLU alone.")
    if not isinstance(layer, TRANSPOSABLE) and type(layer).__name__ not in OPERATIONS:
        raise ValueError(f"{name} has no transpose known here; a deconvnet cannot go back through it.")
    return layer


@tf.custom_gradient
def rectified(x):
    """ReLU, whose way back is ReLU too."""
    return tf.nn.relu(x), tf.nn.relu


def straight_back(layer, x):
    """The layer's output; on the way back nothing changes."""
    return tf.custom_gradient(lambda x: (layer(x), lambda signal: signal))(x)
