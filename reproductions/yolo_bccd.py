"""YOLO beside Faster R-CNN on BCCD, in small: Redmon et al., "You Only Look Once", CVPR 2016, section 4.1.

    python -m reproductions.yolo_bccd --data-dir BCCD

Paper: on VOC 2007 YOLO's mAP is 63.4 % at 45 images a second and Fast YOLO's 52.7 % at 155, Faster R-CNN's with VGG-16
73.2 % at 7. Here the three networks' times are measured in one run, at the papers' input sizes, with random weights;
and Fast YOLO is trained on photographs of blood cells from random weights, as far as two cores go: 128x128 pixels in
place of 448x448, so that there is time for the paper's 135 epochs. It learns by Adam from standardised pixels: by the
paper's SGD, from 1,080 batches of 224x224 pixels that are bright nearly everywhere, it learned no more than the mean
box. Beside it are Faster R-CNN of `faster_rcnn_bccd`, whose trainings are used if they lie in the same --out, and a
detector that sees no image: at every cell each class's mean box.
"""

import functools
import sys
import time

import numpy as np
import tensorflow as tf

from keras_cnns import faster_rcnn, yolo
from keras_cnns.detection import faster_rcnn_detector, yolo_detector
from keras_cnns.evaluation import voc_scores
from reproductions import detectors_bccd, faster_rcnn_bccd
from reproductions.detectors_bccd import images_of, mean_boxes, side_by_side
from reproductions.study import Difference, Least, Study, Training, final, main, of

GRID, SIDE, EPOCHS = 7, 128, 135
TRAININGS = {
    "faster_rcnn": faster_rcnn_bccd.TRAININGS["faster_rcnn"],
    "yolo": Training(
        "yolo_voc", f"--variant fast --side {SIDE} --grid {GRID} --epochs {EPOCHS} --batch-size 16 --from-scratch"
    ),
}
PAPER = {"yolo": 45, "fast_yolo": 155, "faster_rcnn": 7}  # images a second: Table 1
TURNS = 5
draw = detectors_bccd.draw  # for RESULTS.md


def measure(folder, options):
    """What the first seed's detectors find, once they are trained; the baseline; and the times of the papers' sizes."""
    if not folder.name.startswith("yolo-0"):
        return {}
    folders = {name: folder.with_name(folder.name.replace("yolo", name)) for name in ("yolo", "faster_rcnn")}
    train, test = (images_of(options, split) for split in ("train", "test"))
    return {
        **side_by_side(folders, options, options.out / f"{STUDY.script}-examples.png"),
        "baseline": voc_scores(*mean_boxes(train, GRID, test), train.labels, "11-point"),
        "images_a_second": images_a_second((64, 64) if options.smoke else None),
    }


def images_a_second(size=None, classes=20):
    """Of each network with its suppression, one image at a time, turn by turn: the medians, a dict.

    size: (height, width) of all images; by default the papers': 448x448, and a VOC photograph of 600x800.
    """
    square, photo = size or (448, 448), size or (600, 800)
    built = {
        "yolo": yolo_detector(yolo((*square, 3), classes), classes),
        "fast_yolo": yolo_detector(yolo((*square, 3), classes, "fast"), classes),
        "faster_rcnn": faster_rcnn_detector(faster_rcnn(classes=classes)),
    }
    random = lambda size: tf.random.stateless_uniform((1, *size, 3), [0, 0])
    images = {name: random(square) for name in built}
    images["faster_rcnn"] = [255 * random(photo) - 120, tf.constant([photo], tf.float32)]
    run = {name: tf.function(functools.partial(model, training=False)) for name, model in built.items()}
    seconds = {name: [] for name in built}
    for turn in range(TURNS + 1):
        for name, each in run.items():
            start = time.perf_counter()
            each(images[name])[0].numpy()
            if turn:  # the first traces it
                seconds[name].append(time.perf_counter() - start)
    return {name: round(1 / float(np.median(each)), 3) for name, each in seconds.items()}


def faster_than_rcnn(name):
    """A function from a run to how many times as many images a second as Faster R-CNN one network does."""
    return lambda run: run["measured"]["images_a_second"][name] / run["measured"]["images_a_second"]["faster_rcnn"]


STUDY = Study(
    script="yolo_bccd",
    description=__doc__,
    trainings=TRAININGS,
    claims=[
        *(
            Least(
                *("B8", f"images a second, {words} to Faster R-CNN with VGG-16", "yolo", faster_than_rcnn(name)),
                *(lambda runs: 1.0, "more than 1"),
                paper=round(PAPER[name] / PAPER["faster_rcnn"], 1),
                seeds=1,
            )
            for name, words in (("yolo", "YOLO"), ("fast_yolo", "Fast YOLO"))
        ),
        Least(
            *("B8", "Fast YOLO's mAP at an IoU of 0.5, %", "yolo", final("map")),
            lambda runs: of(runs, "yolo")[0]["measured"]["baseline"]["map"],
            rule="more than that of each class's mean box at every cell, in each of 3 seeds",
            paper=52.7,
        ),
        Difference(
            *("B8", "Faster R-CNN's mAP less Fast YOLO's, points", "faster_rcnn", "yolo", final("map")),
            margin=0.0,
            paper=20.5,  # 73.2 - 52.7
        ),
    ],
    deviations=[
        f"Fast YOLO from random weights, {SIDE}x{SIDE} pixels, S = {GRID}, B = 2, {EPOCHS} epochs in batches of 16",
        "Adam and standardised pixels; with SGD, 224x224 pixels, S = 14, 60 epochs the mAP was 3.1 % (commit 9881508)",
        *faster_rcnn_bccd.STUDY.deviations,
    ],
    finalists=lambda runs: ["yolo"],  # another seed of Faster R-CNN would be the better part of an hour
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
