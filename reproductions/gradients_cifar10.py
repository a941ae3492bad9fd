"""Gradients through 55 layers: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1.

    python -m reproductions.gradients_cifar10 --data-dir DIR

Paper: the trouble of deep plain networks is "unlikely to be caused by vanishing gradients", since batch normalisation
keeps their norms healthy; no figure is printed. Here plain-56 with and without batch normalisation, its weights drawn
as He et al. (ICCV 2015) do or from N(0, 0.01^2): the gradient of every layer's kernel at the start and in the course of
200 steps.
"""

import sys
from functools import partial

import keras
import numpy as np
from matplotlib import pyplot as plt

from keras_cnns import resnet_cifar
from keras_cnns.data import statistics
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.layers import BatchNormalization
from keras_cnns.training import SGD
from reproductions.gradients import decided, geometric_band, gradient_norms, main, norms_of
from reproductions.study import save

SCRIPT = "gradients_cifar10"
BATCH, STEPS, MEASURED = 128, 200, (0, 50, 200)
HE, SMALL = "He", "N(0, 0.01²)"
VARIANTS = {f"{normal}, {start}": (normal, start) for normal in ("batch norm", "no norm") for start in (HE, SMALL)}
VANISHED, HEALTHY = 1e-3, 0.1


def plain56(normal, start, classes, seed):
    """plain-56; without normalisation its layers are convolutions, each with a bias, and ReLU."""
    keras.utils.set_random_seed(seed)
    model = resnet_cifar(56, residual=False, classes=classes)

    def changed(layer):
        settings = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            settings["use_bias"] = settings["use_bias"] or normal == "no norm"
            if start == SMALL:
                settings["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.01)
            elif start == HE:
                settings["kernel_initializer"] = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
        return type(layer).from_config(settings)

    def called(layer, x, **kwargs):
        return x if isinstance(layer, BatchNormalization) and normal == "no norm" else layer(x, **kwargs)

    return keras.models.clone_model(model, clone_function=changed, call_function=called)


def trained(train, seed, normal, start):
    """The first steps of one network."""
    # 0.1 as in the paper; without normalisation, which lets rates be that large, a tenth of it.
    optimizer = SGD(0.1 if normal == "batch norm" else 0.01, momentum=0.9, l2=1e-4)
    batches = list(train.batches(BATCH, shuffle=True, drop_remainder=True, seed=seed, count=STEPS + 1))
    return gradient_norms(plain56(normal, start, len(train.labels), seed), optimizer, batches, MEASURED)


def augmented(train):
    mean, _ = statistics(train)
    return train.map(pad_and_crop(4), random_flip, subtract_mean(mean))


def claims(runs):
    """The rule: what the first layer's gradient is beside the last's."""
    rows = []
    for name in VARIANTS:
        vanishes = name == f"no norm, {SMALL}"
        words = "vanishes" if vanishes else "does not vanish"
        rule = f"first layer's norm {f'under {VANISHED:g}' if vanishes else f'over {HEALTHY:g}'} of the last's"
        holds = (lambda ratio: ratio < VANISHED) if vanishes else (lambda ratio: ratio > HEALTHY)
        for step, norms in zip(MEASURED, np.moveaxis(norms_of(runs, name), 1, 0), strict=True):
            statement = f"{name}: the gradient {words}, step {step}"
            first, last = norms[:, 0], norms[:, -1]
            ratios = np.divide(first, last, out=np.zeros_like(first), where=first != 0)  # 0 / 0 has vanished too
            rows.append(decided("R0", statement, ratios, rule, holds))
    return rows


def draw(record, path):
    figure, grid = plt.subplots(1, len(VARIANTS), figsize=(14, 3.8), sharex=True, sharey=True, layout="constrained")
    for name, axes in zip(VARIANTS, grid, strict=True):
        losses = np.array([run["losses"] for run in record["runs"] if run["name"] == name])
        good = np.isfinite(losses).all(axis=1)
        for number, (step, curves) in enumerate(
            zip(MEASURED, np.moveaxis(norms_of(record["runs"], name), 1, 0), strict=True)
        ):
            if curves[good].any():
                layers = np.arange(1, curves.shape[1] + 1)
                geometric_band(axes, layers, curves[good], color=f"C{number}", label=f"step {step}")
        if not axes.lines:
            axes.text(0.5, 0.5, "0 in every layer, at each step", transform=axes.transAxes, ha="center")
        diverged = f"; {np.sum(~good)} of {len(good)} diverged" if not good.all() else ""
        axes.set(
            title=f"{name}\nloss after {STEPS}: {losses[good, -10:].mean():.2f}{diverged}",
            xlabel="layer",
            yscale="log",
        )
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("norm of the kernel's gradient")
    grid[0].legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    variants = {name: partial(trained, normal=normal, start=start) for name, (normal, start) in VARIANTS.items()}
    deviations = [
        f"{STEPS} steps of {BATCH} at a constant rate: 0.1 with batch normalisation, 0.01 without it",
        "without normalisation the convolutions have biases",
    ]
    sys.exit(main(SCRIPT, __doc__, augmented, variants, claims, deviations))
