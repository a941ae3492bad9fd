"""Scripts for networks that label every pixel: their images, what runs write, and what is measured beside them."""

import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.data import camvid, digit_masks
from keras_cnns.evaluation import segmentation_scores
from keras_cnns.layers import Preprocessing
from keras_cnns.segmentation import segment
from reproductions import (
    fcn_camvid_row,
    patches_and_whole,
    runner,
    segnet_balance_camvid,
    segnet_basic_camvid,
    unpooling_camvid,
)
from tests.reproductions import small_segmentation
from tests.reproductions.test_resume import epochs, final_state


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run that has ended."""
    out = tmp_path_factory.mktemp("runs") / "small"
    assert (
        runner.main(small_segmentation.recipe, ["--out", str(out), "--seed", "3"]) == 1
    )  # of the two claims one holds
    return out


@pytest.mark.slow
def test_the_record_holds_the_scores(finished):
    record = json.loads((finished / "record.json").read_text())
    assert [row["step"] for row in record["epochs"]] == [8, 12] and record["curve"] == "mean_iu"
    last = record["epochs"][-1]
    scores = {"pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu", "loss"}
    assert {f"test_{name}" for name in scores} <= last.keys() and {"loss", "accuracy"} <= last.keys()
    each = [value for name, value in last.items() if name.startswith("test_iu_")]
    assert len(each) == 11 and np.mean(each) == pytest.approx(last["test_mean_iu"])
    boundary = record["final_tests"]["boundary"]
    assert boundary["mean_iu"] == pytest.approx(last["test_mean_iu"]) and boundary["images"] == 25
    iu, f1 = record["claims"]
    assert (iu["ours"], iu["rule"], iu["verdict"]) == (last["test_mean_iu"], "at least -0.1", "holds")
    assert (f1["ours"], f1["rule"], f1["verdict"]) == (boundary["boundary_f1"], "at least 98.5", "does not hold")
    assert record["corrupt_images"] == []


def test_the_scores_are_those_of_the_saved_network(finished):
    model = keras.models.load_model(finished / "model.keras")
    test = digit_masks("test").take(25)
    size = [
        tf.image.resize(each, (24, 24), method, antialias=method == "bilinear")
        for each, method in ((test.arrays[0], "bilinear"), (test.arrays[1][..., None], "nearest"))
    ]
    images = (np.clip(np.rint(size[0]), 0, 255) - 50.0) / 60.0
    batches = tf.data.Dataset.from_tensors((images.astype("float32"), size[1][..., 0]))
    record = json.loads((finished / "record.json").read_text())
    assert segmentation_scores(model, batches)["mean_iu"] == pytest.approx(
        record["epochs"][-1]["test_mean_iu"], rel=1e-4
    )


def test_pictures_and_the_export_show_label_maps(finished):
    for name in ("curves.png", "test_images/examples.png", "test_images/0.png"):
        assert (finished / name).stat().st_size > 0
    image = np.asarray(Image.open(finished / "test_images/2.png"))
    saved = tf.saved_model.load(str(finished / "saved_model"))
    labels = saved.signatures["serving_default"](tf.constant(image[None]))["labels"][0].numpy()
    model = keras.models.load_model(finished / "model.keras")
    assert labels.shape == image.shape[:2]
    np.testing.assert_array_equal(labels, segment(model, [image], Preprocessing(24, mean=50.0, scale=1 / 60))[0])


@pytest.mark.slow
def test_a_run_that_is_resumed_ends_as_if_it_had_not_been_stopped(finished, tmp_path):
    stop = ["--out", str(tmp_path), "--seed", "3", "--checkpoint-steps", "5"]

    class Interrupted(Exception):
        pass

    def write(path, content):
        if content.get("epochs") and path.name == "record.json":
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(runner, "write_json", lambda path, content: write(path, content) or original(path, content))
        original = importlib.import_module("reproductions.record").write_json
        runner.main(small_segmentation.recipe, stop)
    assert runner.main(small_segmentation.recipe, [*stop, "--resume"]) == 1
    assert epochs(tmp_path) == epochs(finished)
    ours, theirs = final_state(tmp_path, 12), final_state(finished, 12)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(value, ours[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--replicas", "2", "--synchronized"], ["--accumulate", "2"]])
def test_replicas_and_micro_batches(flags, finished, tmp_path):
    assert runner.main(small_segmentation.recipe, ["--out", str(tmp_path), "--seed", "3", *flags]) == 1
    ours, theirs = epochs(tmp_path), epochs(finished)
    if "--synchronized" in flags:  # the same statistics, and so the same training up to rounding
        assert ours[0]["loss"] == pytest.approx(theirs[0]["loss"], rel=1e-3)
        assert ours[0]["accuracy"] == pytest.approx(theirs[0]["accuracy"], rel=1e-2)
    else:
        assert ours[0]["loss"] == pytest.approx(theirs[0]["loss"], rel=0.3)


class TestMasks:
    """Where a script finds its images."""

    def masks(self, tmp_path, *flags):
        options, parameters = runner.parse(small_segmentation.recipe, "small", ["--out", str(tmp_path), *flags])
        run = runner.Run("small", options, parameters)
        return run, run.masks("camvid", camvid)

    def folders(self, root, void):
        for part in ("train", "test"):
            for name, array in {
                part: np.zeros((6, 8, 3), "uint8"),
                f"{part}annot": np.full((6, 8), void, "uint8"),
            }.items():
                (root / name).mkdir(parents=True)
                Image.fromarray(array).save(root / name / "a.png")

    def test_in_the_folder_or_under_it(self, tmp_path):
        self.folders(tmp_path / "data/camvid", 11)
        for folder in (tmp_path / "data", tmp_path / "data/camvid"):
            run, (train, test) = self.masks(tmp_path, "--data-dir", str(folder))
            assert len(train) == len(test) == 1 and len(train.labels) == 11 and not run.departures
        assert run.asked_for_data

    def test_another_data_set_is_a_departure(self, tmp_path):
        self.folders(tmp_path / "mine", 1)
        (tmp_path / "mine/classes.txt").write_text("a\nb\n")
        run, (train, _) = self.masks(tmp_path, "--dataset", str(tmp_path / "mine"))
        assert train.labels == ["a", "b"] and run.departures == ["data set mine instead of camvid"]

    def test_none_is_told(self, tmp_path):
        with pytest.raises(ValueError, match="--data-dir must name the folder of camvid"):
            self.masks(tmp_path)
        with pytest.raises(ValueError, match="no folders train and trainannot"):
            self.masks(tmp_path, "--data-dir", str(tmp_path))

    def test_digits_need_no_folder(self, tmp_path):
        _, (train, test) = self.masks(tmp_path, "--smoke")
        assert train.labels[0] == "paper" and len(test) == 64


@pytest.mark.slow
def test_a_smoke_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("reproductions.run.SMOKE_MASKS", 64)
    monkeypatch.setattr("reproductions.run.SMOKE_TESTS", 16)
    flags = ["--smoke", "--steps", "2", "--batch-size", "2", "--out", str(tmp_path)]
    assert runner.main(segnet_basic_camvid.recipe, flags) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert "finished" in record and (tmp_path / "test_images/examples.png").exists()


def test_the_unpoolings_are_compared(finished, tmp_path):
    out = tmp_path / "unpooling.json"
    assert unpooling_camvid.main([str(finished), "--smoke", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    ((name, errors),) = record["errors"].items()
    assert name.startswith("max_pooling") and errors[0] < errors[2]  # the largest of four is kept, and in its place
    assert record["claims"][0]["verdict"] == "not decided (smoke run)"
    assert (tmp_path / "unpooling.png").exists() and (tmp_path / "unpooling-examples.png").exists()
    assert unpooling_camvid.main([str(tmp_path), "--smoke"]) == 2


def test_unpoolings_by_hand():
    """[[1, 2], [3, 4]] gives back 4 in its place, everywhere, and in the corner."""
    features = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), (1, 2, 2, 1))
    back = [each.numpy()[0, ..., 0].tolist() for each in unpooling_camvid.unpooled(features)]
    assert back == [[[0, 0], [0, 4]], [[4, 4], [4, 4]], [[4, 0], [0, 0]]]


def test_patches_and_whole_agree(tmp_path):
    keras.utils.set_random_seed(0)
    model = patches_and_whole.small_network()
    whole = patches_and_whole.convolutionalize(model)
    image = tf.constant(np.random.default_rng(0).normal(size=(1, 61, 77, 3)), tf.float32)
    grid = patches_and_whole.by_patches(model, image, 8)
    assert grid.shape == (3, 5, 11)
    np.testing.assert_allclose(patches_and_whole.over(whole, image), grid, atol=1e-5)
    every = patches_and_whole.by_patches(model, image, 1)
    assert every.shape == (18, 34, 11)
    np.testing.assert_allclose(patches_and_whole.stitched(whole, image), every, atol=1e-5)
    np.testing.assert_array_equal(every[::8, ::8], grid)


@pytest.mark.slow
def test_a_row_of_several_networks(finished, tmp_path, capsys):
    TestMasks().folders(tmp_path / "camvid", 3)
    out = tmp_path / "row.png"
    flags = ["--data-dir", str(tmp_path), "--images", "1", "--out", str(out)]
    assert fcn_camvid_row.main([str(finished), str(finished), *flags]) == 0
    assert Image.open(out).size[0] > 4 * 200
    assert fcn_camvid_row.main([str(tmp_path), *flags]) == 2 and "error:" in capsys.readouterr().err


def test_balancing_is_decided_by_three_seeds():
    """Table 1: 62.0 against 54.6, 84.0 against 82.7, 47.7 against 46.3."""
    assert [claim.paper for claim in segnet_balance_camvid.CLAIMS] == [7.4, 1.3, 1.4]
    kinds = ("pixel_accuracy", "mean_accuracy", "mean_iu")
    runs = [
        {"name": name, "seed": seed, "smoke": False, "epochs": [dict(zip(kinds, scores, strict=True))]}
        for name, scores in {"balanced": (70.0, 60.0, 40.0), "natural": (75.0, 50.0, 40.0)}.items()
        for seed in range(3)
    ]
    verdicts = [claim.decide(runs)["verdict"] for claim in segnet_balance_camvid.CLAIMS]
    assert verdicts == ["holds", "holds", "does not hold"]
