"""Units of a DCGAN that stand for something: Bau et al., "GAN Dissection", ICLR 2019, on Fashion-MNIST.

    python -m reproductions.gan_dissection_fashion_mnist --data-dir DIR --run RUN

Paper: units of a Progressive GAN match objects of a segmentation, and ablating them removes these objects; on
photographs of rooms and churches. Here the DCGAN of `dcgan_fashion_mnist`, its garments without a segmentation: the
concepts are where there is garment in the picture, and how bright it is. Of the units found on some z each is ablated
on others, beside as many random units of its layer. The committed record is of `garments-DCGAN`, the run that
`dcgan_garments` leaves.
"""

import sys

import numpy as np
from matplotlib import pyplot as plt

from keras_cnns.generative import causal_effect, dissect, optimise_units, presence, random_latents
from keras_cnns.generative.concepts import garment_parts
from keras_cnns.generative.dissection_figures import changes_shown, page, units_shown
from reproductions.generators import fashion_generator, measure_all, options_of, rounded, save_examples
from reproductions.gradients import decided
from reproductions.record import told
from reproductions.study import save

SCRIPT = "gan_dissection_fashion_mnist"
LAYERS = ("relu2", "relu3")  # of 8x8 and of 16x16
IMAGES, HELD_OUT, SET, STEPS = 1000, 200, 20, 150  # 20 units is the paper's set
ERRORS, MORE = 2.0, 0.02  # standard errors; share of the picture's pixels


def latents(options, seed, latent):
    """z to find units on, and others to ablate them on."""
    counts = (40, 20) if options.smoke else (IMAGES, HELD_OUT)
    return [random_latents(count, latent, 2 * seed + part) for part, count in enumerate(counts, 10)]


def ablations(generator, layer, z, held_out, seed):
    """The units found, each with the share of its concept's pixels that its ablation removes, and a random unit's."""
    found = dissect(generator, layer, garment_parts, z)
    units, rng = len(found.iou), np.random.default_rng(seed)
    before = presence(generator, layer, garment_parts, held_out)
    after = [presence(generator, layer, garment_parts, held_out, [unit]) for unit in range(units)]
    rows = []
    for unit, concept, iou in found.found():
        other = int((unit + rng.integers(1, units)) % units)
        if before[concept] > 0:
            removed, at_random = (1 - after[each][concept] / before[concept] for each in (unit, other))
            row = {"unit": unit, "concept": concept, "random_unit": other}
            row["iou"], row["removed"], row["removed_at_random"] = rounded([iou, removed, at_random])
            rows.append(row)
    return found, rows


