"""Faster R-CNN's script: the paper's figures, and whole runs on pages of digits by a small network."""

import json

import numpy as np
import pytest

from keras_cnns.data import digit_boxes
from keras_cnns.detection import detect
from keras_cnns.export import load_source
from reproductions import fast_rcnn_voc, faster_rcnn_voc, runner
from tests.detection.small import small_faster_rcnn

ALONE = """
import json, sys, tensorflow as tf
saved = tf.saved_model.load(sys.argv[1])
answer = saved.signatures["bytes"](tf.constant([open(sys.argv[2], "rb").read()]))
print(json.dumps([answer[name].numpy()[0].tolist() for name in ("count", "boxes", "scores", "classes")]))
"""


@pytest.fixture
def pages(monkeypatch):
    """The script on 8 pages of digits, and 3 for the test, by a small network."""
    monkeypatch.setattr(faster_rcnn_voc, "faster_rcnn", small_faster_rcnn)
    images = [digit_boxes("train").take(8), digit_boxes("test").take(3)]
    monkeypatch.setattr(runner.Run, "boxes", lambda run, train, test: images)


def declared(tmp_path, *flags):
    flags = ["--out", str(tmp_path / "run"), *flags]
    options, parameters = runner.parse(faster_rcnn_voc.recipe, "faster_rcnn_voc", flags)
    run = runner.Run("faster_rcnn_voc", options, parameters)
    return run, faster_rcnn_voc.recipe(run, **run.parameters)


def test_the_joint_training_is_the_releases(pages, tmp_path):
    """70,000 iterations of 2 images, 128 boxes of each, 0.001 up to 50,000; the paper's mAP."""
    run, recipe = declared(tmp_path)
    assert (recipe.batch_size, recipe.steps, recipe.optimizer.momentum, recipe.optimizer.l2) == (2, 70_000, 0.9, 5e-4)
    for step, rate in ((0, 0.001), (49_999, 0.001), (50_000, 1e-4), (69_999, 1e-4)):
        assert float(recipe.optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-5), step
    training = recipe.model
    assert training.learns == ("rpn", "detector") and training.paper_loss
    assert (training.before, training.after, training.rois) == (12_000, 2_000, 128)
    assert run.departures == []
    assert {claim.metric: (claim.paper, claim.at_least) for claim in recipe.claims} == {"voc_map": (69.9, 68.9)}
    assert faster_rcnn_voc.TABLE["zf"] == 59.9
    images, objects = next(iter(recipe.train.batches(2)))
    assert images.shape == (2, 600, 600, 3) and objects.shape == (2, 10, 6)
    assert objects[:, -1].numpy().tolist() == [[0, 0, 600, 600, -1, -1]] * 2
    assert images.numpy().min() == pytest.approx(-122.7717, abs=1e-3)
    assert recipe.preprocessing(digit_boxes("test").arrays[0][:1]).shape == (1, 600, 600, 3)


@pytest.mark.parametrize(
    ("stage", "learns", "images", "falls", "steps"),
    [(1, ("rpn",), 1, 60_000, 80_000), (2, ("detector",), 2, 30_000, 40_000)],
)
def test_a_step_of_the_four_is_the_papers(stage, learns, images, falls, steps, pages, monkeypatch, tmp_path):
    """Section 3.1.3: 60,000 and 20,000 mini-batches of one image; of the detector Fast R-CNN's 30,000 and 10,000."""
    monkeypatch.setattr(faster_rcnn_voc, "start_from", lambda network, source: f"{network.name} from {source}")
    earlier = ("--earlier", "run") if stage == 2 else ()
    _, recipe = declared(tmp_path, "--stage", str(stage), *earlier)
    assert (recipe.model.learns, recipe.batch_size, recipe.steps, recipe.claims) == (learns, images, steps, [])
    rates = [float(recipe.optimizer._learning_rate(step)) for step in (falls - 1, falls)]
    assert rates == pytest.approx([0.001, 1e-4], rel=1e-5)
    assert ("proposals: proposer from run" in recipe.deviations) == (stage == 2)


def test_the_stages_that_need_an_earlier_run_say_so(pages, tmp_path):
    for flags in (("--stage", "2"), ("--earlier", "run")):
        with pytest.raises(ValueError, match="stages 2 to 4 need the run before theirs, the others none"):
            declared(tmp_path, *flags)
    with pytest.raises(ValueError, match="stage 3 goes on with the network of --earlier"):
        declared(tmp_path, "--stage", "3", "--earlier", "run", "--initial", "imagenet")
    with pytest.raises(ValueError, match="--scales is '8;16'; it must be numbers with commas between them"):
        declared(tmp_path, "--scales", "8;16")


