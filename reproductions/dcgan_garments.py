"""DCGAN's samples of garments: Radford et al., ICLR 2016, on Fashion-MNIST at 32 pixels.

    python -m reproductions.dcgan_garments --data-dir DIR

Paper: samples of bedrooms, faces and ImageNet's small pictures, judged by eye; no figure is printed. Here a DCGAN (64
filters, 4x4) of 12 epochs, and a ResNet-20 trained here for three, in whose last features the Fréchet distance to the
10,000 test images is measured after every epoch, and which names the samples. About half an hour on two CPU cores.
"""

import json
import shlex
import sys

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from PIL import Image

from keras_cnns.data import digits, tfds_images
from keras_cnns.evaluation import frechet_distance
from keras_cnns.export import load_source
from keras_cnns.generative import random_latents, sample
from reproductions.generation import TESTED, features_of
from reproductions.record import A_MINUTE, BESIDE, PREPARED, measured, parser_of, publish
from reproductions.study import Training, finished, save, train

SCRIPT, CLASSIFIER, EPOCHS = "dcgan_garments", "--dataset fashion_mnist --epochs 3", 12
FALLS, RAREST = 3.0, 2.0  # how many times the distance must fall from the first epoch; the least share of a garment, %


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__, BESIDE)
    parser.add_argument("--data-dir", help=PREPARED)
    parser.add_argument("--smoke", action="store_true", help=A_MINUTE)
    options = parser.parse_args(arguments)
    smoke, beside = options.smoke, options.out.parent.resolve()
    ending = "-smoke" if smoke else ""
    judge, folder = (beside / f"garments-{name}{ending}" for name in ("classifier", "DCGAN"))
    for script, flags, out in (
        ("resnet_cifar10", "" if smoke else CLASSIFIER, judge),
        (
            "dcgan_fashion_mnist",
            f"--classifier {shlex.quote(str(judge))}{'' if smoke else f' --epochs {EPOCHS}'}",
            folder,
        ),
    ):
        print(f"== {script}", flush=True)
        status = train(Training(script, flags), 0, out, options)
        if not finished(out):
            return status or 2
    records = [json.loads((out / "record.json").read_text()) for out in (judge, folder)]
    found = named(judge, folder, options)
    epochs = [
        {"step": row["step"], **{name: round(row[f"test_{name}"], 3) for name in ("frechet", "value", "variety")}}
        for row in records[1]["epochs"]
    ]
    error = records[0]["epochs"][-1]["test_top1_error"]
    record = measured(
        SCRIPT,
        data=records[1]["data"]["train"],
        runs=[
            {"name": name, "commit": each["commit"], "seconds": round(each["training_seconds"])}
            for name, each in zip(("ResNet-20", "DCGAN"), records, strict=True)
        ],
        rows=epochs,
        found=found,
        claims=claims(epochs, found, smoke),
        notes=[
            f"distances in the last features of a ResNet-20 trained here (test error {error:.2f} %), not of Inception: "
            "they compare with none of other papers",
            f"as many training images as test images lie {found['floor']:.3f} from these",
        ],
        deviations=records[1]["deviations"],
        smoke=smoke,
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    draw_examples(folder / "test_images", options.out)
    return 0


def named(judge, folder, options):
    """What the classifier calls as many samples as test images, and the distance of as many training images.

    A dict of `shares`, % of each class among the samples; `sure` and `sure_of_real`, the % of samples and of test
    images whose class it gives 0.9 or more; and `floor`, that distance.
    """
    classifier, preprocessing, labels = load_source(judge)
    generator, made_for, _ = load_source(folder)
    crop = None if options.smoke else 28
    if options.smoke:
        images, real = digits("train", channels=3).arrays[0][:64], digits("test", channels=3).arrays[0][:64]
    else:
        images, real = (tfds_images("fashion_mnist", part, options.data_dir).arrays[0] for part in ("train", "test"))
    samples = sample(generator, random_latents(len(real), generator.input_shape[-1], TESTED), made_for)

    def probabilities(pixels):
        parts = []
        for begin in range(0, len(pixels), 250):
            part = pixels[begin : begin + 250]
            part = tf.image.resize_with_crop_or_pad(part, crop, crop) if crop else part
            part = tf.repeat(part, classifier.inputs[0].shape[-1] // part.shape[-1], axis=-1)
            parts.append(tf.nn.softmax(classifier(preprocessing(part), training=False)).numpy())
        return np.concatenate(parts)

    of_samples, of_real = probabilities(samples), probabilities(real)
    features = features_of(judge, crop)
    counts = np.bincount(of_samples.argmax(axis=1), minlength=len(labels))
    return {
        "shares": dict(zip(labels, np.round(100 * counts / len(samples), 2).tolist(), strict=True)),
        "sure": round(100 * float(np.mean(of_samples.max(axis=1) >= 0.9)), 2),
        "sure_of_real": round(100 * float(np.mean(of_real.max(axis=1) >= 0.9)), 2),
        "floor": round(frechet_distance(features(images[: len(real)]), features(real)), 3),
    }


def claims(epochs, found, smoke):
    """The rules, fixed before the run; of one training."""
    first, last = epochs[0]["frechet"], epochs[-1]["frechet"]
    rarest = min(found["shares"], key=found["shares"].get)
    rows = []
    for statement, ours, rule, holds in (
        (
            "Fréchet distance after the first and the last epoch",
            f"{first:.2f}, {last:.2f}",
            f"falls to less than a {'third' if FALLS == 3 else FALLS}",
            last * FALLS < first,
        ),
        (
            "the rarest garment among the samples, by the classifier, %",
            f"{rarest} {found['shares'][rarest]:.2f}",
            f"at least {RAREST:g}, of 10 for each in the data",
            found["shares"][rarest] >= RAREST,
        ),
    ):
        verdict = "not decided (smoke run)" if smoke else "holds" if holds else "does not hold"
        row = {"id": "N3", "statement": statement, "paper": None, "ours": ours, "rule": rule, "verdict": verdict}
        rows.append(row)
    return rows


def draw(record, path):
    """The distance over the epochs, and the garments among the samples."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.plot(
        [row["step"] for row in record["rows"]], [row["frechet"] for row in record["rows"]], "o-", label="samples"
    )
    left.axhline(record["found"]["floor"], color="black", linestyle=":", label="training images")
    left.set(xlabel="steps", ylabel="Fréchet distance to the test images", yscale="log")
    left.legend()
    right.barh(list(record["found"]["shares"]), list(record["found"]["shares"].values()))
    right.axvline(10, color="black", linestyle=":")
    found = record["found"]
    sure = f"sure (0.9) of {found['sure']:.0f} % of the samples, {found['sure_of_real']:.0f} % of test images"
    right.set(xlabel="% of the samples, by the classifier", title=sure)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(f"DCGAN: {record['data']}")
    save(figure, path)


def draw_examples(folder, out):
    """The pictures that the training left, under one another."""
    titles = {
        "learning.png": "the same eight z over the epochs, the first above",
        "samples.png": "64 samples, none chosen",
        "interpolation.png": "on the lines between z",
        "real.png": "test images",
    }
    figure, axes = plt.subplots(2, 2, figsize=(13, 15), layout="constrained")
    for each, (name, title) in zip(axes.flat, titles.items(), strict=True):
        each.imshow(np.asarray(Image.open(folder / name)), interpolation="nearest")
        each.set(title=title, xticks=[], yticks=[])
    save(figure, out.with_name(f"{out.stem}-examples.png"))


if __name__ == "__main__":
    sys.exit(main())
