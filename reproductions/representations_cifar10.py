"""What an encoder learns with and without labels, in small: RotNet, SimCLR and MoCo beside one another on CIFAR-10.

    python -m reproductions.representations_cifar10 --data-dir DIR

Paper: linear classifiers on frozen features: SimCLR 69.3 %, MoCo 60.6 % (ResNet-50, ImageNet); RotNet 91.16 %
(CIFAR-10, convolutions on the second block's maps). Here five encoders of `pretraining_cifar10`, one ResNet-20 each, of
equal work: their features by a linear probe, three seeds, and by 200 neighbours' votes; and fine-tuned on 1 % of the
labels, three seeds, beside the same network from random weights. One pre-training each. Some two and a quarter hours of
two cores with `--precision bfloat16`, where the processor has it. Started again it goes on where it was.
"""

import functools
import json
import sys
from dataclasses import dataclass
from statistics import mean

import numpy as np
from matplotlib import pyplot as plt

from keras_cnns.data import Images, digits, tfds_images
from keras_cnns.data.augmentation import pad_and_crop, random_flip
from keras_cnns.evaluation import (
    balanced_subset,
    classification_errors,
    draw_points,
    features_of,
    fine_tune,
    gallery,
    knn_accuracy,
    linear_probe,
    nearest_neighbours,
    tsne,
)
from keras_cnns.export import load_source
from reproductions.pretraining_cifar10 import METHODS, WORK
from reproductions.record import write_json
from reproductions.study import SEEDS, Study, Training, main, names, of, save

SCRIPT, LAST = "representations_cifar10", "supervised"
WORDS = {
    "random": "random weights",
    "rotation": "rotation",
    "simclr": "SimCLR",
    "moco": "MoCo",
    "supervised": "supervised",
}
TRAININGS = {name: Training("pretraining_cifar10", f"--method {name} --checkpoint-steps 200") for name in METHODS}
# Of fine-tuning; share and epochs: SimCLR, appendix B.5, whose rate would be 0.05 * 50 / 256.
SHARE, EPOCHS, BATCH, RATE = 0.01, 60, 50, 0.05
FINE_TUNED = ("random", "rotation", "simclr", "moco")  # those that have seen no label
MARGIN = 1.0  # points: the standard error of one accuracy, of 10,000 test images, is up to 0.5
QUERIES, NEIGHBOURS, POINTS = 6, 6, 500
FIGURES = {"probe": "linear probe, %", "knn": "kNN, %", "fine_tuned": "fine-tuned on 1 % of the labels, %"}


@dataclass(frozen=True)
class Above:
    """A claim that one encoder's figure is above another's, and the rule, fixed before the run, that decides it.

    It holds if the means differ by more than the larger of the two spreads over the seeds and by more than MARGIN. The
    neighbours' votes have no seed, and no spread.
    """

    id: str
    first: str  # names of trainings
    second: str
    figure: str  # of FIGURES

    def decide(self, runs):
        """The row of the table, as `study.Difference.decide`."""
        first, second = (of(runs, name)[0]["measured"][self.figure] for name in (self.first, self.second))
        spread = max(max(each) - min(each) for each in (first, second))
        above = mean(first) - mean(second) > max(spread, MARGIN)
        smoke = any(run["smoke"] for run in runs)
        return {
            "id": self.id,
            "statement": f"{WORDS[self.first]} above {WORDS[self.second]}: {FIGURES[self.figure]}",
            "paper": None,
            "ours": f"{shown(first)} against {shown(second)}",
            "rule": f"apart by more than the larger spread over the seeds of one pre-training, and by over {MARGIN:g}",
            "verdict": "not decided (smoke run)" if smoke else "holds" if above else "does not hold",
        }


CLAIMS = [
    *(Above("P1", "rotation", "random", figure) for figure in FIGURES),
    *(
        Above(id, name, other, figure)
        for id, name in (("P2", "simclr"), ("P3", "moco"))
        for other, figures in (("random", FIGURES), ("rotation", ("probe", "knn")))
        for figure in figures
    ),
]


def shown(values):
    """A mean and, of several, the seeds: 51.20 (51.10, 51.20, 51.30)."""
    seeds = f" ({', '.join(f'{value:.2f}' for value in values)})" if len(values) > 1 else ""
    return f"{mean(values):.2f}{seeds}"


