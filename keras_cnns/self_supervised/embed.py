"""Features of photographs, of any size, by an encoder."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_cnns.layers import Preprocessing
from keras_cnns.layers.preprocessing import list_of_images, pixels_of

AT_ONCE = 64  # images


def embed(encoder: keras.Model, images: Sequence, preprocessing: Preprocessing | None = None) -> np.ndarray:
    """Return the features of each image, float32 `(number, width)`.

    Args:
        encoder: from images to features `(batch, width)`, such as `encoder_of(resnet50())` or what a run of SimCLR
            keeps. It is called in inference mode.
        images: a list of photographs, each of any size: paths, PIL images of any mode, or uint8 arrays
            `(height, width)`, `(height, width, 1)` or `(height, width, 3)`.
        preprocessing: a `Preprocessing` layer, as the encoder was trained with; by default images are brought to the
            encoder's input size with values from 0 to 255.

    Raises:
        ValueError: a single image in place of a list, or an empty one; a file that is no image, an array of another
            kind; a network that does not end in `(batch, width)`, or takes any size and has no preprocessing.
    """
    images = list_of_images(images)
    height, width, channels = check_embedder(encoder)
    if preprocessing is None and None in (height, width):
        raise ValueError(f"{encoder.name} takes images of any size; preprocessing must say to which to bring them.")
    preprocessing = preprocessing or Preprocessing((height, width))
    if not len(images):
        raise ValueError("images is empty; it must have at least one image.")
    parts = []
    for start in range(0, len(images), AT_ONCE):
        prepared = [preprocessing(pixels_of(each, channels)[None])[0] for each in images[start : start + AT_ONCE]]
        parts.append(np.asarray(encoder(np.stack(prepared), training=False), "float32"))
    return np.concatenate(parts)


def check_embedder(encoder):
    """Height, width (None for any) and channels of the images that an encoder takes, or `ValueError`."""
    inputs, outputs = getattr(encoder, "inputs", None) or [], getattr(encoder, "outputs", None) or []
    if [len(each.shape) for each in (*inputs, *outputs)] != [4, 2]:
        raise ValueError(f"{encoder.name} does not go from images to features (batch, width).")
    return tuple(inputs[0].shape[1:])
