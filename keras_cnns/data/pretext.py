"""Tasks that need no labels: images to inputs and the labels that were made of them, for `Images.task`.

Functions of (images, keys) on whole batches, as in `augmentation`: `(batch, height, width, channels)` with one key an
image from `data.random`.
"""

import functools
import itertools

import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_choice, check_count
from keras_cnns.data.augmentation import crop_each
from keras_cnns.data.random import fold, integers, normal, uniform
from keras_cnns.ops.colour import AB_BINS, encode_ab, rgb_to_lab

ANGLES = ("0", "90", "180", "270")  # degrees against the clock, RotNet's classes
# Where the second patch lies, context prediction's classes; and the rows and columns to there.
NEIGHBOURS = ("top left", "top", "top right", "left", "right", "bottom left", "bottom", "bottom right")
OFFSETS = np.int32([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])


def rotations(images, keys):
    """The four copies of each image, turned by 0, 90, 180 and 270 degrees, and which is which: RotNet, section 3.1.

    `(batch, side, side, channels)` to `(4 * batch, side, side, channels)`, an image's copies side by side, and the
    labels 0, 1, 2, 3, 0, 1, ... The paper trains best with all four in one batch.

    Raises:
        ValueError: images that are not square.
    """
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(f"images are {height}x{width}; they must be square to be turned.")
    turned = tf.stack([tf.image.rot90(images, quarter) for quarter in range(4)], axis=1)
    labels = tf.tile(tf.range(4, dtype=tf.int64), [tf.shape(images)[0]])
    return tf.reshape(turned, [-1, *images.shape[1:]]), labels


@functools.cache
def permutation_set(count, tiles=9, seed=0):
    """`(count, tiles)` permutations that differ as much as can be: Noroozi & Favaro, algorithm 1.

    The first is drawn; each further one is among those whose mean Hamming distance to the chosen ones is the largest,
    the first of them in lexicographic order.

    Raises:
        ValueError: no permutation, fewer than 2 or more than 9 tiles, or more permutations than there are.
    """
    check_count("count", count)
    if tiles not in range(2, 10):
        raise ValueError(f"tiles is {tiles!r}; it must be from 2 to 9.")
    everything = np.array(list(itertools.permutations(range(tiles))), "int8")
    if count > len(everything):
        raise ValueError(f"count is {count}; {tiles} tiles have {len(everything):,} permutations.")
    places = np.ascontiguousarray(everything.T)
    alike = np.zeros(len(everything), "int32")  # places that agree with the chosen ones, summed over these
    chosen = [int(np.random.default_rng(seed).integers(len(everything)))]
    while len(chosen) < count:
        for tile_at, tile in zip(places, everything[chosen[-1]], strict=True):
            alike += tile_at == tile
        alike[chosen[-1]] = np.iinfo("int32").max // 2  # not once more
        chosen.append(int(alike.argmin()))
    return everything[chosen]


