"""ReLU against tanh: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", section 3.1.

    python -m reproductions.relu_cifar10 --data-dir DIR

Paper: Fig. 1, a four-layer network with ReLU reaches 25 % training error on CIFAR-10 six times sooner than with tanh,
"the learning rates for each network were chosen independently to make training as fast as possible". Here three rates
for each.
"""

import sys
from dataclasses import dataclass
from math import inf
from statistics import mean

from matplotlib import pyplot as plt

from reproductions.study import SEEDS, Study, Training, band, main, names, of, save

TARGET, SOONER = 25, 2.0  # % training error; the rule's ratio
RATES = (0.003, 0.01, 0.03)
EPOCHS = {"relu": 15, "tanh": 40}
TRAININGS = {
    f"{activation}-{rate:g}": Training(
        "four_layer_cifar10", f"--activation {activation} --rate {rate:g} --epochs {epochs}"
    )
    for activation, epochs in EPOCHS.items()
    for rate in RATES
}


def epochs_to_target(run):
    """Epochs until the training error of one is at most 25 %; infinite if none is."""
    return next((n for n, row in enumerate(run["epochs"], 1) if row["training_error"] <= TARGET), inf)


def fastest(runs, activation):
    """The runs at the rate that needs the fewest epochs in the mean over the seeds, and at none if all fail."""
    groups = [of(runs, name) for name in names(runs) if name.startswith(activation)]
    return min(groups, key=lambda group: mean(map(epochs_to_target, group)))


@dataclass(frozen=True)
class Sooner:
    """Epochs with tanh by epochs with ReLU, each at its best rate, seed by seed."""

    def decide(self, runs):
        relu, tanh = ([epochs_to_target(run) for run in fastest(runs, each)] for each in ("relu", "tanh"))
        ratios = [b / a for a, b in zip(relu, tanh, strict=True)] if inf not in relu else []
        above = [ratio >= SOONER for ratio in ratios]
        verdict = "holds" if all(above) else "not decided" if any(above) else "does not hold"
        if len(above) < SEEDS or any(run["smoke"] for run in runs):
            verdict = "not decided"
        return {
            "id": "A2",
            "statement": f"epochs to {TARGET} % training error, tanh's by ReLU's, each at the best rate",
            "paper": 6.0,
            "ours": f"{', '.join(f'{ratio:.1f}' for ratio in ratios)} (tanh {tanh}, ReLU {relu} epochs)",
            "rule": f"at least {SOONER:g} in each of {SEEDS} seeds or more",
            "verdict": verdict,
        }


def draw(record, path):
    """The paper's Fig. 1."""
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for activation, style, label in (("relu", "-", "ReLU"), ("tanh", "--", "tanh")):
        runs = fastest(record["runs"], activation)
        rate = runs[0]["name"].partition("-")[2]
        band(
            axes,
            runs,
            "training_error",
            linestyle=style,
            color="black" if style == "-" else "C3",
            label=f"{label}, rate {rate}",
        )
    axes.axhline(TARGET, color="grey", linestyle=":", label=f"{TARGET} %, reached six times sooner in the paper")
    axes.set(xlabel="steps", ylabel="training error, %", ylim=(0, 75), title="CIFAR-10, four layers")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    deviations = ["the paper does not print the network, nor its batch size; training error as it was trained"]
    sys.exit(main(Study("relu_cifar10", __doc__, TRAININGS, [Sooner()], deviations)))