def measure(folder, options):
    """What an encoder's features are worth. Each figure is kept in the folder as soon as it is there."""
    file, name = folder / "measured.json", folder.name.partition("-")[0]
    done = json.loads(file.read_text()) if file.exists() else {}
    encoder, preprocessing, _ = load_source(folder)
    parts = images_of(options.smoke, options.data_dir)
    ready = lambda images: images.map(lambda pixels, keys: preprocessing.normalise(pixels))

    @functools.cache
    def features():
        return [features_of(encoder, ready(images).batches(250)) for images in parts]

    def fine_tuned(seed):
        pixels, labels = parts[0].arrays
        chosen = balanced_subset(labels, SHARE, seed)
        few = Images("few", "", parts[0].labels, len(chosen), arrays=(pixels[chosen], labels[chosen]))
        few = ready(few).map(pad_and_crop(4), random_flip)
        batches = functools.partial(few.batches, min(BATCH, len(few)), seed=seed, shuffle=True, drop_remainder=True)
        epochs = 1 if options.smoke else EPOCHS
        classifier = fine_tune(encoder, lambda epoch: batches(epoch=epoch), len(few.labels), epochs, RATE, seed)
        return 100 - classification_errors(classifier, ready(parts[1]).batches(250))["top1_error"]

    def neighbours():
        """Of the first test image of each of the first classes."""
        (train, _), (test, labels) = features()
        return nearest_neighbours(train, test[queries_of(labels)], NEIGHBOURS)[0].tolist()

    steps = {"knn": lambda: round(knn_accuracy(*features()), 2), "neighbours": neighbours}
    steps["points"] = lambda: np.round(tsne(features()[1][0][:POINTS]), 1).tolist()
    for seed in range(SEEDS):
        steps[f"probe {seed}"] = lambda seed=seed: round(linear_probe(*features(), seed=seed), 2)
        if name in FINE_TUNED:
            steps[f"fine_tuned {seed}"] = lambda seed=seed: round(fine_tuned(seed), 2)
    for step, function in steps.items():
        if step not in done:
            print(f"{WORDS[name]}: {step}", flush=True)
            done[step] = function()
            write_json(file, done)
    if name == LAST:
        draw_examples(folder, options)
    found = {"knn": [done["knn"]]}
    for figure in ("probe", "fine_tuned"):
        found[figure] = [done[f"{figure} {seed}"] for seed in range(SEEDS) if f"{figure} {seed}" in done]
    return found


@functools.lru_cache(maxsize=1)
def images_of(smoke, data_dir):
    """The training and the test images."""
    if smoke:
        return digits("train", channels=3).take(1_000), digits("test", channels=3).take(100)
    return [tfds_images("cifar10", split, data_dir) for split in ("train", "test")]


def queries_of(labels):
    """The first image of each of the first classes."""
    return [int(np.flatnonzero(labels == label)[0]) for label in range(QUERIES)]


def draw_examples(folder, options):
    """For each encoder the plane of its features, and below it some test images beside the nearest training images."""
    train, test = images_of(options.smoke, options.data_dir)
    figure, axes = plt.subplots(2, len(WORDS), figsize=(3.2 * len(WORDS), 6.6), layout="constrained")
    for (above, below), name in zip(axes.T, WORDS, strict=True):
        found = json.loads((folder.with_name(folder.name.replace(LAST, name)) / "measured.json").read_text())
        labels = test.arrays[1][:POINTS]
        draw_points(above, np.array(found["points"]), labels, test.labels)
        above.set_title(WORDS[name])
        below.imshow(gallery(test.arrays[0][queries_of(test.arrays[1])], train.arrays[0][found["neighbours"]]))
        below.set_axis_off()
    axes[0, 0].legend(fontsize=5, markerscale=2)
    axes[0, 0].set_ylabel(f"t-SNE of {len(labels)} test images")
    axes[1, 0].set_title("test image, nearest training images", size=8)
    save(figure, options.out / f"{SCRIPT}-examples.png")


def table(record):
    """The encoders side by side, for RESULTS.md."""
    heads = [
        "features of ResNet-20",
        "steps",
        "images a step",
        "epochs",
        "kNN, %",
        "linear probe, %",
        "1 % of labels, %",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in names(record["runs"]):
        run = of(record["runs"], name)[0]
        measured = run["measured"]
        figures = [shown(measured[figure]) if measured[figure] else "" for figure in ("knn", "probe", "fine_tuned")]
        cells = [WORDS[name], f"{run['steps']:,}", f"{run['batch_size']}", f"{len(run['epochs'])}", *figures]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(record, path):
    """Left the neighbours' votes as the encoders learn, right what the finished ones are worth."""
    runs = record["runs"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, name in enumerate(names(runs)):
        run, colour = of(runs, name)[0], f"C{number}"
        copies, _ = METHODS[name]
        work = [row["step"] * run["batch_size"] * copies for row in run["epochs"]]
        curve = [row["knn_accuracy"] for row in run["epochs"]]
        if name == "random":
            left.axhline(curve[-1], color=colour, linestyle=":", label=WORDS[name])
        else:
            left.plot(work, curve, marker=".", color=colour, label=WORDS[name])
        for place, key in enumerate(FIGURES):
            values = run["measured"][key]
            if values:
                right.bar(place + 0.16 * (number - 2), mean(values), 0.15, color=colour)
                right.plot([place + 0.16 * (number - 2)] * len(values), values, "k.", markersize=3)
    left.set(xlabel="images forwards and backwards through the encoder", ylabel="kNN of the training's tests, %")
    right.set_xticks(range(len(FIGURES)), [words.replace(", %", "") for words in FIGURES.values()], size=8)
    right.set(ylabel="%")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(handles=left.lines, fontsize=8, loc="upper right")
    figure.suptitle("CIFAR-10, features of ResNet-20 after equal work; points: three seeds of probe and fine-tuning")
    save(figure, path)


STUDY = Study(
    script=SCRIPT,
    description=__doc__,
    trainings=TRAININGS,
    claims=CLAIMS,
    deviations=[
        f"ResNet-20 with features of 64, {WORK:,} images forwards and backwards through it for each way of teaching: "
        "fixed before the first run, by what two cores do in two and a half hours; MoCo's key encoder looks at as many "
        "more",
        "one pre-training each; the three seeds are of the probe's and the linear layer's start, the order, and the "
        "labels drawn",
        f"fine-tuning and from scratch: {EPOCHS} epochs in batches of {BATCH} at {RATE:g} for all, crops and mirrors",
    ],
    seeds=1,
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
