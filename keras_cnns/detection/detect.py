"""What is in photographs, and where: the last step of every detector of this library."""

import colorsys
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from keras_cnns.detection.selective_search import selective_search
from keras_cnns.layers import Preprocessing
from keras_cnns.layers.preprocessing import list_of_images, pixels_of
from keras_cnns.ops import detections, paste_masks

PROPOSALS = 2000  # of an image, at most: R-CNN, section 2.2


def detect(
    model: keras.Model,
    images: Sequence,
    preprocessing: Preprocessing | None = None,
    proposals: Sequence[np.ndarray] | None = None,
    iou_threshold: float | None = None,
    score_threshold: float = 0.05,
    max_outputs: int = 100,
) -> list[dict[str, np.ndarray]]:
    """Return what is found in each image, best first: [{"boxes" `(n, 4)`, "scores" `(n,)`, "labels" `(n,)`}].

    Boxes are in the image's own pixels, float32; labels are numbered from 0, without the background, int32. A network
    that gives masks adds "masks", bool `(n, height, width)` of the image's size.

    Args:
        model: a detector of an image and boxes, with logits and deltas, such as `fast_rcnn`; or of images alone, with
            boxes, scores and labels, as `yolo_detector` and `faster_rcnn_detector` make it, and as `mask_rcnn`.
        images: a list of photographs, each of any size: paths, PIL images of any mode, or uint8 arrays
            `(height, width)`, `(height, width, 1)` or `(height, width, 3)`.
        preprocessing: a `Preprocessing` layer that does not cut, as the network was trained with; by default images
            keep values from 0 to 255, and their size, unless the network has one of its own.
        proposals: for a detector of boxes, for each image `(R, 4)`, in its pixels; by default the first 2,000 boxes of
            its selective search.
        iou_threshold: for a detector of boxes, as in `keras_cnns.ops.detections`; by default 0.3.
        score_threshold, max_outputs: as in `keras_cnns.ops.detections`.

    Raises:
        ValueError: a single image in place of a list, a file that is no image, an array of another kind, proposals of
            another number of images or of another shape, proposals or a threshold for a detector that has its own,
            an `iou_threshold` outside [0, 1], preprocessing that cuts or gives another size, a network of another kind.
    """
    of_boxes = check_detector(model)
    size = tuple(model.inputs[0].shape[1:3])
    size = None if None in size else size
    preprocessing = preprocessing or Preprocessing(size)
    if preprocessing.size != (size or (None, None)):
        raise ValueError(f"preprocessing gives {preprocessing.size} pixels; to detect, its size must be {size}.")
    if size and preprocessing.shorter_side:
        raise ValueError("preprocessing cuts images; to detect, its shorter_side must be None.")
    if not of_boxes and (proposals is not None or iou_threshold is not None):
        raise ValueError(f"{model.name} has boxes and a threshold of its own; give no proposals and no iou_threshold.")
    images = list_of_images(images)
    if proposals is not None and len(proposals) != len(images):
        raise ValueError(f"there are {len(images)} images and proposals of {len(proposals)}; each image needs its own.")
    found = []
    for number, image in enumerate(images):
        pixels = pixels_of(image, model.inputs[0].shape[-1])
        prepared = preprocessing(pixels[None])
        scale = np.tile(np.array(prepared.shape[2:0:-1]) / pixels.shape[1::-1], 2).astype("float32")
        if not of_boxes:
            inputs = [prepared, tf.constant([prepared.shape[1:3]], tf.float32)]
            best = model(inputs if len(model.inputs) == 2 else prepared, training=False)
            boxes, scores, labels, *masks = (each[0].numpy() for each in best)
            those = np.flatnonzero(scores > max(score_threshold, 0))[:max_outputs]  # behind them are zeros
            found.append({"boxes": boxes[those] / scale, "scores": scores[those], "labels": labels[those]})
            for each in masks:
                found[-1]["masks"] = paste_masks(each[those], found[-1]["boxes"], pixels.shape[:2]).numpy()
            continue
        boxes = selective_search(pixels)[:PROPOSALS] if proposals is None else np.float32(proposals[number])
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"the proposals of image {number} have the shape {boxes.shape}; it must be (boxes, 4).")
        logits, deltas = model([prepared, tf.constant(boxes * scale)[None]], training=False)
        settings = (0.3 if iou_threshold is None else iou_threshold, score_threshold, max_outputs)
        *best, count = detections(logits[0], deltas[0], boxes, pixels.shape[:2], *settings)
        best = (each[:count].numpy() for each in best)
        found.append(dict(zip(("boxes", "scores", "labels"), best, strict=True)))
    return found


