"""The time of two 3x3 beside one 5x5: Simonyan & Zisserman, ICLR 2015, sections 2.3 and 4.1.

    python -m reproductions.vgg_kernels_time --data-dir DIR

Paper: two 3x3 have the receptive field of one 5x5 and 18/25 of its weights; no time is printed. Here training steps of
the two networks of `vgg_ideas_cifar10`, B and its 5x5 twin, in turn on one batch. It needs a machine that does nothing
else.
"""

import sys
import time

import keras
from matplotlib import pyplot as plt
from tqdm import tqdm

from benchmarks.results import ratios, spread
from keras_cnns.data import tfds_images
from keras_cnns.inspection import layer_table
from keras_cnns.training import SGD
from reproductions.record import PREPARED, measured, parser_of, publish
from reproductions.study import save
from reproductions.vgg_cifar10 import small_vgg

SCRIPT, BATCH, ROUNDS, STEPS = "vgg_kernels_time", 64, 30, 20
KERNELS = {"two 3x3": 3, "one 5x5": 5}


def seconds_in_turn(models, batch, rounds=ROUNDS, steps=STEPS):
    """Seconds of `steps` training steps, {name: [of each round]}; neither model is always the first."""
    for model in models.values():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.01, momentum=0.9), loss)
        for _ in range(2):  # traced, and warm
            model.train_on_batch(*batch)
    seconds = {name: [] for name in models}
    for number in tqdm(range(rounds), unit="round"):
        for name in sorted(models, reverse=number % 2 == 1):
            started = time.perf_counter()
            for _ in range(steps):
                models[name].train_on_batch(*batch)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def claim(seconds):
    """The row: how many times as long a step with 3x3 kernels takes; it must be decided by more than the quartiles."""
    low, middle, high = spread(ratios(seconds["one 5x5"], seconds["two 3x3"]))
    return {
        "id": "V2",
        "statement": "a training step of B takes less time than one of its 5x5 twin: times as long",
        "paper": None,
        "ours": f"{middle:.2f} (quartiles {low:.2f} to {high:.2f})",
        "rule": f"both quartiles of {len(seconds['two 3x3'])} rounds' ratios under 1; does not hold if both are over 1",
        "verdict": "holds" if high < 1 else "does not hold" if low > 1 else "not decided",
    }


def draw(record, path):
    """The seconds of each round, and what each network has to compute."""
    figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
    for number, (name, seconds) in enumerate(record["rounds"].items()):
        each = [1000 * second / record["steps"] for second in seconds]
        label = "{}: {:,.1f} million multiply-adds, {:,} parameters".format(name, *record["size"][name])
        axes.plot(range(1, len(each) + 1), each, "o", color=f"C{number}", markersize=4, label=label)
    axes.set(xlabel="round", ylabel="ms a training step", ylim=0, title=f"VGG-B in small, batches of {record['batch']}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    parser.add_argument("--data-dir", help=PREPARED)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(0)
    train = tfds_images("cifar10", "train", options.data_dir)
    images, labels = next(iter(train.batches(BATCH)))
    models = {name: small_vgg((32, 32, 3), 10, "B", kernel, "dense") for name, kernel in KERNELS.items()}
    seconds = seconds_in_turn(models, ((images - 128) / 64, labels))
    record = measured(
        SCRIPT,
        data=train.description,
        batch=BATCH,
        steps=STEPS,
        size={
            name: [sum(row.multiply_adds for row in layer_table(model)) / 1e6, model.count_params()]
            for name, model in models.items()
        },
        rounds=seconds,
        seconds=[round(sum(sum(each) for each in seconds.values()))],
        claims=[claim(seconds)],
        deviations=["the small networks of `vgg_ideas_cifar10`, 32x32 pixels"],
    )
    publish(record, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
