"""Colorization: Zhang et al., "Colorful Image Colorization", ECCV 2016.

Deviations: none in the layers, which are those of the release's second version. It starts from weights that were scaled
by the data (Kraehenbuehl et al., 2016), ours from N(0, 2 / fan_in).
"""

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_input_shape
from keras_cnns.classification.blocks import he_normal
from keras_cnns.layers import BatchNormalization
from keras_cnns.layers.lightness import Lightness
from keras_cnns.ops.colour import AB_BINS, annealed_mean, lab_to_rgb, rgb_to_lab

# Stages: filters, convolutions, stride of the last one, dilation.
STAGES = {
    "conv1": (64, 2, 2, 1),
    "conv2": (128, 2, 2, 1),
    "conv3": (256, 3, 2, 1),
    "conv4": (512, 3, 1, 1),
    "conv5": (512, 3, 1, 2),
    "conv6": (512, 3, 1, 2),
    "conv7": (512, 3, 1, 1),
}


def colorization(encoder: keras.Model | None = None, name: str = "colorization") -> keras.Model:
    """Return a network that colours images: lightness to logits of 313 colours, `(batch, height, width, 313)`.

    It takes L - 50, `(batch, height, width, 1)`, `keras_cnns.data.pretext.lightness_and_colours`, and has one
    distribution for every pixel of its last maps.

    Args:
        encoder: from lightness to maps, such as `maps_of(resnet_cifar(20, input_shape=(32, 32, 1)))`; by default the
            paper's, `colorization_trunk()`, whose maps are a quarter as high and wide as the image.

    Raises:
        ValueError: an encoder that does not go from one channel to maps.

    Source: section 2.2, and the release for the layers: 32,230,393 parameters.
    """
    encoder = encoder or colorization_trunk()
    shapes = [tuple(each.shape) for each in (*encoder.inputs, *encoder.outputs)]
    if [len(shape) for shape in shapes] != [4, 4] or shapes[0][-1] != 1:
        allowed = "it must go from (batch, height, width, 1) to maps (batch, height, width, channels)"
        raise ValueError(f"{encoder.name} goes from {shapes[0]} to {shapes[1:]}; {allowed}.")
    logits = keras.layers.Conv2D(
        len(AB_BINS), 1, kernel_initializer=he_normal(), dtype="float32", name=f"conv8_{len(AB_BINS)}"
    )(encoder.output)
    return keras.Model(encoder.inputs[0], logits, name=name)


def colorization_trunk(input_shape=(None, None, 1), name="colorization_trunk"):
    """Return the paper's network up to conv8_3: L - 50 to maps `(batch, height / 4, width / 4, 256)`.

    Convolutions of 3x3; in the place of poolings the last one of the first three stages has a stride of 2, and those of
    conv5 and conv6 are dilated.

    Args:
        input_shape: (height, width, 1), multiples of 8, at least 8; None for any.

    Raises:
        ValueError: another number of channels, or an input too small.
    """
    check_input_shape(input_shape, smallest=8, free=True)
    if input_shape[-1] != 1 or any(side is not None and side % 8 for side in input_shape[:2]):
        raise ValueError(f"input_shape is {input_shape}; it must be (height, width, 1) with multiples of 8.")

    def conv(x, filters, name, stride=1, dilation=1):
        padding = "same"
        if stride > 1:  # Keras's "same" would pad one side only
            x, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
        arguments = {"dilation_rate": dilation, "activation": "relu", "kernel_initializer": he_normal()}
        return keras.layers.Conv2D(filters, 3, stride, padding, name=name, **arguments)(x)

    image = x = keras.Input(input_shape, name="lightness")
    for stage, (filters, count, stride, dilation) in STAGES.items():
        for number in range(1, count + 1):
            x = conv(x, filters, f"{stage}_{number}", stride if number == count else 1, dilation)
        x = BatchNormalization(  # after the activation, without gamma and beta: Caffe's
            momentum=0.999, epsilon=1e-5, center=False, scale=False, name=f"{stage}_{count}norm"
        )(x)
    x = keras.layers.Conv2DTranspose(
        256, 4, 2, "same", activation="relu", kernel_initializer=he_normal(), name="conv8_1"
    )(x)
    x = conv(conv(x, 256, "conv8_2"), 256, "conv8_3")
    return keras.Model(image, x, name=name)


def colorization_encoder(model, name="colorization_encoder"):
    """Return what a `colorization` has learnt, RGB images from 0 to 255 to features `(batch, width)`: the mean of its
    last maps."""
    height, width, _ = model.input_shape[1:]
    maps = keras.Model(model.inputs[0], model.layers[-1].input)
    image = keras.Input((height, width, 3), name="image")
    x = maps(Lightness(name="lightness")(image))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x), name=name)


def colorize(model: keras.Model, images: np.ndarray | tf.Tensor, temperature: float = 0.38) -> np.ndarray:
    """Return images in the colours that a `colorization` gives their lightness: uint8 `(batch, height, width, 3)`.

    Args:
        model: a `colorization`.
        images: `(batch, height, width, 3)` from 0 to 255, grey or not, of a size that the model takes.
        temperature: of the annealed mean, section 2.3; near 1 the colours are mild, near 0 strong and patchy.

    Raises:
        ValueError: a temperature not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    lightness = rgb_to_lab(images)[..., :1]
    colours = annealed_mean(model(lightness - 50, training=False), temperature)
    colours = tf.image.resize(colours, tf.shape(lightness)[1:3])
    return tf.cast(tf.round(lab_to_rgb(tf.concat([lightness, colours], axis=-1))), tf.uint8).numpy()
