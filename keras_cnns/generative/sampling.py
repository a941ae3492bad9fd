"""Images that a generator makes, in uint8: of given z, of a seed, and along the lines between some z."""

from itertools import pairwise

import keras
import numpy as np

from keras_cnns.arguments import latent_size
from keras_cnns.layers import Preprocessing

AT_ONCE = 256  # images that are made at a time


def random_latents(count: int, latent: int, seed: int = 0) -> np.ndarray:
    """Return z `(count, latent)`, float32, uniform in -1 to 1, of a seed; a larger count begins with the same rows.

    Raises:
        ValueError: a seed below 0.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be at least 0.")
    return np.random.default_rng([seed, latent]).uniform(-1, 1, (count, latent)).astype("float32")


def latents_between(z: np.ndarray, steps: int) -> np.ndarray:
    """Return the z on the lines from each row to the next: `(rows - 1, steps, latent)`, both ends among them."""
    shares = np.linspace(0, 1, steps, dtype="float32")[:, None]
    return np.stack([(1 - shares) * here + shares * there for here, there in pairwise(z)])


def sample(generator: keras.Model, z: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return the images that a generator makes: uint8 `(number, height, width, channels)`.

    Args:
        generator: from z `(batch, latent)` to images.
        z: `(number, latent)`.
        preprocessing: the `Preprocessing` of the images that it was trained on, which is undone.

    Raises:
        ValueError: it is no generator, no z, or z of another size.
    """
    latent = latent_size(generator)
    if latent is None:
        raise ValueError(f"{generator.name} is no generator: from z (batch, latent) to images.")
    z = np.asarray(z, "float32")
    if z.ndim != 2 or z.shape[1] != latent or not len(z):
        raise ValueError(f"z has the shape {z.shape}; {generator.name} takes (number, {latent}).")
    parts = [preprocessing.pixels(generator(z[i : i + AT_ONCE], training=False)) for i in range(0, len(z), AT_ONCE)]
    return np.concatenate([part.numpy() for part in parts])
