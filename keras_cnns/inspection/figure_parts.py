"""What the figures have in common: which features, images and patches they show, and the panels."""

import numpy as np
import tensorflow as tf
from keras.layers import Conv2D, Dropout, Flatten
from tqdm import tqdm

from keras_cnns.extras import Extra
from keras_cnns.inspection.backpropagation import forward, with_relu
from keras_cnns.inspection.calls import calls_of, find_call, open_calls
from keras_cnns.inspection.feature_maps import strongest_activations
from keras_cnns.inspection.projection import project_back
from keras_cnns.inspection.receptive_field import receptive_field
from keras_cnns.inspection.subject import PIXELS_AT_ONCE
from keras_cnns.inspection.tiles import resized
from keras_cnns.layers import OriginalDropout

plot = Extra("matplotlib.figure", "figures")

TOP = 9  # activations shown of a feature
SURE = 0.9  # the probability that examples are named with, or nearly


def strongest_of(subject, layer, count=TOP):
    """The strongest activations of a layer over all images, with progress."""
    batches = (subject.inputs(pixels) for pixels, _ in subject.batches(f"{subject.model.name}, {layer}"))
    return strongest_activations(subject.model, layer, batches, count)


def chosen_features(strongest, features, count):
    """Those asked for, or some of those that are active anywhere, evenly spread."""
    total = len(strongest.values)
    if features is not None:
        if wrong := [feature for feature in features if not 0 <= feature < total]:
            raise ValueError(f"there is no feature {wrong[0]}; the layer has 0 to {total - 1}.")
        return np.asarray(features)
    living = np.flatnonzero(strongest.values[:, 0] > 0)
    if not len(living):
        raise ValueError(f"none of the layer's {total} features is active on any image.")
    return living[np.unique(np.linspace(0, len(living) - 1, count).round().astype(int))]


def chosen_examples(subject, count):
    """Of some classes, evenly spread, an image each: (pixels, label, number), at most `count`.

    It is the one named right with a probability nearest to SURE: a network that is surer hardly heeds what is changed.
    Where the label of an image is not known, the class that the network names counts as right.
    """
    calls, outputs = open_calls(subject.model)
    if len(outputs[0][0].tensors[0].shape) != 2:
        raise ValueError(f"{subject.model.name} gives no logits (batch, classes); there is no class to look at.")
    best, seen = {}, 0
    for pixels, labels in subject.batches("examples"):
        (logits,) = forward(calls, [outputs[0][0]], tf.constant(subject.inputs(pixels)))
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32)).numpy()
        named = probabilities.argmax(1)
        for each in np.flatnonzero((labels == named) | (labels < 0)):
            distance, label = abs(probabilities[each].max() - SURE), int(named[each])
            if distance < best.get(label, (1,))[0]:
                best[label] = distance, pixels[each], label, seen + int(each)
        seen += len(pixels)
    if not best:
        raise ValueError(f"{subject.model.name} names none of the {seen} images right.")
    classes = sorted(best)
    chosen = np.unique(np.linspace(0, len(classes) - 1, count).round().astype(int))
    return [best[classes[each]][1:] for each in chosen]


def project_all(subject, layer, inputs, features, places=None):
    """`project_back` in batches, with progress."""
    features = np.broadcast_to(features, len(inputs))
    at_once = max(PIXELS_AT_ONCE // inputs[0, ..., 0].size, 1)
    if len(find_call(calls_of(subject.model), subject.model, layer).tensors[0].shape) == 2:  # no maps, no places
        places = None
    parts = []
    for start in tqdm(range(0, len(inputs), at_once), desc="projections", unit="batch", disable=len(inputs) < 32):
        here = slice(start, start + at_once)
        at = None if places is None else places[here]
        parts.append(project_back(subject.model, layer, inputs[here], features[here], at))
    return np.concatenate(parts)


def boxes(subject, layer, places):
    """The (top, left, height, width) that units see, moved into the image where one hangs over the edge."""
    sides = subject.shape[:2]
    try:
        field = receptive_field(subject.model, layer)
    except ValueError:  # the arithmetic cannot tell
        return [(0, 0, *sides)] * len(places)
    sizes, strides, offsets = (each if isinstance(each, tuple) else (each, each) for each in field)
    if strides[0] is None:  # the layer has no places
        return [(0, 0, *sides)] * len(places)
    lengths = np.minimum(sizes, sides)
    corners = np.array(offsets) + np.floor(np.asarray(places) * np.array(strides)).astype(int)
    return [(*corner, *lengths) for corner in np.clip(corners, 0, sides - lengths)]


def cut(picture, where):
    """The box of a picture."""
    top, left, height, width = where
    return picture[top : top + height, left : left + width]


def tile(picture, side=48):
    """A picture as a small square."""
    return resized(picture, side)


def majority(subject, labels):
    """How many of the images have the commonest class, in words; nothing where no label is known."""
    known = [label for label in labels if label >= 0]
    if not known:
        return ""
    values, counts = np.unique(known, return_counts=True)
    return f": {subject.labels[values[counts.argmax()]]}, {counts.max()} of {len(labels)}"


def has_relu(model, layer):
    """Whether what a layer gives has gone through its own ReLU, so that a feature that is never above zero is dead."""
    found = find_call(calls_of(model), model, layer).layer
    return with_relu(found, tf.nn.relu) is not found


def convolutions(model):
    """The calls of a network's convolutions."""
    return [call for call in calls_of(model) if isinstance(call.layer, Conv2D)]


def first_convolution(model):
    """The call of the first of two convolutions or more."""
    found = convolutions(model)
    if len(found) < 2:
        raise ValueError(f"{model.name} has {len(found)} convolutions; the figures need two or more.")
    return found[0]


def last_hidden(model):
    """The name of the layer whose features the logits are made of."""
    call = open_calls(model)[1][0][0].inputs[0][0]
    while isinstance(call.layer, (Dropout, Flatten, OriginalDropout)):
        call = call.inputs[0][0]
    return call.layer.name


def grid(rows, columns, width, height, **style):
    """A figure of panels without axes, and the panels as (rows, columns)."""
    figure = plot.Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=style or None)
    for panel in axes.flat:
        panel.set_xticks([])
        panel.set_yticks([])
        for edge in panel.spines.values():
            edge.set_visible(False)
    return figure, axes
