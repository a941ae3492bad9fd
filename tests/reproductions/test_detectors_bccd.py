"""What the studies of detectors on BCCD share, and their rules; by hand."""

import importlib
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.data import Images
from keras_cnns.data.detection import keep_objects
from keras_cnns.layers import Preprocessing
from reproductions import detectors_bccd, faster_rcnn_bccd, yolo_bccd
from reproductions.run import parse
from reproductions.study import Difference
from tests.detection.small import BOXES, LABELS, PROPOSED, SCORES, one_cell_detector, proposing_detector, red_and_blue


def images(*rows):
    """Photographs of 40x60 with a red and a blue square, each with these objects."""
    objects = np.full((len(rows), 3, 6), -1, "float32")
    for number, own in enumerate(rows):
        objects[number, : len(own)] = own
    pixels = np.stack([red_and_blue()] * len(rows))
    return Images("two", "two photographs", LABELS, len(rows), arrays=(pixels, objects), mask=keep_objects)


def test_the_baseline_is_the_mean_box_of_each_class_at_every_cell():
    """Red ones of 4x4 and 8x12 are 6x8 in the mean, and two thirds of all; a blue one is 10x20."""
    train = images([[0, 0, 4, 4, 0, 0], [10, 10, 18, 22, 0, 0]], [[1, 2, 11, 22, 1, 0]])
    found, truths = detectors_bccd.mean_boxes(train, 2, train)
    assert len(found) == 2 and truths[1]["boxes"].tolist() == [[1, 2, 11, 22]]
    centres = [(15, 10), (45, 10), (15, 30), (45, 30)]  # of the quarters of 60x40
    red = [[x - 3, y - 4, x + 3, y + 4] for x, y in centres]
    blue = [[x - 5, y - 10, x + 5, y + 10] for x, y in centres]
    np.testing.assert_allclose(found[0]["boxes"], red + blue)
    np.testing.assert_allclose(found[0]["scores"], [2 / 3] * 4 + [1 / 3] * 4)
    assert found[0]["labels"].tolist() == [0] * 4 + [1] * 4


def test_trouble_is_what_is_missed_and_what_is_wrong():
    truth = {"boxes": BOXES, "labels": np.array([0, 1, 1]), "difficult": np.zeros(3, bool)}
    found = {
        "boxes": np.float32([BOXES[0], BOXES[2], [0, 0, 5, 5], [5, 5, 9, 9]]),
        "scores": np.float32([0.2, 0.05, 0.15, 0.1]),  # the second is not one of the three surest
        "labels": np.array([0, 1, 1, 1]),
    }
    assert detectors_bccd.faults(found, truth, 2) == 4  # two wrong, two missed


@pytest.mark.slow
def test_detectors_are_asked_one_after_the_other(monkeypatch, tmp_path):
    """Their curves, times and a picture of 3 columns: what is there, and what each finds."""
    there = [[*PROPOSED[0], 0, 0], [*PROPOSED[1], 1, 0]]
    monkeypatch.setattr(detectors_bccd, "images_of", lambda options, split: images(there, there, there, there))
    folders = {"first": tmp_path / "first", "second": tmp_path / "second"}
    sides = {"first": Preprocessing(None), "second": Preprocessing((20, 30))}
    for name, build in (("first", proposing_detector), ("second", one_cell_detector)):
        folders[name].mkdir()
        build().save(folders[name] / "model.keras")
        (folders[name] / "preprocessing.json").write_text(json.dumps(keras.saving.serialize_keras_object(sides[name])))
        (folders[name] / "record.json").write_text(json.dumps({"data": {"labels": LABELS}}))
    found = detectors_bccd.side_by_side(folders, SimpleNamespace(smoke=False), tmp_path / "picture.png")
    assert all(each > 0 for each in found["milliseconds"].values()) and min(SCORES) > 0.9
    assert found["curves"]["first"]["red"] == {"recall": [0.25, 0.5, 0.75, 1.0], "precision": [1.0] * 4}
    assert found["curves"]["second"]["red"]["recall"] == [0.0]  # nothing of it is right
    assert Image.open(tmp_path / "picture.png").size == (3 * 60, 5 * 40)


@pytest.mark.parametrize("study", [faster_rcnn_bccd.STUDY, yolo_bccd.STUDY])
def test_the_rules_are_decided_by_the_runs_figures(study, tmp_path, monkeypatch):
    """81 and more against 75 and 30, R-CNN's 70; an image in 100 ms against 2 s; 6 and 20 images a second against 1."""
    monkeypatch.setattr(faster_rcnn_bccd, "RCNN", tmp_path / "rcnn.json")
    averages = {"without regression": {"map": 60.0}, "with regression": {"map": 70.0}}
    (tmp_path / "rcnn.json").write_text(json.dumps({"average_precision": averages}))
    maps = {"faster_rcnn": 81.0, "fast_rcnn": 75.0, "yolo": 30.0}
    measured = {
        "milliseconds": {"faster_rcnn": 100.0, "fast_rcnn": 2000.0},
        "images_a_second": {"yolo": 6.0, "fast_yolo": 20.0, "faster_rcnn": 1.0},
        "baseline": {"map": 12.0},
    }
    runs = [
        {"name": name, "seed": seed, "smoke": False, "epochs": [{"map": maps[name] + seed}], "measured": measured}
        for name in study.trainings
        for seed in range(3)
    ]
    rows = [claim.decide(runs) for claim in study.claims]
    assert [row["verdict"] for row in rows] == ["holds"] * len(rows)
    ours = [row["ours"] for row in rows]
    if study.script == "faster_rcnn_bccd":
        assert ours[:2] == ["81.00", "+6.00 (+6.00, +6.00, +6.00)"]
        assert ours[2:] == ["76.00 (75.00, 76.00, 77.00)", "20.00"]
    else:
        assert ours == ["6.00", "20.00", "31.00 (30.00, 31.00, 32.00)", "+51.00 (+51.00, +51.00, +51.00)"]
        assert [row["paper"] for row in rows] == [6.4, 22.1, 52.7, 20.5]  # 45 and 155 over 7
    assert all(isinstance(claim, Difference) or claim.rule for claim in study.claims)


@pytest.mark.parametrize("study", [faster_rcnn_bccd.STUDY, yolo_bccd.STUDY])
def test_the_scripts_know_the_flags(study):
    for training in study.trainings.values():
        recipe = importlib.import_module(f"reproductions.{training.script}").recipe
        options, parameters = parse(recipe, training.script, training.flags.split())
        assert options.steps == faster_rcnn_bccd.STEPS or options.epochs == yolo_bccd.EPOCHS
        assert parameters.get("shorter", 320) == 320 and parameters.get("grid", 7) == 7
