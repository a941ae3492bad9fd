"""What arithmetic decides, without training: counts, shapes, receptive fields, convolutions for dense layers.

    python -m reproductions.arithmetic_claims [--out FOLDER]

Paper: claims C1 to C5, A1, A4, A5 (its first half), Z1, G1, G3 and R2, each beside the paper's figure; two minutes.
"""

import argparse
import inspect
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import keras_cnns
from keras_cnns.data import digits
from keras_cnns.data.augmentation import centre_crop, random_crop, random_flip, resize_shorter_side
from keras_cnns.data.random import example_keys
from keras_cnns.inspection import layer_table, measured_receptive_field, receptive_field
from keras_cnns.inspection.paper_table import compare, paper_rows, paper_tables, parse_call
from keras_cnns.layers import OriginalDropout
from keras_cnns.segmentation import convolutionalize
from reproductions.record import git_commit, hardware, now, versions, write_json


def layers(model):
    return {row.name: row for row in layer_table(model)}


def all_tables():
    """C1, C2: every network a paper prints, built and read."""
    right_rows = right_convolutions = rows = convolutions = 0
    tables = paper_tables()
    for name, calls in tqdm(tables.items(), desc="papers' tables", unit="network", leave=False):
        builder, arguments = parse_call(calls[0])
        model = getattr(keras_cnns, builder)(**arguments)
        ours = layer_table(model)
        for row, _, difference in compare(ours, paper_rows(name)):
            rows += 1
            right_rows += not difference
            if row and row.kind == "conv":
                convolutions += 1
                channels = model.get_layer(row.name).input.shape[-1] // row.groups
                filters = row.output_shape[-1]
                right_convolutions += row.weights == row.kernel**2 * channels * filters
        keras.backend.clear_session()
    yield "C1", f"convolutions of {len(tables)} networks with h w C F weights", convolutions, right_convolutions
    yield "C2", f"rows of {len(tables)} layer tables equal to the paper's", rows, right_rows


def one_by_one():
    """C3, G1, G3."""
    model = keras_cnns.googlenet(auxiliary_heads=False)
    rows = layers(model)
    reduced = sum(
        rows[f"inception_3a_{part}"].weights + rows[f"inception_3a_{part}"].biases for part in ("5x5_reduce", "5x5")
    )
    image = keras.Input((28, 28, 192))
    plain = keras.Model(image, keras.layers.Conv2D(32, 5, padding="same")(image)).count_params()
    yield "C3", "inception 3a's 5x5 branch: parameters with the reduction", 15_920, reduced
    yield "C3", "  and of the same 5x5 without it", 153_632, plain
    share = 100 * model.count_params() / 138_357_544
    yield "G1", "GoogLeNet's parameters", 6_998_552, model.count_params()
    yield "G1", "  in % of VGG-D's", 5.06, round(share, 2)
    yield (
        "G3",
        "GoogLeNet's classifier after global average pooling, weights",
        1_024_000,
        rows["loss3_classifier"].weights,
    )
    maps = keras.Input(rows["inception_5b_output"].output_shape)
    dense = keras.layers.Dense(1000, use_bias=False)
    dense(keras.layers.Flatten()(maps))
    yield "G3", "  and of a dense layer on the 7x7x1024 maps", 50_176_000, dense.count_params()


def receptive_fields():
    """C4: VGG, section 2.3, for C = 64 channels: 25 C^2 against 2 * 9 C^2, 49 C^2 against 3 * 9 C^2."""
    for sizes, field, count in (((5,), 5, 25), ((3, 3), 5, 18), ((7,), 7, 49), ((3, 3, 3), 7, 27)):
        maps = keras.layers.Input((31, 31, 64))
        x = maps
        for number, size in enumerate(sizes):
            x = keras.layers.Conv2D(64, size, padding="same", use_bias=False, name=f"conv{number}")(x)
        model, last = keras.Model(maps, x), f"conv{len(sizes) - 1}"
        names = " then ".join(f"{size}x{size}" for size in sizes)
        yield "C4", f"{names}: receptive field by arithmetic", field, receptive_field(model, last).size
        yield "C4", "  by gradient", field, measured_receptive_field(model, last).size
        yield "C4", "  weights, in C^2", count, model.count_params() / 64**2


def dense_as_convolution():
    """C5: FCN, section 3.1."""
    keras.utils.set_random_seed(0)
    model = keras_cnns.vgg16()
    converted = convolutionalize(model)
    images, _ = next(iter(digits("test", channels=3).each(resize_shorter_side(224), centre_crop(224)).batches(2)))
    ours, expected = converted(tf.cast(images, tf.float32))[:, 0, 0], model(tf.cast(images, tf.float32))
    difference = float(np.abs(ours - expected).max() / np.abs(expected).max())
    yield "C5", "VGG-16 with convolutions for dense layers: parameters", 138_357_544, converted.count_params()
    yield "C5", "  output at 224 pixels differs, of the largest logit, by less than 1e-5", "yes", yes(difference < 1e-5)
    shape = converted.compute_output_shape((1, 384, 512, 3))
    yield "C5", "  a 384x512 image gives a map of", "6x10", f"{shape[1]}x{shape[2]}"


