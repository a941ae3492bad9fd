"""Learning without labels: the recipes' figures beside the papers', short runs to their exports, exact resume."""

import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns import resnet_cifar
from keras_cnns.__main__ import main as command
from keras_cnns.data import digits
from keras_cnns.training import Checkpoints
from reproductions import representation, run, runner
from tests.reproductions.declared import CIFAR, IMAGENET, declared
from tests.reproductions.test_resume import epochs, final_state


def small_network(side):
    """A classifier that stands in for a ResNet."""
    image = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(8, 8, strides=8, use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)), name="small")


def small_encoder(*arguments):
    classifier = small_network(32)
    return keras.Model(classifier.input, classifier.layers[-1].input, name="small_encoder")


@pytest.fixture
def script(monkeypatch):
    """A function that gives a script with a small network in the place of its own."""

    def of(name):
        module = importlib.import_module(f"reproductions.{name}")
        monkeypatch.setattr(module, "resnet50", lambda stride_in: small_network(224), raising=False)
        monkeypatch.setattr(module, "encoder_for_32", small_encoder, raising=False)
        monkeypatch.setattr(module, "DEPTH", 8, raising=False)
        return module

    return of


def test_of_fewer_than_200_photographs_all_vote():
    as_floats = lambda images: images.map(lambda pixels, keys: tf.cast(pixels, tf.float32))
    memory, test = as_floats(digits("train").take(40)), as_floats(digits("test").take(20))
    image = keras.Input(memory.arrays[0].shape[1:])
    encoder = keras.Model(image, keras.layers.Flatten()(image))
    unit = lambda images: (flat := images.reshape(len(images), -1)) / np.linalg.norm(flat, axis=1, keepdims=True)
    (known, labels), (asked, wanted) = ((each.arrays[0].astype("float64"), each.arrays[1]) for each in (memory, test))
    named = (np.exp(unit(asked) @ unit(known).T / 0.07) @ np.eye(10)[labels]).argmax(axis=1)
    figures = representation.knn_test(memory)(encoder, test.batches(20))
    assert figures == {"knn_accuracy": pytest.approx(100 * np.mean(named == wanted)), "images": 20}
    assert figures["knn_accuracy"] > 30  # by chance 10


# SimCLR: 0.3 * 4096 / 256 = 4.8 after 10 of 1,000 epochs of 1,281,167 // 4096 = 312 steps; on CIFAR-10, epochs of
# 50,000 // 1024 = 48 steps, 1.0 * 1024 / 256 = 4. MoCo: 1,281,167 // 256 = 5,004 steps, 200 epochs, a tenth after 120
# and 160; its demonstration: 50,000 // 512 = 97 steps, 0.06, a cosine. A cosine has half of its rate half way.
RECIPES = {
    "simclr_imagenet": (IMAGENET, 4096, 312_000, {0: 0, 1_560: 2.4, 3_120: 4.8, 157_560: 2.4}, 1e-6, 69.3),
    "simclr_cifar10": (CIFAR, 1024, 48_000, {0: 0, 480: 4.0, 24_240: 2.0}, 1e-6, 94.0),
    "simclr_cifar10 --depth 18": (CIFAR, 512, 97_000, {970: 2.0, 48_985: 1.0}, 1e-6, 91.0),
    "moco_imagenet": (IMAGENET, 256, 1_000_800, {0: 0.03, 600_479: 0.03, 600_480: 3e-3, 800_640: 3e-4}, 1e-4, 60.6),
    "moco_cifar10": (CIFAR, 512, 19_400, {0: 0.06, 9_700: 0.03}, 5e-4, 82.6),
}


@pytest.mark.slow
@pytest.mark.parametrize("words", RECIPES)
def test_the_training_is_the_papers(words, script, monkeypatch, tmp_path):
    name, *flags = words.split()
    images, batch_size, steps, rates, l2, figure = RECIPES[words]
    script(name)
    recipe = declared(name, flags, images, monkeypatch, tmp_path)
    assert (recipe.batch_size, recipe.steps, recipe.optimizer.l2) == (batch_size, steps, l2)
    assert recipe.optimizer.momentum == 0.9
    for step, rate in rates.items():
        assert float(recipe.optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-4, abs=1e-9), step
    (claim,) = recipe.claims
    assert claim.paper == figure and claim.at_least == pytest.approx(figure - 0.5) and claim.id in ("P2", "P3")
    model = recipe.model
    if name.startswith("simclr"):
        assert recipe.optimizer.excluded == ("bias", "gamma", "beta")
        assert model.temperature == (0.1 if name.endswith("imagenet") else 0.5)
    else:
        queue, momentum, temperature = (65_536, 0.999, 0.07) if name.endswith("imagenet") else (4_096, 0.99, 0.1)
        assert (model.queue.shape, model.momentum, model.temperature) == ((queue, 128), momentum, temperature)
        assert model.groups == 8  # as many as the paper's GPUs
    # What is tested is what the exported encoder sees of a photograph, and views have its kind of values.
    pixels = digits("test", channels=3).arrays[0][:1]
    tested = next(iter(recipe.test.take(1).batches(1)))[0]
    np.testing.assert_allclose(
        recipe.preprocessing(pixels), tested, atol=0.51 * np.max(np.abs(recipe.preprocessing.scale))
    )
    views = next(iter(recipe.train.take(2).batches(2)))[0]
    assert views.shape == (2, 2, *tested.shape[1:])
    assert abs(float(tf.reduce_min(views)) - float(tf.reduce_min(tested))) < 0.3


def test_the_encoder_for_small_images_has_a_small_first_layer():
    """ResNet-50's 23,561,152 without its classifier, with 3x3x3x64 = 1,728 weights in place of 7x7x3x64 = 9,408."""
    encoder = representation.encoder_for_32(50)
    assert encoder.count_params() == 23_561_152 - 9_408 + 1_728
    assert encoder.output_shape == (None, 2048) and encoder.get_layer("res5c_relu").output.shape[1:] == (4, 4, 2048)
    with pytest.raises(ValueError, match="--depth is 34"):
        representation.encoder_for_32(34)


def test_groups_are_of_as_many_images():
    assert [representation.groups_of(size, 32) for size in (256, 32, 16)] == [8, 1, 1]
    with pytest.raises(ValueError, match="part of a batch is 100 images; groups of 64 must divide it"):
        representation.groups_of(100, 64)


@pytest.mark.slow
def test_a_short_run_ends_with_an_encoder(script, tmp_path, monkeypatch, capsys):
    """The record, the SavedModel from uint8 images to features, and the command that embeds a folder."""
    monkeypatch.setattr(representation, "SMOKE_MEMORY", 200)
    monkeypatch.setattr(run, "SMOKE_TESTS", 20)
    out = tmp_path / "run"
    assert runner.main(script("moco_cifar10").recipe, ["--smoke", "--steps", "2", "--out", str(out)]) == 0
    record = json.loads((out / "record.json").read_text())
    (row,) = record["epochs"]
    assert np.isfinite(row["loss"]) and 0 <= row["test_knn_accuracy"] <= 100
    assert record["curve"] == "knn_accuracy" and record["claims"][0]["verdict"] == "not decided (smoke run)"
    assert record["data"]["labels"] == [] and (out / "curves.png").stat().st_size > 0
    encoder = keras.models.load_model(out / "model.keras")
    saved = tf.saved_model.load(str(out / "saved_model"))
    photo = digits("test", channels=3).arrays[0][:1]
    features = saved.signatures["serving_default"](images=tf.constant(photo))["features"]
    preprocessing = keras.saving.deserialize_keras_object(json.loads((out / "preprocessing.json").read_text()))
    np.testing.assert_allclose(features, encoder(preprocessing(photo)), atol=1e-4)
    assert command(["embed", str(out), str(out / "test_images"), "--out", str(tmp_path / "embed")]) == 0
    assert np.load(tmp_path / "embed/features.npy").shape == (10, 8)


@pytest.mark.slow
def test_stopped_and_resumed_it_ends_with_the_same_bits(script, tmp_path, monkeypatch):
    recipe = script("pretraining_cifar10").recipe
    monkeypatch.setattr(representation, "SMOKE_MEMORY", 200)
    monkeypatch.setattr(run, "SMOKE_TESTS", 10)
    flags = ["--smoke", "--method", "moco", "--steps", "6", "--batch-size", "8", "--checkpoint-steps", "2", "--out"]
    assert runner.main(recipe, [*flags, str(tmp_path / "whole")]) == 0
    save = Checkpoints.save

    def save_and_die(checkpoints, step, notes):
        save(checkpoints, step, notes)
        if step == 4:
            raise SystemExit(137)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Checkpoints, "save", save_and_die)
        runner.main(recipe, [*flags, str(tmp_path / "parts")])
    assert runner.main(recipe, [*flags, str(tmp_path / "parts"), "--resume"]) == 0
    whole, parts = (final_state(tmp_path / name, 6) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and len(whole) > 40
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)
    assert epochs(tmp_path / "whole") == epochs(tmp_path / "parts")


@pytest.mark.slow
def test_the_other_ways_to_teach_end_and_random_weights_stay(script, tmp_path, monkeypatch):
    recipe = script("pretraining_cifar10").recipe
    monkeypatch.setattr(representation, "SMOKE_MEMORY", 200)
    monkeypatch.setattr(run, "SMOKE_TESTS", 10)
    kernels = {}
    for method in ("random", "rotation", "supervised"):
        out = tmp_path / method
        flags = ["--smoke", "--method", method, "--steps", "2", "--batch-size", "8", "--out", str(out)]
        assert runner.main(recipe, flags) == 0
        encoder = keras.models.load_model(out / "model.keras")
        assert encoder.output_shape == (None, 64)
        kernels[method] = encoder.get_layer("conv0").kernel.numpy()
    keras.utils.set_random_seed(0)
    first = resnet_cifar(8).get_layer("conv0").kernel.numpy()
    changed = {method: bool((kernel != first).any()) for method, kernel in kernels.items()}
    assert changed == {"random": False, "rotation": True, "supervised": True}


@pytest.mark.slow
def test_a_step_that_cannot_be_accumulated_is_told(script, tmp_path, capsys):
    flags = ["--smoke", "--accumulate", "2", "--out", str(tmp_path)]
    assert runner.main(script("simclr_cifar10").recipe, flags) == 2
    assert "simclr has a train_step of its own" in capsys.readouterr().err
