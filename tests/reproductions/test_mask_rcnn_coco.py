"""Mask R-CNN's script: what it declares, and a short run on digits to its pictures and its SavedModel."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns import export, mask_rcnn, resnet18
from keras_cnns.__main__ import main
from keras_cnns.data import digit_instances
from keras_cnns.detection import detect
from keras_cnns.export import load_source
from keras_cnns.layers import BatchNormalization, Preprocessing
from reproductions import mask_rcnn_coco, runner
from reproductions.run import Run


def declared(folder, *flags):
    flags = ["--smoke", "--trunk", "resnet18", "--out", str(folder), *flags]
    run = Run("mask_rcnn_coco", *runner.parse(mask_rcnn_coco.recipe, "mask_rcnn_coco", flags))
    return run, mask_rcnn_coco.recipe(run, **run.parameters)


def test_the_schedule_is_the_papers(tmp_path):
    """Section 3.1: 0.02 for 16 images, a tenth after 120,000 of 160,000 steps; decay 1e-4, momentum 0.9."""
    _, recipe = declared(tmp_path, "--steps", "1600", "--batch-size", "16")
    rates = [float(recipe.optimizer._learning_rate(step)) for step in (0, 16, 1199, 1200, 1599)]
    np.testing.assert_allclose(rates, [0.02 / 3, 0.02, 0.02, 0.002, 0.002], rtol=1e-6)
    assert recipe.claims[0].paper == 33.6 and recipe.claims[0].metric == "coco_mask_ap"


def test_a_folder_of_cocos_kind_is_read(tmp_path):
    each = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 10, 8], "segmentation": [[2, 3, 12, 3, 12, 11]]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "annotations": [each],
        "categories": [{"id": 7, "name": "cell"}],
    }
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        Image.fromarray(np.zeros((20, 30, 3), "uint8")).save(tmp_path / split / "a.png")
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(content))
    flags = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]
    run = Run("mask_rcnn_coco", *runner.parse(mask_rcnn_coco.recipe, "mask_rcnn_coco", flags))
    train, test = run.instances("coco/2017_panoptic")
    assert (len(train), len(test), train.labels) == (1, 1, ["cell"])
    assert run.departures == [f"data set {tmp_path.name} instead of COCO"]


@pytest.mark.slow
def test_a_short_run_ends_with_masks(tmp_path, capsys, monkeypatch):
    """The record, the pictures, the SavedModel, and the command that draws."""
    monkeypatch.setattr(mask_rcnn_coco, "SMOKE_IMAGES", (4, 2))
    flags = ["--smoke", "--trunk", "resnet18", "--steps", "2", "--out", str(tmp_path / "run")]
    assert runner.main(mask_rcnn_coco.recipe, flags) == 0
    record = json.loads((tmp_path / "run/record.json").read_text())
    row = record["epochs"][-1]
    assert row["loss"] == pytest.approx(row["rpn_loss"] + row["box_loss"] + row["mask_loss"], rel=1e-4)
    assert {"test_mask_ap", "test_mask_ap50", "test_box_ap"} <= row.keys()
    assert record["final_tests"]["coco"]["images"] == 2
    assert record["claims"][0]["verdict"] == "not decided (smoke run)"
    for name in ("curves.png", "test_images/examples.png", "test_images/0.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    _, _, labels = load_source(tmp_path / "run")
    assert labels == [str(digit) for digit in range(10)] and (tmp_path / "run/saved_model/saved_model.pb").exists()
    assert main(["detect", str(tmp_path / "run"), str(tmp_path / "run/test_images/0.png"), "--out", str(tmp_path)]) == 0
    assert Image.open(tmp_path / "0_boxes.png").size == (96, 96)


@pytest.mark.slow
def test_an_export_gives_the_masks_that_detect_gives(tmp_path):
    """Of a network that calls everything a 3, on a photograph that is no square."""
    model = mask_rcnn(classes=10, trunk="resnet18", proposals=20)
    for name in ("cls_score", "bbox_pred"):  # whatever it sees; and its proposals as they are
        layer = model.get_layer("box_head").get_layer(name)
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    model.get_layer("box_head").get_layer("cls_score").bias.assign(np.float32([0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0]))
    preprocessing = Preprocessing(None, 96, longest_side=160)
    export(model, tmp_path / "saved", preprocessing, [str(digit) for digit in range(10)])
    photo = digit_instances("test").arrays[0][0][:, :70]
    (found,) = detect(model, [photo], preprocessing)
    assert len(found["boxes"]) > 0 and set(found["labels"]) == {3} and found["masks"].any()
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    answer = saved.signatures["serving_default"](images=tf.constant(photo[None]))
    count = int(answer["count"][0])
    assert count == len(found["boxes"]) and answer["labels"][0, 0] == b"3"
    assert answer["masks"].shape == (1, count, 96, 70) == (1, *found["masks"].shape)
    np.testing.assert_allclose(answer["boxes"][0, :count], found["boxes"], rtol=1e-3, atol=1e-2)
    assert np.mean(answer["masks"][0].numpy() != found["masks"]) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_the_trunks_statistics_stay_where_it_was_trained(neck, tmp_path):
    """C4's last stage, which is in the head, comes from the classifier as the others do."""
    trained = resnet18(input_shape=(64, 64, 3), classes=3)
    trained.save(tmp_path / "trunk.keras")
    _, recipe = declared(tmp_path, "--initial", str(tmp_path / "trunk.keras"), "--neck", neck)
    layers = recipe.tested.get_layer("features").layers
    last = layers if neck == "fpn" else recipe.tested.get_layer("res5").layers
    frozen = {layer.trainable for layer in [*layers, *last] if isinstance(layer, BatchNormalization)}
    assert frozen == {False} and any(isinstance(layer, BatchNormalization) for layer in last)
    assert next(layer for layer in layers if layer.name == "conv1").trainable
    names = [layer.name for layer in trained.layers if layer.name.startswith(("res5", "bn5")) and layer.weights]
    found = {layer.name: layer for layer in last}
    assert len(names) > 8
    for name in names:
        for ours, theirs in zip(found[name].get_weights(), trained.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert recipe.deviations[0] == "the trunk started from resnet18, whose batch normalisation stays as it is"
