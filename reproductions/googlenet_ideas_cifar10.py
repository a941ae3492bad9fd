"""What GoogLeNet's parts are worth: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, sections 4 and 5.

    python -m reproductions.googlenet_ideas_cifar10 --data-dir DIR

Paper: auxiliary heads help the training of the layers before them; no figure without them is printed, nor one without
a branch of the modules. Here the small GoogLeNet of `googlenet_cifar10` with and without heads, and with heads but
without each branch in all nine modules.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, main, of, save, test_error, training_error

STEPS = 1_000  # of 32 images
WHOLE, NO_HEADS = "GoogLeNet", "GoogLeNet-no-heads"
BRANCHES = {f"GoogLeNet-no-{branch}": branch for branch in ("1x1", "3x3", "5x5", "pool")}
TRAININGS = {
    WHOLE: Training("googlenet_cifar10", f"--steps {STEPS}"),
    NO_HEADS: Training("googlenet_cifar10", f"--steps {STEPS} --no-auxiliary-heads"),
    **{name: Training("googlenet_cifar10", f"--steps {STEPS} --without {branch}") for name, branch in BRANCHES.items()},
}
CLAIMS = [
    Difference("G2", "auxiliary heads lower the test error, points", NO_HEADS, WHOLE, test_error, margin=0.0),
    *(
        Difference("G4", f"the {branch} branch lowers the test error, points", name, WHOLE, test_error, margin=0.0)
        for name, branch in BRANCHES.items()
    ),
]


def draw(record, path):
    """The test and the training error of every network after the last step, seed by seed."""
    runs = record["runs"]
    figure, axes = plt.subplots(figsize=(9.5, 4.4), layout="constrained")
    labels = {WHOLE: "whole", NO_HEADS: "no heads", **{name: f"no {branch}" for name, branch in BRANCHES.items()}}
    for place, name in enumerate(labels):
        for kind, figure_of, look in (
            ("training (augmented images)", training_error, {"color": "0.6", "markersize": 5}),
            ("test", test_error, {"color": "C0" if name == WHOLE else "C1", "markersize": 8}),
        ):
            errors = [figure_of(run) for run in of(runs, name)]
            axes.plot([place] * len(errors), errors, "o", label=kind if name == NO_HEADS else None, **look)
            axes.hlines(sum(errors) / len(errors), place - 0.3, place + 0.3, color=look["color"])
        labels[name] += f"\n{of(runs, name)[0]['model']['parameters'] / 1000:,.0f} K"
    axes.set(
        ylabel="error, %",
        title=f"small GoogLeNet on CIFAR-10 without its heads or a branch, {STEPS:,} steps; a point a seed, a line the "
        "mean\n(the paper prints no figure; parameters with the heads')",
    )
    axes.title.set_size(10)
    axes.set_xticks(range(len(labels)), labels.values(), size=9)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    deviations = [f"the small GoogLeNet of `googlenet_cifar10`, {STEPS:,} steps of 32 images of CIFAR-10"]
    sys.exit(main(Study("googlenet_ideas_cifar10", __doc__, TRAININGS, CLAIMS, deviations)))
