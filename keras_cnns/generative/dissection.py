"""Bau et al., "GAN Dissection: Visualizing and Understanding Generative Adversarial Networks", ICLR 2019.

    found = dissect(generator, "relu3", garment_parts, z)
    print(found.table())
    images = intervene(generator, "relu3", z, units=[4, 7])  # without these units

A concept function takes images as the generator makes them, and returns a dict from each concept's name to masks
`(batch, height, width)` from 0 to 1; a pixel is the concept's where its mask is over a half. `optimise_units` follows
their gradient. Some are in `keras_cnns.generative.concepts`; `segmented` there makes one of a segmentation network.

Deviations: causal effects are over the whole image and, unless `places` says where, of units changed everywhere; the
paper inserts at single places. Candidates of the threshold are 100 quantiles of the unit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy.special import xlogy
from tqdm import tqdm

QUANTILES = np.linspace(0.005, 0.995, 100)  # where a threshold may lie
REPORTED = 0.05  # the IoU over which a unit is said to match a concept
Concepts = Callable[[np.ndarray], dict[str, np.ndarray]]  # from images to each concept's masks, 0 or 1
AT_ONCE = 100  # images that go through the generator together


class Dissection(NamedTuple):
    """How the units of a layer agree with concepts; arrays are `(units, concepts)`, float64."""

    concepts: list  # names
    iou: np.ndarray
    quality: np.ndarray  # information quality ratio at the threshold, 0 to 1
    thresholds: np.ndarray
    values: np.ndarray  # the unit's mean where the concept is: what insertion sets it to; 0 where it never is

    def found(self, least=REPORTED):
        """Return the units that match a concept, each with its best: rows (unit, concept, IoU), the highest first."""
        best = self.iou.argmax(axis=1)
        rows = [(unit, self.concepts[each], float(self.iou[unit, each])) for unit, each in enumerate(best)]
        return sorted((row for row in rows if row[2] > least), key=lambda row: -row[2])

    def table(self, least=REPORTED):
        """Return a Markdown table of the units that match a concept."""
        lines = ["| unit | concept | IoU | information quality | threshold |", "|---|---|---|---|---|"]
        for unit, concept, iou in self.found(least):
            quality, threshold = (each[unit, self.concepts.index(concept)] for each in (self.quality, self.thresholds))
            lines.append(f"| {unit} | {concept} | {iou:.3f} | {quality:.3f} | {threshold:.3g} |")
        return "\n".join(lines)


def dissect(
    generator: keras.Model, layer: str, concepts: Concepts, z: np.ndarray, threshold: str | float = "quality"
) -> Dissection:
    """Return the `Dissection` of a generator's layer: each unit's upsampled, thresholded map against concept masks.

    Thresholds are chosen on the images of the first half of z, the figures are those of the second half. With progress.

    Args:
        generator: a functional model from z to images `(batch, height, width, channels)`.
        layer: name of a layer whose maps `(batch, rows, columns, units)` alone lead to the image.
        concepts: a concept function; see above.
        z: `(number, latent)`, of at least 2 images.
        threshold: "quality", for each unit and concept the one with the highest information quality ratio, I / H; or
            a share of pixels, such as the authors' 0.005, that lie above a unit's threshold.

    Raises:
        ValueError: no such layer, or none with maps; other z; masks that are no dict of one mask an image; another
            threshold.

    Source: section 3.1, equation 2.
    """
    share = None if threshold == "quality" else threshold
    if share is not None and not (isinstance(share, float) and 0 < share < 1):
        raise ValueError(f'threshold is {threshold!r}; it must be "quality" or a share of pixels between 0 and 1.')
    if len(z) < 2:
        raise ValueError(f"z has {len(z)} rows; thresholds and figures need an image each.")
    to_maps, to_images = halves(generator, layer)
    maps, masks = [], []
    for part in parts_of(generator, z):
        maps.append(to_maps(part, training=False))
        masks.append(masks_of(concepts, to_images(maps[-1], training=False)))
    names = list(masks[0])
    masks = np.stack([np.concatenate([each[name].numpy() > 0.5 for each in masks]) for name in names])
    maps, half = tf.cast(tf.concat(maps, axis=0), tf.float32), len(z) // 2
    rows = []
    for unit in tqdm(range(maps.shape[-1]), desc=f"units of {layer}", unit="unit"):
        values = tf.image.resize(maps[..., unit : unit + 1], masks.shape[2:])[..., 0].numpy()
        if share is None:
            chosen = best_thresholds(values[:half], masks[:, :half])
        else:
            chosen = np.full(len(names), np.quantile(values[:half], 1 - share))
        rows.append([figures(values[half:], *each) for each in zip(masks[:, half:], chosen, strict=True)])
    return Dissection(names, *np.moveaxis(np.array(rows, "float64"), -1, 0))


def best_thresholds(values, masks):
    """For each mask the quantile of a unit's values with the highest information quality."""
    candidates = np.quantile(values, QUANTILES).astype(values.dtype)
    over = np.searchsorted(candidates, values.ravel())  # the number of candidates that a value is above

    def above(chosen):
        return np.bincount(over[chosen], minlength=len(candidates) + 1)[::-1].cumsum()[::-1][1:]

    unit = above(slice(None))
    qualities = [information_quality(above(mask.ravel()), unit, mask.sum(), mask.size) for mask in masks]
    return candidates[np.argmax(qualities, axis=1)]


