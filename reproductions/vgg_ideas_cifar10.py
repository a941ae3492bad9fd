"""Depth, small kernels and heads: Simonyan & Zisserman, ICLR 2015, section 4.1; Lin et al., "Network in Network", 2014.

    python -m reproductions.vgg_ideas_cifar10 --data-dir DIR

Paper: configurations A, B, D have 10.4, 9.9, 8.8 % top-5 error on ImageNet; B with a 5x5 for every two 3x3 is 7 points
worse in top-1. Here with a quarter of the filters on CIFAR-10, and B also with global average pooling for its dense
layers, which hold most of its parameters.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, band, main, of, save, test_error, training_error

EPOCHS = 6
FLAGS = {
    "A": "--configuration A",
    "B": "--configuration B",
    "D": "--configuration D",
    "B-5x5": "--configuration B --kernel 5",
    "B-average": "--configuration B --head average",
}
TRAININGS = {
    f"VGG-{name}": Training("vgg_cifar10", f"--epochs {EPOCHS} --batch-size 64 {flags}")
    for name, flags in FLAGS.items()
}


def gap(run):
    return test_error(run) - training_error(run)


CLAIMS = [
    Difference("V1", "B has the smaller test error than A, points", "VGG-A", "VGG-B", test_error, 0.0, 0.5),
    Difference("V1", "D has the smaller test error than B, points", "VGG-B", "VGG-D", test_error, 0.0, 1.1),
    Difference(
        "V2", "two 3x3 have the smaller test error than a 5x5, points", "VGG-B-5x5", "VGG-B", test_error, 0.0, 7.0
    ),
    Difference(
        "C6", "dense layers train worse than average pooling, points", "VGG-B", "VGG-B-average", training_error, 0.0
    ),
    Difference("C6", "dense layers test worse than average pooling, points", "VGG-B", "VGG-B-average", test_error, 0.0),
    Difference("C6", "the gap between test and training is larger with them", "VGG-B", "VGG-B-average", gap, 0.0),
]


def draw(record, path):
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), sharey=True, layout="constrained")
    for axes, chosen in ((left, ("VGG-A", "VGG-B", "VGG-D")), (right, ("VGG-B", "VGG-B-5x5", "VGG-B-average"))):
        for number, name in enumerate(chosen):
            runs = of(record["runs"], name)
            label = f"{name.replace('-', ' ')}, {runs[0]['model']['parameters']:,} parameters"
            band(axes, runs, "test_error", color=f"C{number}", label=f"{label}, test")
            band(axes, runs, "training_error", color=f"C{number}", linestyle="--", label="training")
        axes.set(xlabel="steps", ylim=(10, 95))  # 90 is chance
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    left.set(ylabel="error, %", title="depth (paper, ImageNet: top-5 error 10.4, 9.9, 8.8 %)")
    right.set(title="kernels and heads (paper, ImageNet: 5x5 has 7 points more top-1 error)")
    seeds = len(of(record["runs"], "VGG-B"))
    figure.suptitle(f"CIFAR-10, a quarter of VGG's filters; seeds: {seeds}; lines are means, bands from least to most")
    save(figure, path)


if __name__ == "__main__":
    deviations = [
        f"{EPOCHS} epochs of batches of 64 on CIFAR-10 at 32x32 pixels, a quarter of the filters and dense units",
        "one schedule and He's initialisation for all",
    ]
    sys.exit(main(Study("vgg_ideas_cifar10", __doc__, TRAININGS, CLAIMS, deviations)))
