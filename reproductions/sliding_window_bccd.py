"""A classifier slid over an image: Sermanet et al., "OverFeat", ICLR 2014, section 3.5.

    python -m reproductions.sliding_window_bccd --data-dir DIR

Paper: sliding windows are "inherently efficient when applied convolutionally", since what they share is computed once;
no time is printed. Here the fast OverFeat on photographs of BCCD, at the paper's largest scale with its offset pooling:
every window by itself, in batches of 8, and all at once. OverFeat pads three of its layers, so that a window's border
is not the same in both; without this padding the outputs must be equal. The weights are those of the start: the claim
does not look at them.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_cnns import overfeat
from keras_cnns.detection import sliding_window
from keras_cnns.detection.sliding_window import dense
from reproductions.patches_and_whole import compared, compiled
from reproductions.record import BCCD, measured, parser_of, publish, told
from reproductions.selective_search_bccd import annotated

SCRIPT = "sliding_window_bccd"
SCALE, BATCH, CLASSES, PHOTOGRAPHS, TURNS = (461, 569), 8, 20, 3, 2


def without_padding(model):
    """The same network, its convolutions without padding; maps and the first dense layer become smaller."""

    def unpadded(layer):
        settings = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            settings["padding"] = "valid"
        return type(layer).from_config(settings)

    return keras.models.clone_model(model, clone_function=unpadded)


def window_by_window(model, image, windows):
    """The outputs of the network for windows `(rows, columns, 4)` cut out of an image: `(rows, columns, classes)`."""
    boxes, run, outputs = windows.reshape(-1, 4).astype(int), compiled(model), []
    for start in range(0, len(boxes), BATCH):
        cut = [image[0, y1:y2, x1:x2] for x1, y1, x2, y2 in boxes[start : start + BATCH]]
        outputs.append(run(tf.stack(cut)).numpy())
    return np.concatenate(outputs).reshape(*windows.shape[:2], -1)


def photograph(path):
    pixels = tf.io.decode_image(tf.io.read_file(str(path)), 3, expand_animations=False)
    return tf.image.resize(pixels[None], SCALE) / 128 - 1


def both_ways(model, slid, image):
    """(largest difference as a share of the largest output, ratio of the times, the times in ms)."""
    outputs, windows = sliding_window(slid, image)
    alone = window_by_window(model, image, windows)
    at_once = lambda: sliding_window(slid, image)[0].numpy()
    return compared(at_once, lambda: window_by_window(model, image, windows), outputs[0].numpy(), alone, TURNS)


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help=BCCD)
    return told(measure, parser.parse_args(arguments))


def measure(options):
    started = time.monotonic()
    photos, description = annotated(options.data_dir, PHOTOGRAPHS)
    images = [photograph(path) for path, _ in photos]
    keras.utils.set_random_seed(0)
    padded = overfeat("fast", classes=CLASSES)
    figures = {}
    for name, model in (("unpadded", without_padding(padded)), ("padded", padded)):
        slid, figures[name] = dense(model), []
        for number, image in enumerate(images, 1):
            rows, columns, _ = sliding_window(slid, image)[1].shape
            print(f"{name}, photograph {number} of {len(images)}: {rows}x{columns} windows")
            figures[name].append(both_ways(model, slid, image))
    grid = f"{rows}x{columns} windows of {SCALE[0]}x{SCALE[1]} pixels"
    claim = lambda statement, ours, rule, holds: {
        "id": "B2",
        "statement": f"{grid}: {statement}",
        "paper": None,
        "ours": ours,
        "rule": f"{rule}, on each of {PHOTOGRAPHS} photographs",
        "verdict": "holds" if holds else "does not hold",
    }
    differences = [difference for difference, _, _ in figures["unpadded"]]
    claims = [
        claim(
            "without padding, dense and window by window differ, of the largest output",
            ", ".join(f"{each:.1e}" for each in differences),
            "less than 1e-4",
            max(differences) < 1e-4,
        )
    ]
    for name, words in (("unpadded", "without padding"), ("padded", "OverFeat as it is")):
        ratios = [ratio for _, ratio, _ in figures[name]]
        ours = ", ".join(f"{each:.1f}" for each in ratios)
        claims.append(claim(f"{words}, times as fast at once", ours, "more than 1", min(ratios) > 1))
    record = measured(
        SCRIPT,
        data=description,
        milliseconds={name: [times for _, _, times in rows] for name, rows in figures.items()},  # at once, one by one
        claims=claims,
        notes=[
            f"OverFeat as it is differs by its padding: {max(d for d, _, _ in figures['padded']):.2g} of the largest"
        ],
        deviations=["random weights", "photographs of blood cells, brought to the paper's largest scale"],
        seconds=round(time.monotonic() - started),
    )
    publish(record, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
