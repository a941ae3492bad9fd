"""Concept functions for `dissect`: from images in -1 to 1 to soft masks from 0 to 1, by name.

Each says by its name what it looks at: pixels of some place, brightness or colour. None of them knows objects, but
`segmented`, which asks a network.
"""

import tensorflow as tf

# Red, green, blue from 0 to 1. A pixel is of the colour that it is nearest to.
COLOURS = {
    "black": (0.0, 0.0, 0.0),
    "grey": (0.5, 0.5, 0.5),
    "white": (1.0, 1.0, 1.0),
    "red": (0.8, 0.15, 0.15),
    "brown": (0.5, 0.35, 0.2),
    "yellow": (0.85, 0.8, 0.2),
    "green": (0.25, 0.55, 0.2),
    "blue": (0.25, 0.45, 0.8),
}
SOFT = 20.0  # how steep a soft mask rises with brightness, from 0 to 1
GARMENT, BRIGHT = 0.15, 0.7  # brightness over which a pixel is no background, and is bright


def garment_parts(images):
    """Return masks of garments on black, `(batch, height, width, 1)`: where they are in the picture, and how bright.

    The places are thirds of the height and quarters of the width; a sleeve, a sole or a hem is often there, but nothing
    looks for one.
    """
    brightness = (tf.cast(images[..., 0], tf.float32) + 1) / 2
    garment, bright = (tf.sigmoid(SOFT * (brightness - least)) for least in (GARMENT, BRIGHT))
    height, width = images.shape[1:3]
    rows, columns = tf.range(height)[:, None], tf.range(width)[None]
    places = {
        "top third": rows < height // 3,
        "bottom third": rows >= height - height // 3,
        "left quarter": columns < width // 4,
        "right quarter": columns >= width - width // 4,
        "centre": (abs(2 * rows - height + 1) < height // 2) & (abs(2 * columns - width + 1) < width // 2),
    }
    masks = {f"garment in the {name}": garment * tf.cast(place, tf.float32) for name, place in places.items()}
    return {**masks, "bright garment": bright, "dark garment": garment - bright}


def stroke_regions(images):
    """Return masks of white strokes on black, `(batch, height, width, 1)`: of the picture's four quarters."""
    strokes = tf.sigmoid(SOFT * tf.cast(images[..., 0], tf.float32) / 2)
    height, width = images.shape[1:3]
    top, left = tf.range(height)[:, None] < height // 2, tf.range(width)[None] < width // 2
    quarters = {"top left": top & left, "top right": top & ~left}
    quarters |= {"bottom left": ~top & left, "bottom right": ~top & ~left}
    return {f"stroke at the {name}": strokes * tf.cast(place, tf.float32) for name, place in quarters.items()}


def colour_classes(images):
    """Return masks of colour images `(batch, height, width, 3)`: of the pixels nearest to each of eight colours."""
    pixels = (tf.cast(images, tf.float32) + 1) / 2
    squares = tf.reduce_sum((pixels[..., None, :] - tf.constant(list(COLOURS.values()))) ** 2, axis=-1)
    masks = tf.nn.softmax(-SOFT * 5 * squares)
    return {name: masks[..., number] for number, name in enumerate(COLOURS)}


def segmented(network, labels, preprocessing):
    """Return the concept function of a network that labels every pixel.

    Args:
        network: gives logits `(batch, height, width, classes)`.
        labels: names of the classes.
        preprocessing: function from images in -1 to 1 to what the network takes; it must have a gradient.

    Raises:
        ValueError: not a name a class.
    """
    classes = network.outputs[0].shape[-1]
    if len(labels) != classes:
        raise ValueError(f"there are {len(labels)} labels; {network.name} has {classes} classes.")

    def concepts(images):
        logits = tf.cast(tf.nest.flatten(network(preprocessing(images), training=False))[0], tf.float32)
        softmax = tf.nn.softmax(tf.image.resize(logits, images.shape[1:3]))
        return {name: softmax[..., number] for number, name in enumerate(labels)}

    return concepts
