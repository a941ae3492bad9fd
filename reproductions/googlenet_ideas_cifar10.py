"""What GoogLeNet's parts are worth: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, sections 4 and 5.

    python -m reproductions.googlenet_ideas_cifar10 --data-dir DIR

Paper: auxiliary heads help the training of the layers before them; no figure without them is printed, nor one without
a branch of the modules. Here the small GoogLeNet of `googlenet_cifar10` with and without heads, and with heads but
without each branch in all nine modules.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, band, main, of, save, test_error

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
    """Left, the heads over the steps; right, the test error after the last step of every network."""
    runs = record["runs"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, (name, label) in enumerate(((WHOLE, "with auxiliary heads"), (NO_HEADS, "without"))):
        band(left, of(runs, name), "test_error", color=f"C{number}", marker="o", label=f"{label}: test")
        band(left, of(runs, name), "training_error", color=f"C{number}", marker="o", linestyle="--", label="training")
    left.set(xlabel="steps", ylabel="error, %", title="auxiliary heads")
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    labels = {WHOLE: "whole", NO_HEADS: "no heads", **{name: f"no {branch}" for name, branch in BRANCHES.items()}}
    for place, (name, label) in enumerate(labels.items()):
        errors = [test_error(run) for run in of(runs, name)]
        right.plot([place] * len(errors), errors, "o", color="C0" if name == WHOLE else "C1")
        right.hlines(sum(errors) / len(errors), place - 0.3, place + 0.3, color="black")
        parameters = of(runs, name)[0]["model"]["parameters"]
        labels[name] = f"{label}\n{parameters / 1000:,.0f} K"
    right.set(ylabel="test error, %", title="each seed, and the mean; parameters with the heads'")
    right.set_xticks(range(len(labels)), labels.values(), size=8)
    right.grid(alpha=0.3, axis="y")
    figure.suptitle(f"small GoogLeNet on CIFAR-10, {STEPS:,} steps; mean of {len(of(runs, WHOLE))} seeds")
    save(figure, path)


if __name__ == "__main__":
    deviations = [f"the small GoogLeNet of `googlenet_cifar10`, {STEPS:,} steps of 32 images of CIFAR-10"]
    sys.exit(main(Study("googlenet_ideas_cifar10", __doc__, TRAININGS, CLAIMS, deviations)))
