"""Selective search: Uijlings et al., "Selective Search for Object Recognition", IJCV 2013.

Deviations: an image wider than 500 pixels is made 500 wide first, as in R-CNN (section 4.2), since the number of
regions grows with the image; VOC's, which the paper searches, are of that width. The texture's eight orientations
(section 3.2) are four, each with the bins of both directions.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from keras_cnns.arguments import check_choice
from keras_cnns.extras import Extra

colour_spaces = Extra("skimage.color", "regions")
segmentation = Extra("skimage.segmentation", "regions")

VERSION = 1  # of the boxes that an image gets: whoever changes them raises it, since they are kept on disks

# Table 4:  colour spaces, thresholds k, similarities: C(olour), T(exture), S(ize), F(ill).
MODES = {
    "single": (("HSV",), (100,), ("CTSF",)),
    "fast": (("HSV", "Lab"), (50, 100), ("CTSF", "TSF")),
    "quality": (("HSV", "Lab", "rgI", "H", "I"), (50, 100, 150, 300), ("CTSF", "TSF", "F", "S")),
}
WIDTH = 500  # pixels at most
SIGMA = 0.8  # of the superpixels' smoothing
COLOUR_BINS, TEXTURE_BINS = 25, 10  # of a channel; of one of its 8 orientations


def selective_search(image: np.ndarray, mode: str = "fast", seed: int = 0) -> np.ndarray:
    """Return the boxes of what may be an object, float32 `(R, 4)`, the likeliest first and none twice.

    Of a photo about 350 in mode "single", 2,000 in "fast", 7,000 to 10,000 in "quality"; the last ones matter least.

    Args:
        image: `(height, width, 3)`, RGB; or grey, `(height, width)` or with 1 channel; or with an alpha channel, which
            is not looked at. Of any real type, with values from 0 to 255.
        mode: "single", "fast" or "quality".
        seed: of the order, which the place in the hierarchy and chance decide (section 3.3).

    Raises:
        ValueError: the image or the mode is none of these.
    """
    check_choice("mode", mode, tuple(MODES))
    rgb, scale = fitted(checked(image))
    random = np.random.default_rng(seed)
    boxes, orders = [], []
    spaces, thresholds, similarities = MODES[mode]
    for regions in partitions(rgb, spaces, thresholds):
        for similarity in similarities:
            grouped = group(regions, similarity)[::-1]  # the whole image first
            boxes.append(grouped)
            orders.append(random.random(len(grouped)) * np.arange(1, len(grouped) + 1))  # v = RND * i
    boxes = np.concatenate(boxes)[np.argsort(np.concatenate(orders), kind="stable")]
    _, first = np.unique(boxes, axis=0, return_index=True)
    return (boxes[np.sort(first)] * scale).astype("float32")


def checked(image):
    """uint8 `(height, width, 3)` of an image as `selective_search` takes it."""
    image = np.asarray(image)
    if image.dtype.kind not in "uif":
        raise ValueError(f"image is {image.dtype}; it must have numbers from 0 to 255.")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(
            f"image has shape {image.shape}; it must be (height, width) or (height, width, channels) with 1, 3 or 4 "
            "channels, and at least one pixel."
        )
    low, high = image.min(), image.max()
    if not 0 <= low <= high <= 255:  # false for NaN too
        raise ValueError(f"image has values from {low:g} to {high:g}; they must be from 0 to 255.")
    rgb = image[..., :3] if image.shape[2] > 1 else np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(np.round(rgb), "uint8")


def fitted(rgb):
    """The image at most WIDTH wide, and what its boxes are to be multiplied by, `(4,)`."""
    height, width = rgb.shape[:2]
    if width <= WIDTH:
        return rgb, np.ones(4)
    size = WIDTH, max(round(height * WIDTH / width), 1)
    scale = np.array([width / size[0], height / size[1]] * 2)
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)), scale


class Regions(NamedTuple):
    """N superpixels of an image, as the grouping needs them."""

    sizes: np.ndarray  # pixels, (N,)
    boxes: np.ndarray  # (N, 4)
    colour: np.ndarray  # histograms (N, bins of all channels), each with the sum 1
    texture: np.ndarray
    pairs: np.ndarray  # those that touch, (2, pairs)
    area: int  # of the image


def partitions(rgb, spaces, thresholds):
    """The `Regions` of an image in every colour space with every threshold k."""
    for name in spaces:
        channels = SPACES[name](rgb / 255.0)
        colour, texture = colour_bins(channels), texture_bins(channels)
        for k in thresholds:
            # min_size as in the released code
            labels = segmentation.felzenszwalb(channels, scale=k, sigma=SIGMA, min_size=k)
            yield regions_of(labels, colour, texture)


# Each from RGB to channels, all between 0 and 1: section 3.2.
SPACES = {
    "RGB": lambda rgb: rgb,
    "HSV": lambda rgb: colour_spaces.rgb2hsv(rgb),
    "Lab": lambda rgb: (colour_spaces.rgb2lab(rgb) + (0, 128, 128)) / (100, 255, 255),
    "rgI": lambda rgb: np.concatenate([normalized(rgb)[..., :2], intensity(rgb)], axis=-1),
    "H": lambda rgb: colour_spaces.rgb2hsv(rgb)[..., :1],
    "I": lambda rgb: intensity(rgb),
}


def intensity(rgb):
    return rgb.mean(axis=-1, keepdims=True)


def normalized(rgb):
    return rgb / np.maximum(rgb.sum(axis=-1, keepdims=True), 1e-6)


def colour_bins(channels):
    """The bin of each pixel in each channel, `(channels, height, width)`."""
    return binned(np.moveaxis(channels, -1, 0), 0.0, 1.0, COLOUR_BINS)


def texture_bins(channels):
    """The bin of each pixel in each orientation of each channel, `(4 * channels, height, width)`.

    The derivatives in opposite directions differ in the sign alone, so that one histogram of both signs is of two
    orientations.
    """
    bins = []
    for channel in np.moveaxis(channels, -1, 0).astype("float32"):
        dx = ndimage.gaussian_filter(channel, 1.0, order=(0, 1))
        dy = ndimage.gaussian_filter(channel, 1.0, order=(1, 0))
        for derivative in (dx, dy, (dx + dy) / 2**0.5, (dx - dy) / 2**0.5):
            limit = np.abs(derivative).max()
            bins.append(binned(derivative, -limit, limit, 2 * TEXTURE_BINS))
    return np.stack(bins)


def binned(values, low, high, count):
    width = max(high - low, 1e-6) / count
    return np.clip((values - low) / width, 0, count - 1).astype(np.intp)


def regions_of(labels, colour, texture):
    """The `Regions` of superpixels `(height, width)`, from the bins of each pixel."""
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels + 1)]
    return Regions(
        sizes=np.bincount(labels.ravel()),
        boxes=np.array(boxes),
        colour=histograms(labels, colour, COLOUR_BINS),
        texture=histograms(labels, texture, 2 * TEXTURE_BINS),
        pairs=touching(labels),
        area=labels.size,
    )


def histograms(labels, bins, count):
    """Those of each superpixel, `(N, channels * count)`, from `(channels, height, width)`; each has the sum 1."""
    superpixels, first = labels.max() + 1, labels * count  # the place of a superpixel's first bin
    parts = [np.bincount((first + each).ravel(), minlength=superpixels * count) for each in bins]
    joined = np.stack([part.reshape(superpixels, count) for part in parts], axis=1).reshape(superpixels, -1)
    return (joined / joined.sum(axis=1, keepdims=True)).astype("float32")


def touching(labels):
    """The pairs of superpixels that share a side of a pixel, `(2, pairs)`, the lower number first, none twice."""
    count = labels.max() + 1
    codes = []
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        border = one != other
        one, other = one[border], other[border]
        codes.append(np.minimum(one, other) * count + np.maximum(one, other))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count))


def group(regions, similarity):
    """The boxes of all regions, `(2N - 1, 4)`, in the order in which they come to be: section 3.1, Algorithm 1.

    The two most similar that touch become one, until there is one. similarity: letters of those that are added up.
    """
    count, area = len(regions.sizes), np.float32(regions.area)
    sizes = extended(regions.sizes)
    corners = extended(regions.boxes * (1, 1, -1, -1))  # of what holds two: the lesser of each
    kinds = [kind for letter, kind in (("C", regions.colour), ("T", regions.texture)) if letter in similarity]
    bins = extended(np.concatenate(kinds, axis=1)) if kinds else None

    def similarities(one, others):
        joint, total = sizes[one] + sizes[others], np.float32(0)
        if kinds:
            total = np.minimum(bins[one], bins[others]).sum(axis=-1)
        if "S" in similarity:
            total = total + (1 - joint / area)
        if "F" in similarity:
            box = np.minimum(corners[one], corners[others])
            total = total + (1 - ((box[..., 0] + box[..., 2]) * (box[..., 1] + box[..., 3]) - joint) / area)
        return total

    ends = regions.pairs.copy()
    values = similarities(*ends)
    seen = np.empty(2 * count - 1, np.intp)
    for new in range(count, 2 * count - 1):
        one, other = ends[:, values.argmax()]
        sizes[new] = sizes[one] + sizes[other]
        corners[new] = np.minimum(corners[one], corners[other])
        if kinds:
            bins[new] = (sizes[one] * bins[one] + sizes[other] * bins[other]) / sizes[new]

        # Their pairs become the new region's. A neighbour of both would have two: the last that was seen stays.
        theirs = (ends == one) | (ends == other)
        places = np.flatnonzero(theirs[0] | theirs[1])
        neighbours = np.where(theirs[0, places], ends[1, places], ends[0, places])
        order = np.arange(len(places))
        seen[neighbours] = order
        seen[[one, other]] = -1  # the pair of the two
        stays = seen[neighbours] == order
        ends[:, places[~stays]], values[places[~stays]] = -1, -np.inf
        places, neighbours = places[stays], neighbours[stays]
        ends[0, places], ends[1, places] = new, neighbours
        values[places] = similarities(new, neighbours)
    return (corners * (1, 1, -1, -1)).astype(int)


def extended(rows):
    """float32 with room for the regions that are to come."""
    return np.concatenate([rows, np.zeros((len(rows) - 1, *rows.shape[1:]))]).astype("float32")