def optimised(generator, layer, found, z, held_out, seed, steps):
    """The causal effect of the optimised set of units on the concept that most units match, and a random set's."""
    if not found.found():
        return None
    names = [concept for _, concept, _ in found.found()]
    concept = max(dict.fromkeys(names), key=names.count)
    values, size = found.values[:, found.concepts.index(concept)], min(SET, len(found.iou) // 4)
    alpha = optimise_units(generator, layer, garment_parts, concept, z, found, steps)
    sets = np.argsort(-alpha, kind="stable")[:size], np.random.default_rng(seed).permutation(len(alpha))[:size]
    effects = [
        causal_effect(generator, layer, garment_parts, held_out, units, values[units])[concept] for units in sets
    ]
    ours, at_random = rounded(effects)
    return {"concept": concept, "units": sets[0].tolist(), "effect": ours, "effect_at_random": at_random}


def standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


def claims(runs):
    """The rules: over all units found, and of the optimised sets."""
    rows = []
    for name in LAYERS:
        of_layer = [run for run in runs if run["name"] == name]
        if all(len(run["units"]) > 1 for run in of_layer):
            more = [np.array([row["removed"] - row["removed_at_random"] for row in run["units"]]) for run in of_layer]
            means, errors = ([float(f(each)) for each in more] for f in (np.mean, standard_error))
            statement = f"{name}: ablating a unit found removes more of its concept than a random unit: share, mean"
            ratios = np.divide(means, errors)
            row = decided("N4", statement, ratios, f"over {ERRORS:g} standard errors", lambda ratio: ratio > ERRORS)
            ours = ", ".join(f"{mean:.3f} ± {error:.3f}" for mean, error in zip(means, errors, strict=True))
            rows.append({**row, "ours": ours})
        sets = [run["set"] for run in of_layer]
        if all(sets):
            differences = [each["effect"] - each["effect_at_random"] for each in sets]
            statement = (
                f"{name}: the optimised units cause their concept more than as many random ones: share of pixels"
            )
            rows.append(decided("N4", statement, differences, f"over {MORE:g}", lambda each: each > MORE))
    return rows


def draw(record, path):
    """The share of its concept that a unit's ablation removes, against its IoU, and a random unit's."""
    figure, grid = plt.subplots(1, len(LAYERS), figsize=(11, 4.2), layout="constrained", sharey=True)
    for name, axes in zip(LAYERS, grid, strict=True):
        units = [row for run in record["runs"] if run["name"] == name for row in run["units"]]
        for key, label in (("removed_at_random", "a random unit"), ("removed", "the unit found")):
            axes.plot([row["iou"] for row in units], [100 * row[key] for row in units], ".", alpha=0.6, label=label)
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set(xlabel="IoU of the unit with its concept", title=f"{name}: {len(units)} units found, all seeds")
        axes.grid(alpha=0.3)
        axes.legend()
    grid[0].set_ylabel("of the concept's pixels removed, %")
    save(figure, path)


def examples(generator, layer, z, held_out, found, rows):
    """The units whose ablation removes most, the median and the least of their concept: where they are active, and the
    images before and after."""
    ordered = sorted(rows, key=lambda row: -row["removed"])
    chosen = {"best": ordered[0], "median": ordered[len(ordered) // 2], "worst": ordered[-1]}
    found_ones = [(row["unit"], row["concept"], row["iou"]) for row in chosen.values()]
    changes = [
        (f"{name}: unit {row['unit']}\n{row['concept']}\n{row['removed']:.1%} removed", [row["unit"]], 0.0)
        for name, row in chosen.items()
    ]
    active, names = units_shown(generator, layer, found, z, found_ones)
    pairs, words = changes_shown(generator, layer, held_out[:8], changes)
    return page(active + pairs, names + words)


def study(options):
    generator, (train, _) = fashion_generator(options)
    latent, dissections = generator.input_shape[-1], {}

    def measure(layer, seed):
        z, held_out = latents(options, seed, latent)
        found, rows = ablations(generator, layer, z, held_out, seed)
        print(found.table())
        of_set = optimised(generator, layer, found, z, held_out, seed, 5 if options.smoke else STEPS)
        if seed == 0 and rows:
            dissections[layer] = found, rows
        return {"units_of_layer": len(found.iou), "units": rows, "set": of_set}

    record = measure_all(
        SCRIPT,
        options,
        LAYERS,
        measure,
        claims,
        f"images of {generator.name}, trained on {train.description}",
        [
            "concepts by position and brightness of garments, where the paper asks a segmentation network",
            "a DCGAN of 32x32 pixels, where the paper has Progressive GANs of 256x256",
            "units are ablated and inserted in the whole map",
        ],
    )
    draw(record, options.out.with_suffix(".png"))
    z, held_out = latents(options, 0, latent)
    for layer in LAYERS[::-1]:  # the finer maps, if any of their units was found
        rows = next((run["units"] for run in record["runs"] if (run["name"], run["seed"]) == (layer, 0)), None)
        if rows:
            found = dissections[layer][0] if layer in dissections else dissect(generator, layer, garment_parts, z)
            save_examples(examples(generator, layer, z, held_out, found, rows), options)
            break


def main(arguments=None):
    return told(study, options_of(SCRIPT, __doc__, arguments))


if __name__ == "__main__":
    sys.exit(main())
