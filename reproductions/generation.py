"""What the scripts that train generators share: the test after an epoch, sample grids, the pictures at the end."""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.evaluation import frechet_distance, variety
from keras_cnns.export import load_source
from keras_cnns.files import whole
from keras_cnns.generative import latents_between, random_latents, sample
from keras_cnns.inspection.tiles import save_grid
from keras_cnns.layers import Preprocessing
from keras_cnns.training import is_chief

GRID, ROW = 64, 8  # samples of each epoch, and those of a row, which the strip shows
COMPARED = 500  # samples whose variety is measured, beside as many test images
ALIKE = 0.1  # the variety below which samples are called alike
EPOCHS = 12  # at most, in the strip
LINES = 6  # of an interpolation
TESTED = 1  # the seed of z for tests; 0 is that of the grids, and of `python -m keras_cnns sample`


def fitted(side):
    """Bring a batch of images to `side` x `side` pixels: black around smaller ones, the middle of larger ones."""
    return lambda images, keys: tf.image.resize_with_crop_or_pad(images, side, side)


def game_test(run, preprocessing, features=None):
    """A `Recipe`'s `test_figures`, which also writes the grid of the epoch: how the game stands on the test images.

    Beside `AdversarialModel.figures` there are `variety`, `alike`, which is 1 where that is below 0.1, and with
    `features`, from uint8 images to rows, `frechet`: the distance of as many samples as there are test images.
    """
    seen = []  # the features of the test images

    def test(model, batches):
        figures = model.figures(batches)
        latent = model.generator.input_shape[-1]
        made = lambda count, seed: sample(model.generator, random_latents(count, latent, seed), preprocessing)
        real = first_images(batches, COMPARED, preprocessing)
        figures["variety"] = variety(made(len(real), TESTED), real)
        figures["alike"] = int(figures["variety"] < ALIKE)
        if features:
            if not seen:
                pixels = (preprocessing.pixels(images).numpy() for images, _ in batches)
                seen.append(np.concatenate([features(each) for each in pixels]))
            figures["frechet"] = frechet_distance(features(made(len(seen[0]), TESTED)), seen[0])
        grid, step = made(GRID, 0), int(tf.convert_to_tensor(model.generator_optimizer.iterations))
        if is_chief(model.distribute_strategy):
            (run.out / "samples").mkdir(exist_ok=True)
            save_grid(grid, grid_of(run.out, step), ROW)
            if figures["alike"]:
                words = f"are nearly all alike, with {figures['variety']:.0%} of the test images' variety"
                tqdm.write(f"after step {step:,} the samples {words}: collapsed, or not yet apart.", sys.stderr)
        return figures

    return test


def grid_of(out, step):
    return Path(out) / "samples" / f"step-{step:08}.png"


def first_images(batches, count, preprocessing):
    """The first images of prepared batches as uint8, at most `count`."""
    found = []
    for images, _ in batches:
        found += list(preprocessing.pixels(images).numpy())
        if len(found) >= count:
            break
    return np.stack(found[:count])


def save_samples(preprocessing):
    """A `Recipe`'s `examples`: real images, samples, lines between some of them, and a row of samples of each epoch."""

    def save(generator, images, folder):
        folder.mkdir(exist_ok=True)
        latent = generator.input_shape[-1]
        z = random_latents(GRID, latent)
        save_grid(first_images(images.batches(GRID), GRID, preprocessing), folder / "real.png", ROW)
        save_grid(sample(generator, z, preprocessing), folder / "samples.png", ROW)
        lines = latents_between(z[: LINES + 1], ROW + 2).reshape(-1, latent)
        save_grid(sample(generator, lines, preprocessing), folder / "interpolation.png", ROW + 2)
        save_strip(folder.parent, generator.output_shape[1], folder / "learning.png")

    return save


def save_strip(out, side, path):
    """Write the first row of the grids of some epochs of a run, evenly spread, the last one below."""
    grids = sorted((Path(out) / "samples").glob("step-*.png"))
    chosen = np.unique(np.linspace(0, len(grids) - 1, EPOCHS).round().astype(int)) if grids else []
    rows = [np.asarray(Image.open(grids[number])) for number in chosen]
    if rows:
        times = (rows[0].shape[1] + 1) // (ROW * (side + 1) - 1)
        strip = np.concatenate([row[: (side + 1) * times] for row in rows])
        with whole(path) as part:
            Image.fromarray(strip).save(part)


def features_of(source, crop=None):
    """The last features of a classifier, as a function from uint8 images of any number to rows; None of no source.

    source: the folder of a run of this library, whose network ends in a dense layer, or a file of Keras's InceptionV3
        weights without its last layer (`inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5`). Distances by
        Inception are near those of other papers, who use another port of its weights, and not equal to them.
    crop: the side of the middle of the images that a classifier of this library is given.

    Raises:
        ValueError: it is neither, or the network has no dense layer.
    """
    if not source:
        return None
    if Path(source).suffix == ".h5":
        network = keras.applications.InceptionV3(include_top=False, weights=source, pooling="avg")
        preprocessing, crop = Preprocessing(299, mean=127.5, scale=1 / 127.5), None
    else:
        model, preprocessing, _ = load_source(source)
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        if not dense or preprocessing is None:
            raise ValueError(f"{source} is no run of a classifier that ends in a dense layer.")
        network = keras.Model(model.inputs, dense[-1].input)
    channels = network.inputs[0].shape[-1]
    look = tf.function(lambda images: network(images, training=False), reduce_retracing=True)

    def features(images):
        found = []
        for begin in range(0, len(images), 250):
            part = tf.convert_to_tensor(images[begin : begin + 250])
            part = tf.image.resize_with_crop_or_pad(part, crop, crop) if crop else part
            part = tf.repeat(part, channels // part.shape[-1], axis=-1)
            found.append(look(preprocessing(part)).numpy())
        return np.concatenate(found)

    return features
