"""YOLO's script: the paper's figures, and a run whose exported detector answers without this library."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import Images, digit_boxes
from reproductions import run, runner, yolo_voc

ALONE = """
import sys, tensorflow as tf
saved = tf.saved_model.load(sys.argv[1])
answer = saved.signatures["bytes"](tf.constant([open(sys.argv[2], "rb").read()]))
image = tf.io.decode_image(open(sys.argv[2], "rb").read())[None]
again = saved.signatures["serving_default"](image)
for name in ("boxes", "scores"):
    tf.debugging.assert_near(answer[name], again[name], atol=1e-3)
print(answer["boxes"].shape, answer["scores"].shape, answer["labels"][0, 0].numpy().decode() in "0123456789")
"""


@pytest.mark.slow
def test_a_short_run_ends_with_a_detector_that_works_alone(tmp_path, monkeypatch, without_library):
    monkeypatch.setattr(run, "SMOKE_TESTS", 8)
    out = tmp_path / "run"
    assert runner.main(yolo_voc.recipe, ["--smoke", "--variant", "fast", "--steps", "2", "--out", str(out)]) == 0
    record = json.loads((out / "record.json").read_text())
    assert record["curve"] == "map" and {"test_loss", "test_map", "test_ap_3"} <= record["epochs"][-1].keys()
    printed = without_library(ALONE, out / "saved_model", out / "test_images/0.png", folder=tmp_path)
    assert printed == "(1, 100, 4) (1, 100) True\n"


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "paper"), [("paper", [63.4]), ("fast", [52.7]), ("local", [])])
def test_the_training_is_the_papers(variant, paper, monkeypatch, tmp_path):
    """Section 2.2: 64 images, momentum 0.9, decay 0.0005, 75, 30 and 30 epochs of 16,551 images."""
    boxes = {split: digit_boxes(split) for split in ("train", "test")}
    monkeypatch.setattr(runner.Run, "boxes", lambda run, *names: (boxes["train"], boxes["test"]))
    monkeypatch.setattr(Images, "__len__", lambda images: 16_551)
    monkeypatch.setattr(yolo_voc, "yolo", lambda shape, *arguments: (shape, *arguments))
    monkeypatch.setattr(yolo_voc, "start_from", lambda model, initial: "")
    options, parameters = runner.parse(yolo_voc.recipe, "yolo_voc", ["--variant", variant, "--out", str(tmp_path)])
    recipe = yolo_voc.recipe(runner.Run("yolo_voc", options, parameters), **parameters)
    assert recipe.model == ((448, 448, 3), 10, variant, 7, None)
    epoch = 258  # 16,551 // 64
    assert (recipe.batch_size, recipe.steps) == (64, 135 * epoch)
    assert (recipe.optimizer.momentum, recipe.optimizer.l2) == (0.9, 5e-4)
    rates = {0: 1e-3, 2 * epoch: 5e-3, 3 * epoch: 1e-2, 75 * epoch - 1: 1e-2, 75 * epoch: 1e-3, 105 * epoch: 1e-4}
    for step, rate in rates.items():
        assert float(recipe.optimizer._learning_rate(step)) == pytest.approx(rate / 2), step
    assert [claim.paper for claim in recipe.claims] == paper
    images, objects = next(iter(recipe.test.batches(2)))
    assert images.shape == (2, 448, 448, 3) and tf.reduce_max(images) <= 1 and objects.shape == (2, 9, 6)
    pixels = digit_boxes("test").arrays[0][:2]
    np.testing.assert_allclose(recipe.preprocessing(pixels), images, atol=0.51 / 255)


@pytest.mark.slow
def test_from_scratch_the_images_differ_more_and_adam_learns(monkeypatch, tmp_path):
    boxes = {split: digit_boxes(split).take(8) for split in ("train", "test")}
    monkeypatch.setattr(runner.Run, "boxes", lambda run, *names: (boxes["train"], boxes["test"]))
    monkeypatch.setattr(yolo_voc, "yolo", lambda *arguments: arguments)
    monkeypatch.setattr(yolo_voc, "start_from", lambda model, initial: "")
    arguments = ["--from-scratch", "--side", "64", "--epochs", "135", "--batch-size", "4", "--out", str(tmp_path)]
    options, parameters = runner.parse(yolo_voc.recipe, "yolo_voc", arguments)
    recipe = yolo_voc.recipe(runner.Run("yolo_voc", options, parameters), **parameters)
    assert type(recipe.optimizer).__name__ == "Adam" and recipe.optimizer.l2 == 0
    for step, rate in {
        0: 5e-5,
        149: 5e-4,
        150: 5e-5,
        210: 5e-6,
    }.items():  # the paper's by a twentieth; 2 steps an epoch
        assert float(recipe.optimizer._learning_rate(step)) == pytest.approx(rate), step
    pixels = np.concatenate([recipe.preprocessing(image) for image, _ in boxes["train"].originals().batches(1)])
    assert pixels.mean(axis=(0, 1, 2)) == pytest.approx(np.zeros(3), abs=0.02)
    assert pixels.std(axis=(0, 1, 2)) == pytest.approx(np.ones(3), abs=0.02)
    images, _ = next(iter(recipe.test.batches(4)))
    given = np.concatenate([recipe.preprocessing(image) for image, _ in boxes["test"].originals().batches(1)])[:4]
    np.testing.assert_allclose(given, images, atol=0.02)
