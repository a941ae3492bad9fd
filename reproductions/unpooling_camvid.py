"""What three unpoolings give back of a map: Zeiler & Fergus, ECCV 2014; Noh et al., ICCV 2015; SegNet, PAMI 2017.

    python -m reproductions.segnet_basic_camvid --data-dir DIR
    python -m reproductions.unpooling_camvid runs/segnet_basic_camvid --data-dir DIR

Paper: no figure is printed; maps that are unpooled to remembered positions keep detail that the others lose (SegNet,
section 3.1). Here the maps that a trained network's pooling layers are given, on test images of CamVid: each is pooled
by 2x2 and unpooled to the neighbours (nearest), to the upper left pixel (bed of nails) and to where the maximum was.
The error is the root of the squared difference as a share of the map's.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns.data import camvid, digit_masks
from keras_cnns.export import load_source
from keras_cnns.layers import BedOfNailsUnpooling, MaxPoolingWithIndices, MaxUnpooling, NearestUnpooling
from reproductions.record import CAMVID, measured, parser_of, publish, told
from reproductions.run import folder_of
from reproductions.study import save

SCRIPT, IMAGES = "unpooling_camvid", 24
NAMES = ("max", "nearest", "bed of nails")


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__, "the record, pictures beside")
    parser.add_argument("run", type=Path, help="the folder of a run on CamVid whose network pools")
    parser.add_argument("--data-dir", type=Path, help=CAMVID)
    parser.add_argument("--smoke", action="store_true", help="digits, which need no download; decides nothing")
    return told(measure, parser.parse_args(arguments))


def measure(options):
    started = time.monotonic()
    test = digit_masks("test") if options.smoke else camvid(folder_of("camvid", options.data_dir), "test")
    model, preprocessing, _ = load_source(options.run)
    if preprocessing is None:
        raise ValueError(f"{options.run} is no run's folder.")
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    if not pools:
        raise ValueError(f"{model.name} has no max pooling layer.")
    stride = max(len(test) // IMAGES, 1)
    before = keras.Model(model.inputs, [layer.input for layer in pools])
    lost, whole_map, example = np.zeros((len(pools), len(NAMES))), np.zeros((len(pools), 1)), None
    for image, _ in test.batches(1).shard(stride, 0).take(IMAGES):
        maps = [even(each) for each in tf.nest.flatten(before(preprocessing(image), training=False))]
        for number, features in enumerate(maps):
            back = unpooled(features)
            whole_map[number] += float(tf.reduce_sum(features**2))
            lost[number] += [float(tf.reduce_sum((features - each) ** 2)) for each in back]
            if example is None:
                example = image[0].numpy(), [each[0].numpy() for each in (features, *back)]
    errors = 100 * np.sqrt(lost / whole_map)
    record = measured(
        SCRIPT,
        data=f"{test.description}, every {stride}th",
        network=model.name,
        errors={layer.name: each.round(3).tolist() for layer, each in zip(pools, errors, strict=True)},
        claims=[
            row for layer, each in zip(pools, errors, strict=True) for row in claims(layer.name, each, options.smoke)
        ],
        deviations=[],
        smoke=options.smoke,
        seconds=round(time.monotonic() - started),
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    draw_example(*example, options.out.with_name(f"{options.out.stem}-examples.png"))
    return 0


def even(features):
    """A map without a last row or column that no window of two would hold, float32."""
    height, width = features.shape[1:3]
    return tf.cast(features[:, : height // 2 * 2, : width // 2 * 2], tf.float32)


def unpooled(features):
    """The map after pooling and each of the unpoolings, in the order of NAMES."""
    pooled, indices = MaxPoolingWithIndices(2)(features)
    return MaxUnpooling(2)(pooled, indices), NearestUnpooling(2)(pooled), BedOfNailsUnpooling(2)(pooled)


def claims(layer, errors, smoke):
    """Two rows: what max unpooling loses beside what each of the others loses."""
    for name, other in zip(NAMES[1:], errors[1:], strict=True):
        verdict = "holds" if errors[0] < other else "does not hold"
        yield {
            "id": "S3",
            "statement": f"{layer}: max unpooling loses less of the map than {name}",
            "paper": None,
            "ours": f"{errors[0]:.1f} against {other:.1f} %",
            "rule": "the first is smaller",
            "verdict": "not decided (smoke run)" if smoke else verdict,
        }


def draw(record, path):
    """The errors as bars, a group for each pooling layer."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    places = np.arange(len(record["errors"]))
    for number, name in enumerate(NAMES):
        axes.bar(places + 0.27 * (number - 1), [each[number] for each in record["errors"].values()], 0.25, label=name)
    axes.set_xticks(places, record["errors"])
    axes.set(ylabel="error, % of the map", title=f"{record['network']}: what the unpoolings lose")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(NAMES))
    save(figure, path)


def draw_example(image, maps, path):
    """The strongest channel of the first pooling layer's map, and what comes back of it."""
    channel = int(np.argmax([maps[0][..., each].std() for each in range(maps[0].shape[-1])]))
    height, width = maps[0].shape[:2]
    rows, columns = slice(height // 3, height // 3 + height // 4), slice(width // 3, width // 3 + width // 4)
    figure, axes = plt.subplots(1, 5, figsize=(15, 2.8), layout="constrained")
    titles = ("image", "its map, a part", *(f"{name} unpooling" for name in NAMES))
    axes[0].imshow(image)
    top = maps[0][rows, columns, channel].max()
    for each, features in zip(axes[1:], maps, strict=True):
        each.imshow(features[rows, columns, channel], cmap="magma", vmin=0, vmax=max(top, 1e-6))
    for each, title in zip(axes, titles, strict=True):
        each.set(title=title, xticks=[], yticks=[])
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