def test_what_is_frozen(pages, monkeypatch, tmp_path):
    """Of VGG-16 what Fast R-CNN freezes; of ZF nothing: section 3.1.3. Of stages 3 and 4 the whole trunk."""
    assert {"vgg16": fast_rcnn_voc.FROZEN["vgg16"], "zf": ()} == faster_rcnn_voc.FROZEN
    monkeypatch.setattr(faster_rcnn_voc, "FROZEN", {"vgg16": ("conv1",)})
    monkeypatch.setattr(faster_rcnn_voc, "start_from", lambda network, source: "")
    for flags, frozen in (((), {"conv1"}), (("--stage", "3", "--earlier", "run"), {"conv1", "conv2"})):
        layers = declared(tmp_path, *flags)[1].model.network.layers
        assert {layer.name for layer in layers if layer.weights and not layer.trainable} == frozen


@pytest.mark.slow
def test_a_run_writes_what_it_finds(pages, tmp_path, capsys, without_library):
    """The record, the pictures and the export, which answers without this library as `detect` does; the loss falls."""
    out = tmp_path / "run"
    flags = ["--smoke", "--steps", "12", "--checkpoint-steps", "5", "--out", str(out)]
    assert runner.main(faster_rcnn_voc.recipe, flags) == 0
    record = json.loads((out / "record.json").read_text())
    first, *_, last = record["epochs"]
    assert [row["step"] for row in record["epochs"]] == [4, 8, 12] and last["loss"] < first["loss"]
    assert {"rpn_loss", "detector_loss", "test_map"} <= last.keys()
    assert record["final_tests"]["voc"]["images"] == 3 and record["claims"][0]["verdict"] == "not decided (smoke run)"
    assert record["model"]["parameters"] == small_faster_rcnn(10, "vgg16", (1, 2, 4)).count_params()
    for name in ("curves.png", "test_images/examples.png", "test_images/0.png"):
        assert (out / name).stat().st_size > 0

    model, preprocessing, labels = load_source(out)
    (found,) = detect(model, [out / "test_images/0.png"], preprocessing)
    printed = without_library(ALONE, out / "saved_model", out / "test_images/0.png", folder=tmp_path)
    count, boxes, scores, classes = json.loads(printed)
    strong = found["scores"] > 0.051  # around the threshold, rounding may decide
    assert labels == [str(digit) for digit in range(10)] and count >= strong.sum()
    np.testing.assert_allclose(np.array(scores)[:count][: strong.sum()], found["scores"][strong], rtol=1e-3)
    assert len(boxes) == 100 and len(classes) == 100

    assert runner.main(faster_rcnn_voc.recipe, [*flags, "--resume"]) == 0
    assert "is finished" in capsys.readouterr().out
    assert runner.main(faster_rcnn_voc.recipe, [*flags, "--accumulate", "2", "--out", str(tmp_path / "other")]) == 2
    assert "has a train_step of its own" in capsys.readouterr().err


@pytest.mark.slow
def test_the_four_steps_are_runs(pages, monkeypatch, tmp_path):
    """What the last one keeps of each: its trunk is step 2's, its proposing layers step 3's."""
    monkeypatch.setattr(runner, "export", lambda *arguments, **settings: None)
    runs = [tmp_path / f"run{stage}" for stage in range(5)]
    for stage in range(1, 5):
        earlier = ["--earlier", str(runs[stage - 1])] if stage > 1 else []
        flags = ["--smoke", "--steps", "2", "--stage", str(stage), *earlier, "--out", str(runs[stage])]
        assert runner.main(faster_rcnn_voc.recipe, flags) == 0
    one, two, three, four = (load_source(run)[0] for run in runs[1:])

    def same(first, second, name):
        pairs = zip(first.get_layer(name).get_weights(), second.get_layer(name).get_weights(), strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)

    assert not same(one, two, "conv2") and same(two, three, "conv2") and same(three, four, "conv2")
    assert not same(two, three, "rpn_cls_score") and same(three, four, "rpn_cls_score")
    assert not same(one, two, "fc6") and same(two, three, "fc6") and not same(three, four, "fc6")
    record = json.loads((runs[2] / "record.json").read_text())
    assert any(each.startswith("proposals: started from") for each in record["deviations"])
