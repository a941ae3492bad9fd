"""What the studies of generators share: one trained on Fashion-MNIST, a classifier, records that go on."""

import json
import time
from pathlib import Path

import keras
import numpy as np

from keras_cnns.data import digits, tfds_images
from keras_cnns.files import whole
from reproductions.dcgan import scaled
from reproductions.generation import fitted
from reproductions.record import PREPARED, git_commit, measured, parser_of, publish, write_json
from reproductions.study import SEEDS, Training, finished, train

RECIPE, EPOCHS = "dcgan_fashion_mnist", 8  # trained for so long where no run is given


def options_of(script, documentation, arguments, data=True):
    """The flags of such a study; a smoke run has a record of its own. data: whether it has images to be told of."""
    parser = parser_of(script, documentation, "the record; goes on if it is there")
    if data:
        parser.add_argument("--data-dir", help=PREPARED)
        parser.add_argument("--run", type=Path, help=f"folder of a finished {RECIPE}; else {EPOCHS} epochs are trained")
    parser.add_argument("--smoke", action="store_true", help="about a minute on digits; decides nothing")
    options = parser.parse_args(arguments)
    if options.smoke and options.out == parser.get_default("out"):
        options.out = options.out.with_stem(f"{script}-smoke")
    return options


def fashion_generator(options):
    """The generator of --run, or one trained now, and the (train, test) images that it learnt, in -1 to 1."""
    folder = options.run
    if folder is None:
        folder = options.out.parent / f"{RECIPE}{'-smoke' if options.smoke else ''}"
        train(Training(RECIPE, f"--epochs {EPOCHS}"), 0, folder, options)
    if not finished(folder):
        raise ValueError(f"{folder} holds no finished run of {RECIPE}.")
    generator = keras.models.load_model(folder / "model.keras")
    channels, both = generator.output_shape[-1], ("train", "test")
    if options.smoke:
        images = [digits(split, channels).take(256) for split in both]
    else:
        images = [tfds_images("fashion_mnist", split, options.data_dir) for split in both]
    return generator, [each.map(fitted(generator.output_shape[1]), scaled) for each in images]


def classifier(images, seed, epochs=3):
    """A small classifier of prepared images, trained; its features are the output of its layer `features`."""
    keras.utils.set_random_seed(seed)
    shape = next(iter(images.batches(1)))[0].shape[1:]
    layers = [keras.Input(shape)]
    for filters in (32, 64):
        layers += [keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(128, activation="relu", name="features")]
    layers += [keras.layers.Dropout(0.5), keras.layers.Dense(len(images.labels))]
    model = keras.Sequential(layers, name="classifier")
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    for epoch in range(epochs):
        model.fit(images.batches(64, shuffle=True, seed=seed, epoch=epoch), shuffle=False, verbose=0)
    return model


def named(model, images):
    """The classes that a classifier names images with, `(number,)`."""
    parts = [model(images[start : start + 250], training=False) for start in range(0, len(images), 250)]
    return np.concatenate(parts).argmax(axis=1)


def measure_all(script, options, names, measure, claims, data, deviations):
    """Measure each name with each of three seeds, one in a smoke run; write the record, which goes on where it was.

    Args:
        names: of the runs of a seed.
        measure: function from (name, seed) to figures that JSON holds.
        claims: function from the runs, {"name", "seed", "seconds", ...}, to the claims' rows.
    """
    options.out.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(options.out.read_text()) if options.out.exists() else {"smoke": options.smoke, "runs": []}
    if before["smoke"] != options.smoke:
        raise ValueError(f"{options.out} is the record of {'a' if before['smoke'] else 'no'} smoke run; --out another.")
    runs = before["runs"]
    done = {(run["name"], run["seed"]) for run in runs}
    for seed in range(1 if options.smoke else SEEDS):
        for name in names:
            if (name, seed) in done:
                continue
            print(f"{name}, seed {seed}", flush=True)
            started = time.monotonic()
            found = measure(name, seed)
            seconds = round(time.monotonic() - started)
            runs.append({"name": name, "seed": seed, "commit": git_commit(), "seconds": seconds, **found})
            write_json(options.out, {"smoke": options.smoke, "runs": runs})
    rows = claims(runs)
    if options.smoke:
        rows = [{**row, "verdict": "not decided (smoke run)"} for row in rows]
    record = measured(script, data=data, runs=runs, claims=rows, deviations=deviations, smoke=options.smoke)
    publish(record, options.out)
    return record


def save_examples(figure, options):
    """Write a figure where the report looks for a record's examples."""
    path = options.out.with_name(f"{options.out.stem}-examples.png")
    with whole(path) as part:
        figure.savefig(part, dpi=100, format="png", bbox_inches="tight", metadata={"Software": None})
    print(f"  {path}")


def rounded(values, digits=4):
    """Numbers as a record holds them."""
    return [float(f"{value:.{digits}g}") for value in np.ravel(values)]