def figures(values, mask, threshold):
    """IoU, information quality, the threshold, and the unit's mean where the concept is."""
    over = values > threshold
    both, unit, concept = (over & mask).sum(), over.sum(), mask.sum()
    iou = both / max(unit + concept - both, 1)
    return iou, information_quality(both, unit, concept, mask.size), threshold, values[mask].sum() / max(concept, 1)


def information_quality(both, unit, concept, total):
    """Return I / H of two sets of pixels, from 0 to 1: their mutual information as a share of their joint entropy.

    Args:
        both, unit, concept: how many pixels are in both sets, in the unit's, in the concept's; numbers or arrays.
        total: number of pixels.
    """
    entropy = lambda *counts: -sum(xlogy(each / total, each / total) for each in counts)
    joint = entropy(both, unit - both, concept - both, total - unit - concept + both)
    mutual = entropy(unit, total - unit) + entropy(concept, total - concept) - joint
    return np.where(joint > 0, np.maximum(mutual, 0) / np.where(joint > 0, joint, 1), 0.0)


def intervene(
    generator: keras.Model,
    layer: str,
    z: np.ndarray,
    units: Sequence[int],
    values: float | Sequence[float] = 0.0,
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Return the images of z with units of a layer set to other values: 0 ablates them, `Dissection.values` insert.

    Args:
        generator, layer, z: as in `dissect`.
        units: numbers of units; none leave the images as they are.
        values: a number, or one a unit of `units`.
        places: from 0 to 1, `(rows, columns)` of the layer's maps or `(batch, rows, columns)`: where; by default
            everywhere.

    Raises:
        ValueError: as in `dissect`; no such unit, units that are no whole numbers, or values or places of another
            shape.

    Source: section 3.2.
    """
    return np.concatenate(list(images_of(generator, layer, z, units, values, places)))


def presence(
    generator: keras.Model,
    layer: str,
    concepts: Concepts,
    z: np.ndarray,
    units: Sequence[int] = (),
    values: float | Sequence[float] = 0.0,
    places: np.ndarray | None = None,
) -> dict[str, float]:
    """Return the share of pixels that each concept has in the images of `intervene`: a dict by the concept's name.

    Arguments and errors: as in `intervene`, with `concepts` as in `dissect`; by default no unit is changed.
    """
    total = {}
    for images in images_of(generator, layer, z, units, values, places):
        for name, mask in masks_of(concepts, images).items():
            total[name] = total.get(name, 0.0) + float(np.mean(mask > 0.5, axis=(1, 2)).sum())
    return {name: each / len(z) for name, each in total.items()}


def causal_effect(
    generator: keras.Model,
    layer: str,
    concepts: Concepts,
    z: np.ndarray,
    units: Sequence[int],
    values: float | Sequence[float],
    places: np.ndarray | None = None,
) -> dict[str, float]:
    """Return each concept's share of pixels with units inserted, less that with them ablated: a dict by name.

    Arguments and errors: as in `intervene`, with `concepts` as in `dissect`.

    Source: section 3.2, equation 4.
    """
    with_them = presence(generator, layer, concepts, z, units, values, places)
    without = presence(generator, layer, concepts, z, units, 0.0, places)
    return {name: with_them[name] - without[name] for name in without}


def optimise_units(
    generator: keras.Model,
    layer: str,
    concepts: Concepts,
    concept: str,
    z: np.ndarray,
    found: Dissection,
    steps: int = 200,
    places: np.ndarray | None = None,
    rate: float = 0.01,
    penalty: float = 0.005,
) -> np.ndarray:
    """Return how far each unit causes a concept, alpha `(units,)` from 0 to 1, by the gradient of the causal effect.

    The effect is of units set to alpha times their value where the concept is, and of units ablated by alpha; the set
    is that of the highest alpha (20 in the paper).

    Args:
        generator, layer, concepts, z, places: as in `intervene`; a step takes 20 of the z by turns.
        concept: its name.
        found: the layer's `Dissection`: of the values, and of the IoU, which alpha starts from.
        rate: Adam's.
        penalty: lambda, of the squares of alpha.

    Raises:
        ValueError: as in `intervene`; no such concept, or another layer's dissection.

    Source: section 3.2, equations 5 and 6; the authors' release for the start.
    """
    if concept not in found.concepts:
        raise ValueError(f"there is no concept {concept!r}; the dissection has {', '.join(found.concepts)}.")
    to_maps, to_images = halves(generator, layer)
    units = to_maps.output.shape[-1]
    if len(found.iou) != units:
        raise ValueError(f"the dissection is of {len(found.iou)} units; layer {layer!r} has {units}.")
    place = found.concepts.index(concept)
    values, iou = tf.constant(found.values[:, place], tf.float32), found.iou[:, place]
    alpha = keras.Variable((iou / max(iou.max(), 1e-12)).astype("float32"))
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build([alpha])
    where = everywhere(to_maps, places, len(z))

    @tf.function
    def step(z, where):
        maps = tf.cast(to_maps(z, training=False), tf.float32)
        with tf.GradientTape() as tape:
            inserted, ablated = (
                tf.reduce_mean(concepts(to_images(changed(maps, alpha, k, where), training=False))[concept])
                for k in (values, tf.zeros_like(values))
            )
            loss = ablated - inserted + penalty * tf.reduce_sum(alpha.value**2)
        optimizer.apply([tape.gradient(loss, alpha.value)], [alpha])
        alpha.assign(tf.clip_by_value(alpha.value, 0.0, 1.0))
        return inserted - ablated

    batch = min(20, len(z))
    with tqdm(range(steps), desc=f"units of {concept}", unit="step") as bar:
        for number in bar:
            index = np.arange(number * batch, (number + 1) * batch) % len(z)
            effect = step(tf.gather(tf.cast(z, tf.float32), index), where if where.shape[0] == 1 else where[index])
            if number % 20 == 19:
                bar.set_postfix(effect=f"{float(effect):.3f}")
    return alpha.numpy()


def halves(generator, layer):
    """The generator up to a layer's output, and from there: two models that share its weights."""
    names = [each.name for each in generator.layers]
    if layer not in names:
        raise ValueError(f"{generator.name} has no layer {layer!r}; it has {', '.join(names)}.")
    maps = generator.get_layer(layer).output
    if len(maps.shape) != 4:
        raise ValueError(f"layer {layer!r} gives {maps.shape[1:]}; maps (rows, columns, units) are needed.")
    try:
        return keras.Model(generator.inputs[0], maps), keras.Model(maps, generator.outputs[0])
    except ValueError:
        raise ValueError(f"the image does not depend on layer {layer!r} alone; another must be dissected.") from None


def parts_of(generator, z):
    """z in parts that go through the generator together."""
    z, latent = np.asarray(z, "float32"), generator.inputs[0].shape[-1]
    if z.ndim != 2 or z.shape[1] != latent or not len(z):
        raise ValueError(f"z has the shape {z.shape}; {generator.name} takes (number, {latent}).")
    return [z[start : start + AT_ONCE] for start in range(0, len(z), AT_ONCE)]


def masks_of(concepts, images):
    """The concept function's masks, checked."""
    masks = concepts(tf.convert_to_tensor(images))
    if not isinstance(masks, dict) or not masks:
        raise ValueError("concepts must return a dict from names to masks.")
    for name, mask in masks.items():
        if tuple(mask.shape) != tuple(images.shape[:3]):
            raise ValueError(f"the masks of {name!r} are of {tuple(mask.shape)}; the images' are {images.shape[:3]}.")
    return {name: tf.cast(mask, tf.float32) for name, mask in masks.items()}


def images_of(generator, layer, z, units, values, places):
    """The images of `intervene` in parts."""
    to_maps, to_images = halves(generator, layer)
    count = to_maps.output.shape[-1]
    units = np.asarray(units).reshape(-1)
    if units.size and not np.issubdtype(units.dtype, np.integer):  # such as a mask, which looks like 0 and 1
        raise ValueError(f"units are {units.dtype}; they must be whole numbers, those of units.")
    units = units.astype(int)
    if wrong := [unit for unit in units if not 0 <= unit < count]:
        raise ValueError(f"there is no unit {wrong[0]}; layer {layer!r} has 0 to {count - 1}.")
    if np.shape(values) not in ((), units.shape):
        raise ValueError(f"values have the shape {np.shape(values)}; it must be a number, or one a unit.")
    alpha, k = np.zeros((2, count), "float32")
    alpha[units], k[units] = 1.0, values
    where = everywhere(to_maps, places, len(z))
    for number, part in enumerate(parts_of(generator, z)):
        here = where if where.shape[0] == 1 else where[number * AT_ONCE : number * AT_ONCE + len(part)]
        yield to_images(changed(to_maps(part, training=False), alpha, k, here), training=False).numpy()


def everywhere(to_maps, places, count):
    """places as `(1 or batch, rows, columns, 1)`; ones if there are none."""
    sides = tuple(to_maps.output.shape[1:3])
    where = np.ones(sides, "float32") if places is None else np.asarray(places, "float32")
    if where.ndim not in (2, 3) or where.shape[-2:] != sides:
        raise ValueError(f"places have the shape {where.shape}; the layer's maps are {sides}.")
    if where.ndim == 3 and len(where) not in (1, count):
        raise ValueError(f"places are of {len(where)} images; z has {count} rows.")
    return where.reshape(-1, *sides, 1)


def changed(maps, alpha, values, where):
    """(1 - alpha) r + alpha k at the places, r elsewhere; `alpha` and k `(units,)`."""
    return maps + tf.cast(alpha * where * (values - tf.cast(maps, tf.float32)), maps.dtype)