def check_detector(model):
    """Return whether a network is given boxes beside the image, for logits and deltas, or else finds its own.

    Raises:
        ValueError: it does neither.
    """
    inputs = [tuple(each.shape) for each in getattr(model, "inputs", None) or []]
    outputs = [tuple(each.shape) for each in getattr(model, "outputs", None) or []]
    ranks = [[len(each) for each in part] for part in (inputs, outputs)]
    if ranks not in ([[4, 3], [3, 3]], [[4], [3, 2, 2]], [[4, 2], [3, 2, 2]], [[4, 2], [3, 2, 2, 4]]):
        allowed = "it must detect, as fast_rcnn, yolo_detector, faster_rcnn_detector and mask_rcnn do"
        raise ValueError(f"{model.name} gives {outputs} from {inputs}; {allowed}.")
    return len(outputs) == 2


def draw_boxes(image: np.ndarray, found: dict, labels: Sequence[str]) -> Image.Image:
    """Return an image with boxes and their names drawn on it, the scores after them if there are any, as a PIL image.

    Args:
        image: uint8 `(height, width, 3)`.
        found: {"boxes", "labels"[, "scores"]}, as `detect` returns it for an image.
        labels: names of the classes.
    """
    return boxes_drawn(image, found, labels, found["labels"])


def draw_masks(image: np.ndarray, found: dict, labels: Sequence[str]) -> Image.Image:
    """Return an image as `draw_boxes` does, under the boxes each object's mask, half transparent, in its colour.

    The colours are the classes', or with a single class each object's own.

    Args:
        image: uint8 `(height, width, 3)`.
        found: {"boxes", "labels", "masks"[, "scores"]}, masks bool `(n, height, width)`.
        labels: names of the classes.

    Raises:
        ValueError: masks of another number or size.
    """
    shape = (len(found["boxes"]), *image.shape[:2])
    if found["masks"].shape != shape:
        raise ValueError(f"the masks have the shape {found['masks'].shape}; with these boxes it must be {shape}.")
    numbers = found["labels"] if len(labels) > 1 else np.arange(len(found["boxes"]))
    image = image.copy()
    for mask, number in reversed(list(zip(found["masks"], numbers.tolist(), strict=True))):  # the best on top
        image[mask] = (image[mask] + np.array(colour_of(number))) // 2
    return boxes_drawn(image, found, labels, numbers)


def boxes_drawn(image, found, labels, numbers):
    """`draw_boxes` in the colours of these numbers."""
    picture = Image.fromarray(image)
    draw, width = ImageDraw.Draw(picture), max(round(min(picture.size) / 200), 1)
    scores = found.get("scores", [None] * len(found["boxes"]))
    rows = list(zip(found["boxes"].tolist(), found["labels"].tolist(), scores, numbers.tolist(), strict=True))
    for box, label, score, number in reversed(rows):  # the best on top
        colour = colour_of(number)
        draw.rectangle([box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])], outline=colour, width=width)
        text = labels[label] if score is None else f"{labels[label]} {score:.2f}"
        place = draw.textbbox((box[0] + width, box[1] + width), text)
        draw.rectangle(place, fill="black")
        draw.text(place[:2], text, fill=colour)
    return picture


def colour_of(number):
    """Red, green and blue, far apart for neighbours."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb((0.61803398875 * number) % 1, 0.9, 1.0))
