"""A run with an auxiliary head, averaged weights and final tests: what is recorded, saved, and brought back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digits
from keras_cnns.evaluation import classification_errors
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD, Checkpoints
from reproductions import runner
from reproductions.recipe import Claim, Recipe

pytestmark = pytest.mark.slow


def recipe(run):
    """A figure of the digits, and a middle layer that learns the same; weights averaged over about four steps."""
    train, test = digits("train").take(192), digits("test").take(50)
    image = keras.Input((32, 32, 1), name="image")
    x = keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="conv")(image)
    x = keras.layers.Flatten(name="flatten")(x)
    middle = keras.layers.Dense(10, name="middle")(keras.layers.Dropout(0.5, name="drop")(x))
    logits = keras.layers.Dense(10, name="logits")(keras.layers.Dense(16, activation="relu", name="fc")(x))
    return Recipe(
        model=keras.Model(image, [logits, middle], name="two_heads"),
        train=train.map(lambda images, keys: tf.cast(images, tf.float32) / 255.0),
        test=test.map(lambda images, keys: tf.cast(images, tf.float32) / 255.0),
        final_tests={"again": lambda model: classification_errors(model, test.batches(25))},
        batch_size=64,
        steps=run.steps(6, 3),
        optimizer=SGD(0.05, use_ema=True, ema_momentum=0.75),
        preprocessing=Preprocessing(32, scale=1 / 255),
        claims=[Claim("test error, %", "again_top1_error", paper=10.0, at_most=100.0)],
        loss_weights=[1.0, 0.3],
    )


def variables(folder):
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / "step-6"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("v")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert runner.main(recipe, ["--out", str(out)]) == 0
    return out


def test_the_record_tells_the_classifiers_figures(whole):
    record = json.loads((whole / "record.json").read_text())
    first, last = record["epochs"]
    assert 0 <= last["accuracy"] <= 1 and last["loss"] < first["loss"] and "logits_loss" not in last
    assert {"middle_loss", "test_loss", "test_top1_error"} <= last.keys()
    assert record["final_tests"]["again"]["images"] == 50
    assert record["claims"][0]["ours"] == record["final_tests"]["again"]["top1_error"]


def test_the_averages_without_the_head_are_saved(whole):
    model = keras.models.load_model(whole / "model.keras", compile=False)
    assert [layer.name for layer in model.layers] == ["image", "conv", "flatten", "fc", "logits"]
    saved = [*variables(whole).values()]
    for weight in model.get_weights():  # each is in the checkpoint, as an average: the weight itself is another
        same_shape = [value for value in saved if value.shape == weight.shape]
        assert sum(np.array_equal(value, weight) for value in same_shape) == 1 and len(same_shape) >= 3
    first = next(iter(recipe(runner.Run("", *runner.parse(recipe, "", []))).test.batches(50)))[0]
    exported = tf.saved_model.load(str(whole / "saved_model")).signatures["serving_default"]
    probabilities = exported(tf.constant(digits("test").arrays[0][:50]))["probabilities"]
    np.testing.assert_allclose(probabilities, tf.nn.softmax(model(first)), atol=1e-5)


@pytest.mark.slow
def test_an_interrupted_run_ends_where_the_whole_one_does(whole, tmp_path, monkeypatch):
    save = Checkpoints.save

    def save_and_stop(checkpoints, step, notes):
        save(checkpoints, step, notes)
        raise KeyboardInterrupt

    arguments = ["--out", str(tmp_path), "--checkpoint-steps", "2", "--resume"]
    for _ in range(2):  # stopped after steps 2 and 3
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoints, "save", save_and_stop)
            assert runner.main(recipe, arguments) == 130
    assert runner.main(recipe, arguments) == 0
    ours, theirs = variables(tmp_path), variables(whole)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    rows = [json.loads((folder / "record.json").read_text())["epochs"] for folder in (tmp_path, whole)]
    for one, other in zip(*rows, strict=True):
        assert {**one, "seconds": 0, "steps": 0} == {**other, "seconds": 0, "steps": 0}
