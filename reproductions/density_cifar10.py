"""DenseNet beside ResNet: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, section 4.3.

    python -m reproductions.density_cifar10 --data-dir DIR

Paper: DenseNet (40, 12), 5.24 % test error with 1.0 million parameters. Here beside ResNet-56 of 0.85 million, ten
epochs each: a proxy.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, band, main, names, of, save, test_error

BUDGET = "--epochs 10"
TRAININGS = {
    "ResNet-56": Training("resnet_cifar10", f"--depth 56 {BUDGET}"),
    "DenseNet-40": Training("densenet_cifar10", f"--depth 40 --growth-rate 12 --batch-size 128 {BUDGET}"),
}
CLAIMS = [
    Difference(
        "D1",
        "DenseNet (40, 12) has the smaller test error, with 1.2 times the parameters, points",
        "ResNet-56",
        "DenseNet-40",
        test_error,
        margin=0.5,
        paper="1.73, of 6.97 and 5.24",
    )
]


def draw(record, path):
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for number, name in enumerate(names(record["runs"])):
        runs = of(record["runs"], name)
        label = f"{name}, {runs[0]['model']['parameters']:,} parameters"
        band(axes, runs, "training_error", color=f"C{number}", linestyle="--", label=f"{label}, training")
        band(axes, runs, "test_error", color=f"C{number}", label=f"{label}, test")
    axes.set(xlabel="steps", ylabel="error, %", ylim=(0, 95), title="CIFAR-10, ten epochs")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    study = Study(
        "density_cifar10",
        __doc__,
        TRAININGS,
        CLAIMS,
        ["ten epochs of 390 steps of 128 for both, schedules scaled; the paper has 300 epochs with batches of 64"],
        seeds=1,
    )
    sys.exit(main(study))
