"""What decides B9, from figures written by hand, and that each training is asked for what it is compared by."""

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from reproductions import mask_rcnn_coco, runner
from reproductions.mask_rcnn_nuclei import STUDY, TRAININGS, draw, draw_examples

AP = {"align": (50.0, 51.0, 52.0), "pool": (49.0, 51.5, 50.0), "softmax": (50.5, 51.1, 52.4)}


def run(name, seed):
    rows = [{"step": 10, "mask_ap": 1.0, "mask_ap50": 5.0, "loss": 2.0}]
    rows.append({"step": 20, "mask_ap": AP[name][seed], "mask_ap50": AP[name][seed] + 21, "loss": 1.0})
    measured = {"interval": [AP[name][seed] - 3, AP[name][seed] + 4], "images": 66}
    return {"name": name, "seed": seed, "smoke": False, "epochs": rows, "measured": measured}


RUNS = [run(name, seed) for seed in range(3) for name in TRAININGS]


def test_the_rules(tmp_path):
    """71, 72, 73 are above 70; align is above pool by 1, -0.5 and 2, above softmax by -0.5, -0.1 and -0.4."""
    rows = [claim.decide(RUNS) for claim in STUDY.claims]
    assert [row["verdict"] for row in rows] == ["holds", "not decided", "does not hold"]
    assert [row["paper"] for row in rows] == [None, 3.4, 5.5] and {row["id"] for row in rows} == {"B9"}
    draw({"runs": RUNS}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "different"),
    [("align", {}), ("pool", {"roi_operation": "pool"}), ("softmax", {"mask_activation": "softmax"})],
)
def test_each_training_differs_in_what_is_compared(name, different):
    _, parameters = runner.parse(mask_rcnn_coco.recipe, "mask_rcnn_coco", TRAININGS[name].flags.split())
    same = {"neck": "fpn", "trunk": "resnet18", "roi_operation": "align", "mask_activation": "sigmoid", "initial": ""}
    assert parameters == {**same, "shorter": 256, "rois": 64, **different}


def test_the_best_the_median_and_the_worst_image_are_drawn(tmp_path):
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 1:4, 1:4] = masks[1, 5:7, 2:7] = True
    photos = [np.full((8, 8, 3), number, "uint8") for number in range(3)]  # one of them all black
    runs = [coco.encode(np.asfortranarray(mask, "uint8")) for mask in masks]
    there = [{"masks": runs}] * 3
    found = [{"masks": runs[:count], "scores": np.float32([0.9, 0.3][:count])} for count in range(3)]
    draw_examples(photos, there, found, np.array([0.0, 50.0, 20.0]), tmp_path / "picture.png")
    assert Image.open(tmp_path / "picture.png").size > (1000, 1000)
