"""Label maps of photographs, of any size, by a network that labels every pixel."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_cnns.files import whole
from keras_cnns.layers import Preprocessing
from keras_cnns.layers.preprocessing import list_of_images, pixels_of
from keras_cnns.ops import label_maps
from keras_cnns.segmentation.palette import palette


def segment(model: keras.Model, images: Sequence, preprocessing: Preprocessing | None = None) -> list[np.ndarray]:
    """Return the label map of each image, uint8 `(height, width)` at its own size: a list.

    Args:
        model: gives logits `(batch, height, width, classes)`, of at most 255 classes.
        images: a list of photographs, each of any size: paths, PIL images of any mode, or uint8 arrays
            `(height, width)`, `(height, width, 1)` or `(height, width, 3)`.
        preprocessing: a `Preprocessing` layer, as the network was trained with; by default images are brought to the
            network's input size, if it has one, with values from 0 to 255.

    Raises:
        ValueError: a single image in place of a list, a file that is no image, an array of another kind, an image too
            small for the network; preprocessing that cuts; a network that does not label pixels.
    """
    preprocessing = preprocessing or default_preprocessing(model)
    if preprocessing.shorter_side is not None:
        raise ValueError("preprocessing cuts images; to label whole ones its shorter_side must be None.")
    channels = model.inputs[0].shape[-1]
    maps = []
    for image in list_of_images(images):
        pixels = pixels_of(image, channels)
        prepared = preprocessing(pixels[None])
        try:
            scores = tf.nest.flatten(model(prepared, training=False))[0]
        except (tf.errors.InvalidArgumentError, ValueError):  # of a size of its own: a map has come to nothing
            height, width = pixels.shape[:2]
            raise ValueError(f"an image of {height}x{width} pixels is too small for {model.name}.") from None
        maps.append(label_maps(scores, pixels.shape[:2])[0].numpy())
    return maps


def default_preprocessing(model):
    """Images at the network's size, or at their own where it takes any; refuses what does not label pixels."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or len(outputs[0].shape) != 4 or outputs[0].shape[-1] > 255:
        raise ValueError(f"{model.name} does not give logits (batch, height, width, classes) of at most 255 classes.")
    size = inputs[0].shape[1:3]
    return Preprocessing(None if None in size else size)


def segment_boxes(
    model: keras.Model,
    image: str | Path | Image.Image | np.ndarray,
    boxes: np.ndarray,
    preprocessing: Preprocessing | None = None,
) -> np.ndarray:
    """Return the label map of an image from its parts, uint8 `(height, width)`.

    Each box is cut out and brought to the network's size, its scores are brought back, with zeros around them, and of
    each class the highest of all boxes counts. Where there is no box the label is 0, the background.

    Args:
        model: as in `segment`, of a fixed input size.
        image: as in `segment`, one.
        boxes: `(N, 4)`, x1, y1, x2, y2 in pixels, the ends exclusive; what lies outside of the image is black.
        preprocessing: as in `segment`.

    Raises:
        ValueError: a file that is no image, an array of another kind, or a network that does not label pixels.

    Source: DeconvNet, Noh et al., ICCV 2015, section 5.1.
    """
    preprocessing = preprocessing or default_preprocessing(model)
    pixels = pixels_of(image, model.inputs[0].shape[-1])
    height, width = pixels.shape[:2]
    scores = np.zeros((height, width, model.outputs[0].shape[-1]), "float32")
    for left, top, right, bottom in np.rint(np.asarray(boxes)).astype(int):
        inside = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
        rows, columns = (each.stop - each.start for each in inside)
        if rows < 1 or columns < 1:
            continue
        part = np.zeros((bottom - top, right - left, pixels.shape[-1]), "uint8")
        at = slice(inside[0].start - top, inside[0].stop - top), slice(inside[1].start - left, inside[1].stop - left)
        part[at] = pixels[inside]
        logits = tf.nest.flatten(model(preprocessing(part[None]), training=False))[0]
        scores[inside] = np.maximum(scores[inside], tf.image.resize(logits, part.shape[:2])[0].numpy()[at])
    return scores.argmax(axis=-1).astype("uint8")


def grid_boxes(height: int, width: int, shares: Sequence[float] = (1.0, 0.75, 0.5), steps: int = 4) -> np.ndarray:
    """Return boxes that slide over an image in several sizes: proposals that ask nothing of it.

    They are float32 `(N, 4)`, x1, y1, x2, y2 in pixels, the ends exclusive, of an image of `height` x `width` pixels.

    shares: of the image's sides; a box of each slides by a `steps`-th of itself.
    """
    boxes = set()
    for share in shares:
        tall, wide = max(round(share * height), 1), max(round(share * width), 1)
        for top in np.unique(np.append(np.arange(0, height - tall, max(tall // steps, 1)), height - tall)):
            for left in np.unique(np.append(np.arange(0, width - wide, max(wide // steps, 1)), width - wide)):
                boxes.add((left, top, left + wide, top + tall))
    return np.array(sorted(boxes), "float32")


def write_segmentation(folder, name, label_map, image, labels):
    """Write a label map as a palette PNG, `NAME_labels.png`, and the image under its colours, `NAME_overlay.png`.

    image: uint8 `(height, width, 3)`. labels: names of the classes, for their colours.

    Returns: the two paths.

    Raises:
        OSError: one of them could not be written.
    """
    colours, paths = palette(labels), [Path(folder) / f"{name}_{kind}.png" for kind in ("labels", "overlay")]
    with_palette = Image.fromarray(label_map)
    with_palette.putpalette(colours.tobytes())
    for path, picture in zip(paths, (with_palette, Image.fromarray(overlay(label_map, image, colours))), strict=True):
        with whole(path) as part:
            picture.save(part)
    return paths


def overlay(label_map, image, colours):
    """An image with the colours of its label map laid over it, half and half."""
    return ((image.astype("uint16") + colours[label_map]) // 2).astype("uint8")
