"""Pictures of a dissection: where units are active, and images before and after an intervention."""

import numpy as np
import tensorflow as tf

from keras_cnns.extras import Extra
from keras_cnns.generative.dissection import halves, intervene, parts_of

plot = Extra("matplotlib.figure", "figures")

DIMMED = 0.3  # how much is left of what lies below the threshold


def unit_gallery(generator, layer, dissection, z, rows, count=8):
    """Return a figure: for each unit the images in which it is strongest, dimmed where it is not over its threshold.

    Args:
        generator, layer, z: as in `dissect`; the images are chosen among those of z.
        dissection: of the same layer.
        rows: some of `dissection.found()`.
        count: images a unit.

    Raises:
        ValueError: no row.
    """
    return page(*units_shown(generator, layer, dissection, z, rows, count))


def units_shown(generator, layer, dissection, z, rows, count=8):
    """The lines of `unit_gallery` and their names, for a `page`."""
    to_maps, to_images = halves(generator, layer)
    maps = np.concatenate([to_maps(part, training=False) for part in parts_of(generator, z)])
    lines, names = [], []
    for unit, concept, iou in rows:
        best = np.argsort(-maps[..., unit].max(axis=(1, 2)), kind="stable")[:count]
        images = to_images(maps[best], training=False).numpy()
        over = tf.image.resize(maps[best, ..., unit : unit + 1].astype("float32"), images.shape[1:3])
        threshold = dissection.thresholds[unit, dissection.concepts.index(concept)]
        lines.append(pixels(images) * np.where(over > threshold, 1.0, DIMMED))
        names.append(f"unit {unit}\n{concept}\nIoU {iou:.2f}")
    return lines, names


def before_and_after(generator, layer, z, rows):
    """Return a figure: for each row the images of z, the same after an intervention, and how much brighter they became.

    Args:
        generator, layer, z: as in `dissect`.
        rows: (name, units, values), as in `intervene`.

    Raises:
        ValueError: no row, or as in `intervene`.
    """
    return page(*changes_shown(generator, layer, z, rows))


def changes_shown(generator, layer, z, rows):
    """The lines of `before_and_after` and their names, for a `page`."""
    before, lines, names = intervene(generator, layer, z, []), [], []
    for name, units, values in rows:
        after = intervene(generator, layer, z, units, values)
        lines += [pixels(before), pixels(after), np.clip(0.5 + (after - before).mean(axis=-1, keepdims=True) / 4, 0, 1)]
        names += [f"{name}\nbefore", "after", "difference"]
    return lines, names


def pixels(images):
    """Images in -1 to 1 as 0 to 1."""
    return np.clip((images + 1) / 2, 0, 1)


def page(lines, names):
    """A figure of rows of images `(number, height, width, 1 or 3)` in 0 to 1 with their names."""
    if not lines:
        raise ValueError("there is no row to draw.")
    count = max(len(line) for line in lines)
    figure = plot.Figure(figsize=(1.8 + 0.9 * count, 0.9 * len(lines)), layout="constrained")
    for name, line, axes in zip(names, lines, figure.subplots(len(lines), 1, squeeze=False)[:, 0], strict=True):
        strip = np.concatenate([np.pad(each, [(0, 0), (0, 1), (0, 0)], constant_values=1) for each in line], axis=1)
        axes.imshow(np.repeat(strip, 3 // strip.shape[-1], axis=-1))
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure
