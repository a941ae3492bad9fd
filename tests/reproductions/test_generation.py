"""The recipes of generators: their figures beside the papers', and what the runner makes of a game."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_cnns import gan_discriminator, gan_generator
from keras_cnns.data import digits
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD, AdversarialModel
from reproductions import dcgan_fashion_mnist, dcgan_garments, dcgan_probe_cifar10, gan_digits, gan_mnist, runner
from reproductions.generation import game_test
from tests.reproductions.declared import declared
from tests.reproductions.test_resume import epochs, final_state

SMALL = ["--smoke", "--steps", "6", "--base-filters", "2", "--checkpoint-steps", "3"]


def test_gans_training_is_the_releases(monkeypatch, tmp_path):
    """mnist.yaml: batches of 100 of the first 50,000, rate 0.1 / 1.000004^t, momentum 0.5 to 0.7 over 250 epochs."""
    arrays = digits("train").arrays
    few = digits("train")._copy(arrays=[each[:12] for each in arrays])
    recipe = declared("gan_mnist", ["--k", "2"], 60_000, monkeypatch, tmp_path, train=few)
    assert (recipe.batch_size, recipe.steps, recipe.model.k) == (200, 125_000, 2)
    for optimizer, steps in zip(recipe.optimizer, (125_000, 250_000), strict=True):  # the discriminator's: k times
        assert float(optimizer.momentum(0)) == 0.5 and float(optimizer.momentum(steps)) == pytest.approx(0.7)
        assert float(optimizer.momentum(steps // 2)) == pytest.approx(0.6)
        assert float(optimizer._learning_rate(0)) == pytest.approx(0.1)
        assert float(optimizer._learning_rate(steps)) == pytest.approx(0.1 * 1.000004**-125_000, rel=1e-3)
    (claim,) = recipe.claims
    assert (claim.paper, claim.at_least, claim.id) == (225, 223, "N2")  # Table 1: 225 +- 2
    images = next(iter(recipe.train.batches(1)))[0].numpy()
    assert images.shape == (1, 28, 28, 1) and images.max() == 1.0


@pytest.mark.parametrize(
    ("script", "images", "shape", "steps"),
    [
        # Five epochs of 3,033,042 // 128.
        pytest.param("dcgan_lsun", 3_033_042, (64, 64, 3), 5 * 23_695, marks=pytest.mark.slow),
        ("dcgan_fashion_mnist", 60_000, (32, 32, 3), 25 * 468),
        ("dcgan_cifar10", 50_000, (32, 32, 3), 100 * 390),
    ],
)
def test_dcgans_training_is_the_papers(script, images, shape, steps, monkeypatch, tmp_path):
    """Section 4: batches of 128, Adam with 0.0002 and beta_1 of 0.5, images from -1 to 1."""
    flags = ["--base-filters", "2"]
    recipe = declared(script, flags, images, monkeypatch, tmp_path)
    assert (recipe.batch_size, recipe.steps) == (128, steps)
    for optimizer in recipe.optimizer:
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (float(optimizer.learning_rate), optimizer.beta_1) == (pytest.approx(2e-4), 0.5)
    given = next(iter(recipe.test.batches(2)))[0].numpy()
    assert given.shape[1:] == shape == recipe.model.discriminator.input_shape[1:]
    assert given.min() == -1 and 0.9 < given.max() <= 1
    assert [claim.paper for claim in recipe.claims] == ([82.8] if script == "dcgan_cifar10" else [])


@pytest.mark.slow
def test_a_game_stopped_and_resumed_ends_with_the_same_bits(tmp_path, monkeypatch, capsys):
    """Both networks, both optimizers, the tests, and everything that a run of a generator leaves."""
    recipe, out = dcgan_fashion_mnist.recipe, tmp_path / "whole"
    assert runner.main(recipe, [*SMALL, "--out", str(out)]) == 0
    with monkeypatch.context() as patch:
        save = runner.Checkpoints.save

        def stop(checkpoints, step, notes):
            save(checkpoints, step, notes)
            raise KeyboardInterrupt

        patch.setattr(runner.Checkpoints, "save", stop)
        assert runner.main(recipe, [*SMALL, "--out", str(tmp_path / "parts")]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert runner.main(recipe, [*SMALL, "--out", str(tmp_path / "parts"), "--resume"]) == 0
    assert "resumed after step 3 of 6" in capsys.readouterr().out
    expected, resumed = (final_state(folder, step=6) for folder in (out, tmp_path / "parts"))
    assert expected.keys() == resumed.keys() and len(expected) > 60  # two moments and more of each weight
    for name, value in expected.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert epochs(out) == epochs(tmp_path / "parts")
    (row,) = epochs(out)
    assert {"test_loss", "test_value", "test_real", "test_fake", "test_variety", "test_alike", "value"} <= row.keys()
    for name in ("samples/step-00000006.png", "curves.png", "saved_model/saved_model.pb"):
        assert (out / name).read_bytes()
    for name in ("real", "samples", "interpolation", "learning"):
        assert (out / f"test_images/{name}.png").read_bytes() == (
            tmp_path / f"parts/test_images/{name}.png"
        ).read_bytes()
    assert keras.models.load_model(out / "model.keras").output_shape == (None, 32, 32, 3)


@pytest.mark.slow
def test_gan_runs_on_two_replicas_with_two_minibatches_a_step(tmp_path):
    out = tmp_path / "run"
    flags = ["--smoke", "--steps", "3", "--k", "2", "--batch-size", "8", "--replicas", "2", "--out", str(out)]
    assert runner.main(gan_mnist.recipe, flags) == 0
    record = json.loads((out / "record.json").read_text())
    assert (record["replicas"], record["batch_size"]) == (2, 16) and np.isfinite(record["epochs"][0]["test_value"])
    assert record["final_tests"]["parzen"].keys() == {"log_likelihood", "standard_error", "sigma"}
    assert record["claims"][0]["verdict"] == "not decided (smoke run)"


@pytest.mark.slow
def test_a_game_that_diverges_says_so_and_its_record_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gan_mnist, "SGD", lambda rate, momentum: SGD(1e30, 0.5))
    out = tmp_path / "run"
    assert runner.main(gan_mnist.recipe, ["--smoke", "--steps", "4", "--out", str(out)]) == 2
    message = capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")
    assert "the training loss is nan at step" in message
    assert json.loads((out / "record.json").read_text())["diverged"] == message


def test_samples_that_are_all_alike_are_told(tmp_path, capsys):
    model = AdversarialModel(gan_generator(), gan_discriminator())
    model.compile(SGD(0.1), SGD(0.1))
    for variable in model.generator.weights:
        variable.assign(variable * 0)
    model.generator.get_layer("y").bias.assign(np.full(784, np.log(1.5)))  # a sigmoid of 0.6: grey of 153
    images = digits("test").take(20).map(lambda images, keys: images[:, 2:30, 2:30] / 255)
    ours = lambda images: np.stack([images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))], axis=1)
    test = game_test(SimpleNamespace(out=tmp_path), Preprocessing(28, scale=1 / 255), ours)
    figures = test(model, images.batches(10))
    assert figures["alike"] == 1 and figures["variety"] == pytest.approx(0, abs=1e-6)
    assert "after step 0 the samples are nearly all alike" in capsys.readouterr().err
    # All samples are that grey without deviation: the distance to the digits' means and deviations, and their spread.
    features = ours(digits("test").arrays[0][:20, 2:30, 2:30])
    expected = ((features.mean(axis=0) - [153, 0]) ** 2).sum() + features.var(axis=0, ddof=1).sum()
    assert figures["frechet"] == pytest.approx(expected, rel=1e-6)
    assert (tmp_path / "samples/step-00000000.png").exists()


def test_only_grey_images_are_gans(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="digits has 3 channels; the networks are of grey images"):
        declared("gan_mnist", [], 60_000, monkeypatch, tmp_path)


def test_the_optimum_of_two_points_by_hand():
    """By the logits s of D1, D2 and q, at s = 0, q = p: -(p + q)/4 twice, -+1/2 across; no gradient; -log 4."""
    value, d, gradient, hessian = gan_digits.optimum(0.7)
    assert value == pytest.approx(-np.log(4)) and d.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    np.testing.assert_allclose(hessian, [[-0.35, 0, -0.5], [0, -0.15, 0.5], [-0.5, 0.5, 0]], atol=1e-6)


def test_the_study_of_digits_decides_by_its_rules():
    beside = {"gaussian": {"log_likelihood": 100.0, "standard_error": 3.0}}
    row = {"test_value": -1.3, "test_real": 0.55, "test_fake": 0.35}
    runs = [
        {
            "parzen": {"log_likelihood": likelihood, "standard_error": 4.0},
            "rows": [row | {"test_value": 0.0}] * 3 + [row],
        }
        for likelihood in (111.0, 120.0, 130.0)
    ]
    decided = [each["verdict"] for each in gan_digits.claims(runs, beside, smoke=False)]
    assert decided == ["holds", "holds", "holds", "holds", "holds", "does not hold"]  # 11 is 2.2 errors of 5
    runs[0]["parzen"]["log_likelihood"] = 109.0
    assert gan_digits.claims(runs, beside, smoke=False)[2]["verdict"] == "not decided"
    assert gan_digits.claims(runs, beside, smoke=True)[2]["verdict"] == "not decided (smoke run)"


def test_the_other_studies_decide_by_their_rules():
    epochs = [{"frechet": 9.0}, {"frechet": 5.0}, {"frechet": 2.9}]
    found = {"shares": {"Bag": 97.9, "Coat": 2.1}}
    rows = dcgan_garments.claims(epochs, found, smoke=False)
    assert [row["verdict"] for row in rows] == ["holds", "holds"] and rows[1]["ours"] == "Coat 2.10"
    found["shares"]["Coat"] = 1.9
    rows = dcgan_garments.claims(epochs[:2], found, smoke=False)
    assert [row["verdict"] for row in rows] == ["does not hold", "does not hold"]
    runs = [{"trained": {"accuracy": 60.0 + i}, "random": {"accuracy": 57.9}} for i in range(3)]
    assert dcgan_probe_cifar10.claims(runs)[0]["verdict"] == "holds"
    runs[0]["random"]["accuracy"] = 58.1
    assert dcgan_probe_cifar10.claims(runs)[0]["verdict"] == "not decided"
