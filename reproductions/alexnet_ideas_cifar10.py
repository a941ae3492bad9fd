"""AlexNet's smaller ideas, one by one: Krizhevsky et al., NIPS 2012, sections 3.3, 3.4 and 4.2.

    python -m reproductions.alexnet_ideas_cifar10 --data-dir DIR

Paper: on ImageNet local response normalisation lowers the top-1 error by 1.4 points and overlapping pooling by 0.4; on
CIFAR-10 normalisation brings a four-layer network from 13 % to 11 %; without dropout the network "exhibits substantial
overfitting". Here each on the four-layer network alone.
"""

import sys

from matplotlib import pyplot as plt

from reproductions import relu_cifar10
from reproductions.study import Difference, Study, Training, band, main, of, save, test_error, training_error

PLAIN = "relu-0.01"  # the same trainings as in `relu_cifar10`, if both studies have the same --out
FLAGS = {
    "normalised": "--normalised",
    "dropout": "--dropout",
    "2x2-pooling": "--pooling plain",
    "average-pooling": "--pooling average",
}
LABELS = {
    PLAIN: "the network: ReLU, 3x3/2 max pooling",
    "normalised": "with response normalisation",
    "dropout": "with dropout",
    "2x2-pooling": "with 2x2/2 max pooling",
    "average-pooling": "with 3x3/2 average pooling",
}
PAPER = {
    "normalised": "paper: 13 to 11 %",
    "dropout": 'paper: without it "substantial overfitting"',
    "2x2-pooling": "paper, ImageNet: 0.4 points worse",
    "average-pooling": "the paper has none",
}
EPOCHS = relu_cifar10.EPOCHS["relu"]
TRAININGS = {
    PLAIN: relu_cifar10.TRAININGS[PLAIN],
    **{name: Training("four_layer_cifar10", f"--epochs {EPOCHS} {flags}") for name, flags in FLAGS.items()},
}


def gap(run):
    return test_error(run) - training_error(run)


CLAIMS = [
    Difference(
        "A3",
        "response normalisation lowers the test error, points",
        PLAIN,
        "normalised",
        test_error,
        0.0,
        2.0,
    ),
    Difference("A5", "dropout narrows the gap between test and training", PLAIN, "dropout", gap, 2.0),
    Difference("A5", "dropout lowers the test error, points", PLAIN, "dropout", test_error, 0.0),
    Difference("C7", "overlapping pooling lowers the test error, points", "2x2-pooling", PLAIN, test_error, 0.0, 0.4),
    Difference("C7", "max pooling has the smaller test error than average", "average-pooling", PLAIN, test_error, 0.0),
]


def draw(record, path):
    """Test and training error of the network and of each change to it."""
    runs = record["runs"]
    figure, axes = plt.subplots(1, len(FLAGS), figsize=(14, 3.8), sharey=True, layout="constrained")
    for panel, name in zip(axes, FLAGS, strict=True):
        for each, colour in ((PLAIN, "grey"), (name, "C0")):
            band(panel, of(runs, each), "test_error", color=colour, label=f"{LABELS[each]}: test")
            band(panel, of(runs, each), "training_error", color=colour, linestyle="--", label="training")
        panel.set(xlabel="steps", title=f"{LABELS[name]}\n({PAPER[name]})")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=6)
    axes[0].set(ylabel="error, %", ylim=(15, 70))
    figure.suptitle(f"CIFAR-10, four layers; mean of {len(of(runs, PLAIN))} seeds, bands from least to most")
    save(figure, path)


if __name__ == "__main__":
    deviations = [
        f"{EPOCHS} epochs without augmentation at a constant rate of 0.01; the paper does not print the network"
    ]
    sys.exit(main(Study("alexnet_ideas_cifar10", __doc__, TRAININGS, CLAIMS, deviations)))
