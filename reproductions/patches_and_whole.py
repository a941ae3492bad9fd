"""One network patch by patch and over the whole image: Long et al., "Fully Convolutional Networks", CVPR 2015.

    python -m reproductions.patches_and_whole --data-dir DIR

Paper: section 3.1: AlexNet takes 1.2 ms for a patch of 227x227 pixels and, as a fully convolutional network, 22 ms for
a grid of 10x10 on an image of 500x500: more than 5 times as fast as patch by patch. Section 4.4: training on patches
converges no faster. Here two networks on a test image of CamVid: a small one without padding, whose outputs must be
equal, for a grid and for every pixel (shift and stitch, section 3.2); and AlexNet, whose padding lets them differ, for
the time alone. Patches go in batches of 32. The weights are those of the start: neither claim looks at them.
"""

import functools
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

from keras_cnns import alexnet
from keras_cnns.data import camvid, digit_masks
from keras_cnns.segmentation import convolutionalize
from reproductions.record import CAMVID, measured, parser_of, publish, told
from reproductions.run import folder_of
from reproductions.study import save

SCRIPT = "patches_and_whole"
WINDOW, STRIDE, BATCH, TURNS = 44, 8, 32, 5


def small_network(classes=11):
    """A classifier of windows of 44x44 pixels without any padding: three convolutions, three poolings, two dense."""
    layers = [keras.Input((WINDOW, WINDOW, 3))]
    for filters in (16, 32, 64):
        layers += [keras.layers.Conv2D(filters, 5, activation="relu"), keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(classes)]
    return keras.Sequential(layers, name="window44")


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    parser.add_argument("--data-dir", type=Path, help=CAMVID)
    parser.add_argument("--smoke", action="store_true", help="a small image, which needs no download; decides nothing")
    return told(measure, parser.parse_args(arguments))


def measure(options):
    started = time.monotonic()
    keras.utils.set_random_seed(0)
    if options.smoke:
        images, size = digit_masks("test"), (60, 76)
    else:
        images, size = camvid(folder_of("camvid", options.data_dir), "test"), (180, 240)
    image = next(iter(images.batches(1)))[0]
    small = tf.image.resize(image, size) - 128.0
    verdict = lambda good: "not decided (smoke run)" if options.smoke else "holds" if good else "does not hold"

    model = small_network()
    whole = convolutionalize(model)
    grid, windows = over(whole, small), by_patches(model, small, STRIDE)
    alike, ratio, times = compared(lambda: over(whole, small), lambda: by_patches(model, small, STRIDE), grid, windows)
    claims = [row("differ", f"{grid.shape[0]}x{grid.shape[1]} windows", alike, verdict)]
    claims.append(row("ratio", f"{grid.shape[0]}x{grid.shape[1]} windows", ratio, verdict))
    every, windows = stitched(whole, small), by_patches(model, small, 1)
    alike, ratio, pixels = compared(
        lambda: stitched(whole, small), lambda: by_patches(model, small, 1), every, windows, 1
    )
    claims.append(row("differ", f"{every.shape[0]}x{every.shape[1]} windows, one a pixel", alike, verdict))
    claims.append(row("ratio", f"{every.shape[0]}x{every.shape[1]} windows, one a pixel", ratio, verdict))

    model, side = alexnet(classes=1000), 300 if options.smoke else 500
    whole, large = convolutionalize(model), tf.image.resize(image, (side, side)) - 128.0
    _, ratio, alex = compared(lambda: over(whole, large), lambda: by_patches(model, large, 32))
    count = (side - 227) // 32 + 1
    claims.append(row("ratio", f"AlexNet, {count}x{count} windows of {side}x{side}", ratio, verdict, paper=5.0))
    record = measured(
        SCRIPT,
        data=images.description,
        milliseconds={"grid": times, "every pixel": pixels, "alexnet": alex},  # whole, patch by patch
        claims=claims,
        deviations=[f"AlexNet without padding of the image gives {count}x{count} outputs, the paper's 10x10"],
        smoke=options.smoke,
        seconds=round(time.monotonic() - started),
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    return 0


def draw(record, path):
    """The times of both ways as bars, with their ratio."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for number, label in enumerate(("over the whole image", "patch by patch")):
        times = [each[number] for each in record["milliseconds"].values()]
        axes.bar(np.arange(len(times)) + 0.4 * number - 0.2, times, 0.38, label=label)
    for place, (whole, patches) in enumerate(record["milliseconds"].values()):
        axes.annotate(f"{patches / whole:.1f} times", (place + 0.2, patches), ha="center", va="bottom", size=8)
    names = {"grid": "a grid of windows", "every pixel": "a window for every pixel", "alexnet": "AlexNet"}
    axes.set_xticks(range(len(names)), [names[each] for each in record["milliseconds"]])
    axes.set(ylabel="milliseconds", yscale="log", title="one image, equal windows")
    axes.margins(y=0.15)
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    save(figure, path)


def row(kind, what, ours, verdict, paper=None):
    if kind == "differ":
        statement, rule, good = "outputs differ, of the largest", "less than 1e-5", ours < 1e-5
        ours = f"{ours:.1e}"
    else:
        statement, rule, good = "times as fast over the whole image", f"more than {paper or 1:g}", ours > (paper or 1)
        ours = round(ours, 1)
    row = {"id": "S6", "statement": f"{what}: {statement}", "paper": paper, "ours": ours, "rule": rule}
    return {**row, "verdict": verdict(good)}


def over(model, image):
    """The outputs of the network as convolutions, `(rows, columns, classes)`."""
    return compiled(model)(image)[0].numpy()


def by_patches(model, image, stride):
    """The same, window by window in batches, of every `stride`-th window."""
    side = model.inputs[0].shape[1]
    run, (height, width) = compiled(model), image.shape[1:3]
    places = [(top, left) for top in range(0, height - side + 1, stride) for left in range(0, width - side + 1, stride)]
    outputs = []
    for begin in range(0, len(places), BATCH):
        windows = tf.stack(
            [image[0, top : top + side, left : left + side] for top, left in places[begin : begin + BATCH]]
        )
        outputs.append(run(windows).numpy())
    rows = (height - side) // stride + 1
    return np.concatenate(outputs).reshape(rows, len(places) // rows, -1)


def stitched(model, image):
    """The outputs for every window, from those of the image shifted by each offset within the stride: section 3.2."""
    height, width = (side - WINDOW + 1 for side in image.shape[1:3])
    outputs = np.zeros((height, width, model.outputs[0].shape[-1]), "float32")
    for top in range(STRIDE):
        for left in range(STRIDE):
            part = outputs[top::STRIDE, left::STRIDE]
            part[:] = over(model, image[:, top:, left:])[: part.shape[0], : part.shape[1]]
    return outputs


@functools.cache
def compiled(model):
    """The model as one graph for any size and batch."""
    images = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    return tf.function(lambda images: model(images, training=False), input_signature=[images])


def compared(whole, patches, ours=None, theirs=None, turns=TURNS):
    """(largest difference as a share of the largest output, ratio of the times, the times in ms), turn by turn."""
    difference = None if ours is None else float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    times = []
    for turn in range(turns + 1):
        each = []
        for function in (whole, patches):
            start = time.perf_counter()
            function()
            each.append(1000 * (time.perf_counter() - start))
        times += [each] if turn else []  # the first warms up
    middle = np.median(times, axis=0)
    return difference, float(middle[1] / middle[0]), middle.round(1).tolist()


if __name__ == "__main__":
    sys.exit(main())