def alexnet():
    """A1, A4, A5, Z1."""
    model = keras_cnns.alexnet()
    rows = layers(model)
    for name, count in zip(
        ("conv1", "conv2", "conv3", "conv4", "conv5"), (34_848, 307_200, 884_736, 663_552, 442_368), strict=True
    ):
        yield "A1", f"AlexNet {name}, weights", count, rows[name].weights
    yield "A1", "AlexNet, parameters", 60_965_224, model.count_params()

    row, column = np.mgrid[:256, :256]
    image = tf.constant(np.stack([row, column], axis=-1), tf.uint8)[None]
    variants, crop = set(), tf.function(random_crop(224, positions=32))
    for epoch in tqdm(range(48), desc="crops and mirrors", leave=False):
        keys, others = (example_keys(seed, epoch, tf.range(500, dtype=tf.int64)) for seed in (0, 1))
        crops = random_flip(crop(tf.repeat(image, 500, axis=0), keys), others)
        variants |= set(zip(*crops[:, 0, 0].numpy().T, *crops[:, 0, -1].numpy().T, strict=True))
        if len(variants) == 32 * 32 * 2:
            break
    yield "A4", "224-pixel crops of 256 pixels and their mirrors, drawn", 32 * 32 * 2, len(variants)

    units = tf.ones((1000, 1000))
    dropout = OriginalDropout(0.5, seed=0)
    mean = np.mean(dropout(units, training=True))
    yield "A5", "dropout: a unit's output at test, of 1", 0.5, float(dropout(units)[0, 0])
    yield "A5", "  and its mean over 1,000,000 masks, to two places", 0.5, round(float(mean), 2)

    zfnet = layers(keras_cnns.zfnet())
    for name, alex, zeiler in (("conv1", "11x11/4", "7x7/2"), ("conv2", "5x5/1", "5x5/2")):
        for network, table, paper in (("AlexNet", rows, alex), ("ZFNet", zfnet, zeiler)):
            ours = "{0}x{0}/{1}".format(table[name].kernel, table[name].stride)
            yield "Z1", f"{network} {name}", paper, ours
    yield "Z1", "ZFNet's convolutions in two towers", 0, sum((row.groups or 1) > 1 for row in zfnet.values())


def bottlenecks():
    """R2: the totals, and one bottleneck beside two 3x3 of the same width (He et al., Fig. 5: both "similar")."""
    for depth, count in ((50, 25_557_032), (101, 44_549_160), (152, 60_192_808)):
        rows = layer_table(getattr(keras_cnns, f"resnet{depth}")())
        yield "R2", f"ResNet-{depth}, parameters", count, sum(r.weights + r.biases + r.gamma_beta for r in rows)
        if depth == 50:
            block = sum(row.weights for row in rows if row.kind == "conv" and row.name.startswith("res2b_"))
    yield "R2", "a bottleneck on 256 channels (1x1x64, 3x3x64, 1x1x256), weights", 69_632, block
    yield "R2", "  two 3x3 on 64 channels", 73_728, two_of(64)
    yield "R2", "  two 3x3 on 256 channels", 1_179_648, two_of(256)


def two_of(channels):
    maps = keras.Input((8, 8, channels))
    x = maps
    for _ in range(2):
        x = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    return keras.Model(maps, x).count_params()


def yes(condition):
    return "yes" if condition else "no"


CLAIMS = (alexnet, one_by_one, receptive_fields, dense_as_convolution, bottlenecks, all_tables)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]).splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/arithmetic_claims"))
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    record = {"command": "python -m reproductions.arithmetic_claims", "finished": None, "commit": git_commit()}
    record |= {"versions": versions(), "hardware": hardware(tf.distribute.get_strategy()), "claims": []}
    print(f"{'':4} {'claim':<72} {'paper':>12} {'ours':>12}")
    for claims in CLAIMS:
        for id, statement, paper, ours in claims():
            verdict = "holds" if ours == paper else "does not hold"
            record["claims"].append(
                {"id": id, "statement": statement, "paper": paper, "ours": ours, "verdict": verdict}
            )
            print(f"{id:4} {statement:<72} {shown(paper):>12} {shown(ours):>12}  {verdict}")
    record["finished"] = now()
    write_json(out / "record.json", record)
    false = sum(claim["verdict"] != "holds" for claim in record["claims"])
    print(f"\n{len(record['claims']) - false} of {len(record['claims'])} hold; {out / 'record.json'}")
    return 1 if false else 0


def shown(figure):
    return f"{figure:,}" if isinstance(figure, int | float) else figure


if __name__ == "__main__":
    sys.exit(main())
