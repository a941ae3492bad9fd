"""The figures of Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, of any network.

Each function returns a `matplotlib.figure.Figure` and its caption, of a `Subject`. Numbers are the paper's figures.
"""

from itertools import pairwise

import numpy as np
from tqdm import tqdm

from keras_cnns.extras import Extra
from keras_cnns.inspection.class_activation import class_activation_map
from keras_cnns.inspection.feature_maps import feature_maps
from keras_cnns.inspection.figure_parts import (
    SURE,
    boxes,
    chosen_examples,
    chosen_features,
    convolutions,
    cut,
    first_convolution,
    grid,
    has_relu,
    last_hidden,
    majority,
    project_all,
    strongest_of,
    tile,
)
from keras_cnns.inspection.invariance import invariance, moved
from keras_cnns.inspection.occlusion import occlusion
from keras_cnns.inspection.saliency import guided_backpropagation, saliency
from keras_cnns.inspection.tiles import crossed, framed, mosaic, photograph, resized, signed

matplotlib = Extra("matplotlib", "figures")
plot = Extra("matplotlib.figure", "figures")

DEAD = 0.01  # a filter whose strongest activation is at most this share of the layer's strongest
COLOURS = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)]
GREY = np.full((1, 1, 3), 128.0)  # the patch of a unit that is not active
ENHANCED = "Projections: grey is zero, each with its own contrast."