def jigsaw_puzzles(permutations, tile=64, colour_shift=2):
    """Return the task of jigsaw puzzles: images cut into tiles, permuted, and which permutation it was as the label.

    `(batch, side, side, channels)` to `(batch, tiles, tile, tile, channels)` in float32. An image is divided into equal
    cells; each tile is cut at random out of its cell, so that edges do not go on from one tile to the next; each colour
    of it is shifted on its own against chromatic aberration, and brought to mean 0 and deviation 1.

    Args:
        permutations: `(count, tiles)`, of `permutation_set`, a square number of tiles: place k of puzzle p shows the
            image's tile `permutations[p][k]`, counted row by row.
        tile: side of a tile in pixels; less than a cell's leaves a gap between tiles.
        colour_shift: up to how many pixels a colour is shifted in either direction, but not out of the image.

    Raises:
        ValueError: permutations of a number of tiles that is no square, or images whose cells are smaller than a tile.

    Source: Noroozi & Favaro, 2016, section 3.
    """
    permutations = np.int32(permutations)
    count = permutations.shape[1]
    grid = round(count**0.5)
    if grid * grid != count:
        raise ValueError(f"permutations are of {count} tiles; it must be a square number.")

    def puzzles(images, keys):
        side, channels = min(images.shape[1:3]), images.shape[-1]
        cell = side // grid
        if cell < tile:
            raise ValueError(f"images of {side} pixels have cells of {cell}; a tile has {tile}.")
        labels = integers(keys, 0, count=len(permutations))
        sources = tf.gather(permutations, labels)  # (batch, tiles)
        colours = tf.cast(images, tf.float32)
        colours = tf.transpose(colours, [0, 3, 1, 2])
        places = fold(keys[:, None], 1 + tf.range(count))  # a key each, (batch, tiles)
        cells = tf.stack([sources // grid, sources % grid], axis=-1) * cell
        begin = cells + integers(fold(places[..., None], tf.range(2)), count=cell - tile + 1)  # (batch, tiles, 2)
        numbers = 2 + tf.reshape(tf.range(2 * channels), (channels, 2))
        shifts = integers(fold(places[..., None, None], numbers), count=2 * colour_shift + 1) - colour_shift
        begin = tf.clip_by_value(begin[:, :, None] + shifts, 0, np.int32(images.shape[1:3]) - tile)
        at = begin[..., None] + tf.range(tile)  # (batch, tiles, channels, 2, tile)
        cut = []
        for place in range(count):
            rows = tf.gather(colours, at[:, place, :, 0], axis=2, batch_dims=2)
            cut.append(tf.gather(rows, at[:, place, :, 1], axis=3, batch_dims=2))  # (batch, channels, tile, tile)
        tiles = tf.transpose(tf.stack(cut, axis=1), [0, 1, 3, 4, 2])
        return standardised(tiles), tf.cast(labels, tf.int64)

    return puzzles


def standardised(images):
    """Each colour of each image, `(..., height, width, channels)`, with mean 0 and deviation 1; of one level all 0."""
    mean, variance = tf.nn.moments(images, axes=(-3, -2), keepdims=True)
    return (images - mean) * tf.math.rsqrt(variance + 1e-3)


def patch_pairs(side=96, gap=48, jitter=7, colours="drop", pixelated=1 / 3):
    """Return the task of Doersch et al., ICCV 2015: two patches of each image, and where the second lies.

    `(batch, height, width, channels)` to `(batch, 2, side, side, channels)` in float32, and labels from 0 to 7 in the
    order of `NEIGHBOURS`. The pair lies anywhere in the image, the second in one of eight directions from the first,
    and each is moved a little on its own, though not out of the image (section 3.1). Each patch is then prepared by
    `prepare_patches`.

    Args:
        side: of a patch, in pixels. gap: between the two. jitter: of each patch on each axis, at most.
        colours: against chromatic aberration, "drop" or "project", or "keep".
        pixelated: share of the patches that are scaled down to as few as 100 pixels and up again.

    Raises:
        ValueError: other `colours`, or images without room for two patches and the gap.
    """
    check_choice("colours", colours, ("drop", "project", "keep"))

    def pairs(images, keys):
        sides, most = images.shape[1:3], 2 * side + gap
        if min(sides) < most:
            raise ValueError(f"images are {sides[0]}x{sides[1]}; two patches and the gap between take {most} pixels.")
        labels = integers(keys, 0, count=8)
        corners = [[], []]  # of the first and the second patch, by axis
        for axis in (0, 1):
            step = tf.gather(OFFSETS[:, axis], labels) * (side + gap)
            first = tf.maximum(-step, 0) + integers(keys, 1 + axis, count=sides[axis] - side - tf.abs(step) + 1)
            for number, begin in enumerate((first, first + step)):
                moved = begin + integers(keys, 3 + 2 * axis + number, count=2 * jitter + 1) - jitter
                corners[number].append(tf.clip_by_value(moved, 0, sides[axis] - side))
        patches = [
            prepare_patches(crop_each(images, top, left, side, side), fold(keys, 10 + number), colours, pixelated)
            for number, (top, left) in enumerate(corners)
        ]
        return tf.stack(patches, axis=1), tf.cast(labels, tf.int64)

    return pairs


def prepare_patches(patches, keys, colours, pixelated):
    """Patches `(batch, side, side, 3)` without what gives their place away: section 3.1, and the release for scales.

    Some are pixelated. Then their mean colour is subtracted, and of the colours two are dropped for noise of a
    hundredth of the third's deviation, or what green and magenta differ by is projected away, since lenses spread these
    from the middle of an image outwards. Last, each is scaled to a root mean square of 50.
    """
    side, channels = patches.shape[1], patches.shape[-1]
    patches = tf.cast(patches, tf.float32)
    small = tf.cast(tf.sqrt(uniform(keys, 0, 100.0, float(max((side - 1) ** 2, 100)))), tf.int32)
    small = tf.where(uniform(keys, 1) < pixelated, small, side)

    def reduced(each):
        patch, size = each
        again = lambda: tf.image.resize(tf.image.resize(patch, (size, size)), (side, side))
        return tf.ensure_shape(tf.cond(size < side, again, lambda: patch), patch.shape)

    patches = tf.map_fn(reduced, (patches, small), fn_output_signature=tf.TensorSpec(patches.shape[1:], tf.float32))
    patches -= tf.reduce_mean(patches, axis=(1, 2), keepdims=True)
    if colours == "project" and channels == 3:
        a = np.float32([-1, 2, -1])
        patches = tf.linalg.matmul(patches, np.eye(3, dtype="float32") - np.outer(a, a) / (a @ a))
    elif colours == "drop" and channels == 3:
        kept = tf.one_hot(integers(keys, 2, count=3), 3)[:, None, None]
        deviation = tf.sqrt(tf.reduce_sum(kept * patches**2, axis=-1, keepdims=True))
        deviation = tf.sqrt(tf.reduce_mean(deviation**2, axis=(1, 2), keepdims=True))
        noise = normal(fold(keys[:, None], 3 + tf.range(side * side * channels)))
        noise = 0.01 * deviation * tf.reshape(noise, tf.shape(patches))
        patches = kept * patches + (1 - kept) * noise
    return scaled_to(patches, 50.0)


def scaled_to(images, level):
    """Each image scaled to that root mean square; one of zeros stays."""
    square = tf.reduce_mean(images**2, axis=(1, 2, 3), keepdims=True)
    return images * level * tf.math.rsqrt(square + 1e-3)


def lightness_and_colours(stride=4):
    """Return the task of colouring: RGB images to L - 50, `(batch, height, width, 1)`, and their colours ab as labels.

    stride: the label is that of every so many pixels on each axis, as in the release; of the network's maps.
    """

    def split(images, keys):
        lab = rgb_to_lab(images)
        return lab[..., :1] - 50, lab[:, ::stride, ::stride, 1:]

    return split


def count_colours(batches):
    """How many pixels are nearest to each of the 313 bins, float64 `(313,)`, of batches of `lightness_and_colours`."""
    counts = np.zeros(len(AB_BINS))
    for _, colours in batches:
        bins, _ = encode_ab(colours, neighbours=1)
        counts += np.bincount(bins.numpy().ravel(), minlength=len(AB_BINS))
    return counts