def strongest_patches(subject, layer, features=None, count=12):
    """Fig. 2: the nine strongest activations of features over the images, projected back, beside the image patches."""
    strongest = strongest_of(subject, layer)
    features = chosen_features(strongest, features, count)
    chosen = strongest.images[features]
    picked = subject.pick(chosen)
    inputs = subject.inputs(np.stack([picked[number][0] for number in chosen.ravel()]))
    places = strongest.places[features].reshape(-1, 2)
    units = np.repeat(features, chosen.shape[1])
    projected = project_all(subject, layer, inputs, units, places)
    cuts = boxes(subject, layer, places)
    active = strongest.values[features] > 0  # a feature may be active on fewer images than nine
    shown = list(zip(projected, chosen.ravel(), cuts, active.ravel(), strict=True))
    left = [tile(signed(cut(back, where))) for back, _, where, _ in shown]
    right = [
        tile(photograph(cut(picked[image][0], where) if is_active else GREY)) for _, image, where, is_active in shown
    ]

    columns = 4
    rows = -(-len(features) // columns)
    figure, axes = grid(rows, columns, width=12.4, height=1.83 * rows)
    for number, (feature, panel) in enumerate(zip(features, axes.flat, strict=False)):
        here = slice(number * chosen.shape[1], (number + 1) * chosen.shape[1])
        pair = mosaic([mosaic(each[here], 3) for each in (left, right)], 2, gap=4)
        panel.imshow(pair, interpolation="nearest")
        labels = [picked[image][1] for image in chosen[number][active[number]]]
        panel.set_title(f"feature {feature}{majority(subject, labels)}", size=8, pad=2)
    dead = int((strongest.values[:, 0] <= 0).sum()) if has_relu(subject.model, layer) else 0
    never = f" {dead} of its {len(strongest.values)} features are active nowhere." if dead else ""
    return figure, (
        f"Fig. 2, {subject.model.name}, {layer}: {len(features)} of {len(strongest.values)} features, of each the "
        f"{chosen.shape[1]} strongest activations over {subject.count:,} images, at most one an image: left "
        "projected back to the pixels, right the patches that the unit sees. Above each its number, and the "
        f"commonest class of the images.{never} {ENHANCED}"
    )


def evolution(subject, layer, checkpoints, features=None, count=6):
    """Fig. 4: the strongest activation of features over the images, after more and more of the training.

    checkpoints: list of (words, function without arguments that reads the values of the model's variables), in order.
        Each is read twice, so that there is never more than one of them in memory.
    """
    own = [variable.numpy() for variable in subject.model.variables]
    found = []
    try:
        for words, read in tqdm(checkpoints, desc="checkpoints", unit=""):
            assign(subject.model, read())
            found.append((words, strongest_of(subject, layer, 1), read))
        features = chosen_features(found[-1][1], features, count)
        picked = subject.pick([strongest.images[features, 0] for _, strongest, _ in found])
        panels = []
        for _, strongest, read in found:
            assign(subject.model, read())
            pixels = np.stack([picked[number][0] for number in strongest.images[features, 0]])
            places = strongest.places[features, 0]
            projected = project_all(subject, layer, subject.inputs(pixels), features, places)
            cuts = boxes(subject, layer, places)
            panels.append(
                [
                    mosaic([tile(signed(cut(back, where)), 72), tile(photograph(cut(image, where)), 72)], 1)
                    for back, image, where in zip(projected, pixels, cuts, strict=True)
                ]
            )
    finally:
        assign(subject.model, own)
    figure, axes = grid(len(features), len(found), width=0.3 + 0.85 * len(found), height=0.3 + 1.6 * len(features))
    for column, (words, *_) in enumerate(found):
        axes[0, column].set_title(words, size=9)
        for row, feature in enumerate(features):
            axes[row, column].imshow(panels[column][row], interpolation="nearest")
            if column == 0:
                axes[row, column].set_ylabel(f"feature {feature}", size=9)
    moves = []
    for before, after in pairwise(strongest for _, strongest, _ in found):
        active = (before.values[:, 0] > 0) & (after.values[:, 0] > 0)
        moves.append(f"{100 * np.mean((before.images != after.images)[active, 0]):.0f}" if active.any() else "-")
    jumps = f" From one column to the next that is so of {', '.join(moves)} % of the active features." if moves else ""
    return figure, (
        f"Fig. 4, {subject.model.name}, {layer}: the strongest activation of {len(features)} features over "
        f"{subject.count:,} images at checkpoints of the training, projected back, above the patch of the image "
        f"that it comes from; a jump means that another image has become the strongest.{jumps} {ENHANCED}"
    )


def assign(model, values):
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def invariances(subject, count=5):
    """Fig. 5: how far the first and the last features move, and the class's probability, as the image moves."""
    examples = chosen_examples(subject, count)
    inputs = subject.inputs(np.stack([pixels for pixels, *_ in examples]))
    classes = [label for _, label, _ in examples]
    side = subject.shape[0]
    layers = first_convolution(subject.model).layer.name, last_hidden(subject.model)
    shifts = np.unique(np.round(np.linspace(-side / 4, side / 4, 17)))  # fewer of small images
    kinds = {  # the amounts, those whose images are shown, and the axis's words
        "translation": (shifts, (0, len(shifts) // 2, -1), "shifted down, pixels"),
        "scale": (np.linspace(1, 1.8, 17), (0, 8, -1), "enlarged, times"),
        "rotation": (np.arange(0, 360, 10), (0, 9, 18), "turned, degrees"),
    }
    figure = plot.Figure(figsize=(12.4, 8.4), layout="constrained")
    axes = figure.subplots(3, 4, width_ratios=(1.25, 1, 1, 1))
    for row, (kind, (amounts, at, words)) in enumerate(tqdm(kinds.items(), desc="moved images", unit="")):
        distances, probabilities = invariance(subject.model, layers, inputs, kind, amounts)
        versions = [subject.pixels(np.asarray(moved(inputs, kind, amounts[each]))) for each in at]
        tiles = [
            framed(tile(photograph(pixels), 64), colour)
            for version in versions
            for pixels, colour in zip(version, COLOURS, strict=False)
        ]
        axes[row, 0].imshow(mosaic(tiles, len(inputs)), interpolation="nearest")
        axes[row, 0].set_yticks([32, 97, 162], [f"{amounts[each]:.3g}" for each in at])
        middles = [32 + 65 * n for n in range(len(inputs))]
        axes[row, 0].set_xticks(middles, [subject.labels[label] for label in classes], size=8)
        for words_of_class, colour in zip(axes[row, 0].get_xticklabels(), COLOURS, strict=False):
            words_of_class.set_color(np.divide(colour, 255))
        lines = [*distances, [scores[:, label] for scores, label in zip(probabilities, classes, strict=True)]]
        for panel, curves in zip(axes[row, 1:], lines, strict=True):
            for curve, colour in zip(curves, COLOURS, strict=False):
                panel.plot(amounts, curve, color=np.divide(colour, 255), linewidth=1.4)
            panel.grid(alpha=0.3)
            panel.set_xlabel(words, size=9)
            panel.set_ylim(0, 1.05 if panel is axes[row, 3] else None)
    for panel, title in zip(
        axes[0],
        ("images", f"{layers[0]}: distance", f"{layers[1]}: distance", "probability of the class"),
        strict=True,
    ):
        panel.set_title(title, size=10)
    return figure, (
        f"Fig. 5, {subject.model.name}: {len(examples)} images shifted, enlarged and turned; the distance of the first "
        f"({layers[0]}) and last hidden layer's ({layers[1]}) features to those of the unmoved image, 1 being the mean "
        "distance between two of the images, and the probability of the class. What comes in from outside is zero to "
        f"the network. The images: of each class the one named right whose probability is nearest to {SURE}."
    )


def filters(subject, other=None):
    """Fig. 6: the filters of the first layer, dead ones crossed, and what the second layer likes, of two networks."""
    subjects = [subject] if other is None else [other, subject]
    tall = max(-(-first_convolution(each.model).layer.filters // 12) for each in subjects) / 12
    figure, axes = grid(2, len(subjects), 6.2 * len(subjects), 6.6 * (1 + tall), height_ratios=(tall, 1))
    found = []
    for column, each in enumerate(subjects):
        first = first_convolution(each.model)
        kernel = np.moveaxis(np.asarray(first.layer.kernel, "float32"), -1, 0)  # (filters, height, width, channels)
        strongest = strongest_of(each, first.layer.name, 1)
        dead = strongest.values[:, 0] <= DEAD * strongest.values.max()
        dead &= has_relu(each.model, first.layer.name)  # another layer may yet make a filter active, or silent
        largest = np.percentile(abs(kernel), 99.8)
        side = max(30, kernel.shape[1])
        tiles = [resized(signed(one, largest), side // kernel.shape[1] * kernel.shape[1]) for one in kernel]
        tiles = [crossed(one) if gone else one for one, gone in zip(tiles, dead, strict=True)]
        axes[0, column].imshow(mosaic(tiles, 12), interpolation="nearest")
        size, strides = first.layer.kernel_size, first.layer.strides
        words = f"{each.model.name}, {first.layer.name}: {size[0]}x{size[1]}/{strides[0]}"
        axes[0, column].set_title(f"{words}, {dead.sum()} of {len(dead)} dead", size=10)
        found.append(f"{words}: {dead.sum()} of {len(dead)} dead")

        second = convolutions(each.model)[1].layer.name
        strongest = strongest_of(each, second, 1)
        features = np.argsort(-strongest.values[:, 0], kind="stable")[:100]
        features = np.sort(features[strongest.values[features, 0] > 0])
        if not len(features):
            raise ValueError(f"none of {second}'s features is active on any image; there is no Fig. 6.")
        picked = each.pick(strongest.images[features, 0])
        inputs = each.inputs(np.stack([picked[number][0] for number in strongest.images[features, 0]]))
        places = strongest.places[features, 0]
        projected = project_all(each, second, inputs, features, places)
        tiles = [
            tile(signed(cut(back, where))) for back, where in zip(projected, boxes(each, second, places), strict=True)
        ]
        axes[1, column].imshow(mosaic(tiles, 10), interpolation="nearest")
        axes[1, column].set_title(f"{each.model.name}, {second}, projected back", size=10)
    return figure, (
        f"Fig. 6: above the filters of the first layer, all of a network with one contrast, dead ones crossed ("
        f"{'; '.join(found)}; dead: active at most at {100 * DEAD:.0f} % of the strongest on any of "
        f"{subject.count:,} images); below the strongest activation of each of the second convolution's features "
        f"(the 100 strongest), projected back. {ENHANCED}"
    )


def occlusions(subject, layer, count=6):
    """Fig. 7: what a grey square in every place does to the strongest feature map, the score and the named class."""
    examples = chosen_examples(subject, count)
    strongest = strongest_of(subject, layer, 4)
    titles = ("image", "activity of feature", "the feature", "probability of the class", "most probable class")
    figure, axes = grid(len(examples), 5, width=10.4, height=2.05 * len(examples))
    size = max(min(subject.shape[:2]) // 3, 1)
    colours = np.array(matplotlib.colormaps["tab10"].colors)
    covered, others = [], []
    for pixels, _, number in tqdm(examples, desc="covered images", unit=""):
        covered.append(occlusion(subject.model, layer, subject.inputs(pixels[None])[0], size))
        others.append([n for n in strongest.images[covered[-1].feature] if n != number][:3])
    picked = subject.pick([n for each in others for n in each])
    seen = []
    for row, ((pixels, label, _), result) in enumerate(zip(examples, covered, strict=True)):
        (image,) = subject.inputs(pixels[None])
        probability, named = result.probabilities[..., label], result.probabilities.argmax(-1)
        at = [list(strongest.images[result.feature]).index(n) for n in others[row]]
        inputs = np.stack([image, *(subject.inputs(picked[n][0][None])[0] for n in others[row])])
        projected = project_all(subject, layer, inputs[:1], result.feature)
        if at:
            places = strongest.places[result.feature, at]
            projected = np.concatenate([projected, project_all(subject, layer, inputs[1:], result.feature, places)])
        tiles = [tile(signed(each), 64) for each in projected]
        tiles[0] = framed(tiles[0], (0, 0, 0))

        shown = photograph(pixels)
        shown[-size - 2 : -2, 2 : size + 2] = photograph(subject.pixels(0 * image))[-size - 2 : -2, 2 : size + 2]
        height, width = subject.shape[:2]
        over = {"extent": (0, width, height, 0), "interpolation": "nearest"}
        axes[row, 0].imshow(shown, **over)
        axes[row, 0].set_ylabel(subject.labels[label], size=9)
        heat = axes[row, 1].imshow(result.activity, cmap="viridis", **over)
        figure.colorbar(heat, ax=axes[row, 1], shrink=0.8).ax.tick_params(labelsize=6)
        axes[row, 2].imshow(mosaic(tiles, 2), interpolation="nearest")
        heat = axes[row, 3].imshow(probability, cmap="viridis", vmin=0, vmax=1, **over)
        figure.colorbar(heat, ax=axes[row, 3], shrink=0.8).ax.tick_params(labelsize=6)
        axes[row, 4].imshow(colours[named % len(colours)], **over)
        for n, each in enumerate(np.unique(named)):
            colour = colours[each % len(colours)]
            style = {"size": 7, "color": "white", "bbox": {"facecolor": colour, "edgecolor": "white", "pad": 1}}
            axes[row, 4].text(0.03 * width, (0.09 + 0.12 * n) * height, subject.labels[each], **style)
        if row == 0:
            for panel, title in zip(axes[0], titles, strict=True):
                panel.set_title(title, size=9)
        axes[row, 1].set_xlabel(f"{layer}, feature {result.feature}", size=7)
        seen.append(f"{subject.labels[label]} {probability.min():.2f} and {probability.max():.2f}")
    return figure, (
        f"Fig. 7, {subject.model.name}: a square of what is zero to the network (lower left) covers each place. At "
        f"the place of its centre: the summed activity of the feature of {layer} that is strongest in the image, the "
        "probability of the class, and the most probable class. In the middle that feature projected back, of this "
        "image (framed) and of the three images where it is strongest. The images: of each class the one named right "
        f"whose probability is nearest to {SURE}; covered here or there, it lies between {'; '.join(seen)}. {ENHANCED}"
    )


def comparison(subject, layer, count=6):
    """The pixels behind a decision, by four ways of looking."""
    examples = chosen_examples(subject, count)
    pixels = np.stack([each for each, *_ in examples])
    inputs, classes = subject.inputs(pixels), [label for _, label, _ in examples]
    strongest = feature_maps(subject.model, layer, inputs).max(axis=(1, 2)).argmax(-1)
    ways = {
        "gradient": [signed(each) for each in saliency(subject.model, inputs, classes)],
        "guided backpropagation": [signed(each) for each in guided_backpropagation(subject.model, inputs, classes)],
        f"deconvnet, {layer}'s strongest": [signed(each) for each in project_all(subject, layer, inputs, strongest)],
    }
    left_out = ""
    try:
        ways["class activation map"] = class_activation_map(subject.model, inputs, classes)
    except ValueError as error:
        left_out = f" No class activation maps: {error}"
    figure, axes = grid(len(examples), 1 + len(ways), width=2 + 2 * len(ways), height=2.05 * len(examples))
    for row, (image, label, _) in enumerate(examples):
        axes[row, 0].imshow(photograph(image))
        axes[row, 0].set_ylabel(subject.labels[label], size=9)
        for panel, (title, pictures) in zip(axes[row, 1:], ways.items(), strict=True):
            panel.imshow(pictures[row])
            if row == 0:
                panel.set_title(title, size=9)
    return figure, (
        f"{subject.model.name}: what in an image speaks for its class, by the gradient of the score (Simonyan et al., "
        "2014), guided backpropagation (Springenberg et al., 2015), the deconvnet of the strongest activation, and "
        f"where there is global average pooling the class activation map (Zhou et al., 2016).{left_out} {ENHANCED}"
    )


def maps(subject, layer, count=64):
    """The feature maps of a layer for one image, as a grid."""
    pixels, _, _ = chosen_examples(subject, 1)[0]
    found = np.moveaxis(feature_maps(subject.model, layer, subject.inputs(pixels[None]))[0], -1, 0)
    chosen = np.unique(np.linspace(0, len(found) - 1, count).round().astype(int))
    largest = np.percentile(found, 99.8)
    tiles = [tile(photograph(255 * found[each][..., None] / (largest or 1.0)), 64) for each in chosen]
    figure, axes = grid(1, 2, width=12.4, height=max(3.1, 0.8 * -(-len(tiles) // 12)), width_ratios=(1, 3))
    axes[0, 0].imshow(photograph(pixels))
    axes[0, 1].imshow(mosaic(tiles, 12), interpolation="nearest")
    return figure, (
        f"{subject.model.name}, {layer}: {len(chosen)} of its {len(found)} feature maps for the image on the left; "
        "black is zero or less, white is reached by 0.2 % of the maps' pixels."
    )
