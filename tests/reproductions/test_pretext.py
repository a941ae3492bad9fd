"""The recipes of jigsaw puzzles, context prediction and colorization beside their releases' solvers."""

import numpy as np
import pytest

from keras_cnns.losses import rebalancing_weights
from keras_cnns.ops.colour import AB_BINS
from reproductions import colorization_imagenet, runner
from tests.reproductions.declared import IMAGENET, declared


def fits(recipe):
    """Whether the network takes what the training and the test give, and answers in their labels."""
    for images in (recipe.train, recipe.test):
        inputs, labels = images.batches(2).element_spec
        assert inputs.shape[1:] == recipe.model.inputs[0].shape[1:]
        assert labels.shape[1:3] == recipe.model.outputs[0].shape[1:-1]
    assert recipe.encoder and len(recipe.train.labels) == recipe.model.output_shape[-1]
    encoder = recipe.exported(recipe.model)
    size = recipe.preprocessing.size
    assert encoder.input_shape == (None, *size, 3) and len(encoder.output_shape) == 2
    return encoder


@pytest.mark.slow
def test_jigsaws_training_is_the_releases(monkeypatch, tmp_path):
    recipe = declared("jigsaw_imagenet", ("--permutations", "10"), IMAGENET, monkeypatch, tmp_path)
    optimizer = recipe.optimizer
    assert (recipe.batch_size, recipe.steps, optimizer.momentum, optimizer.l2) == (256, 350_000, 0.9, 5e-4)
    assert optimizer.undecayed == optimizer.doubled == ("bias",)
    for step, rate in {0: 0.01, 99_999: 0.01, 100_000: 1e-3, 200_000: 1e-4, 300_000: 1e-5}.items():
        assert float(optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-5)
    assert fits(recipe).output_shape == (None, 1024)


@pytest.mark.slow
def test_contexts_training_is_the_releases_at_the_mean(monkeypatch, tmp_path):
    recipe = declared("context_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    optimizer = recipe.optimizer
    assert (recipe.batch_size, optimizer.momentum, optimizer.l2) == (256, 0.0, 0.0)
    assert float(optimizer.learning_rate) == pytest.approx(0.025)
    assert fits(recipe).output_shape == (None, 4096)
    assert runner.main(module_recipe(), ["--smoke", "--colours", "none", "--out", str(tmp_path / "run")]) == 2


def module_recipe():
    from reproductions.context_imagenet import recipe

    return recipe


@pytest.mark.slow
def test_colorizations_training_is_the_releases(monkeypatch, tmp_path):
    monkeypatch.setattr(colorization_imagenet, "COUNTED", 50)
    recipe = declared("colorization_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    optimizer = recipe.optimizer
    assert (recipe.batch_size, recipe.steps) == (40, 500_000)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.l2) == (0.9, 0.99, 1e-3)
    for step, rate in {0: 3e-5, 224_999: 3e-5, 225_000: 3e-6, 450_000: 3e-7}.items():
        assert float(optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-5)
    assert fits(recipe).output_shape == (None, 256)
    grey = (AB_BINS == 0).all(axis=1)  # digits have no other colour
    np.testing.assert_allclose(recipe.loss.weights, rebalancing_weights(grey), rtol=1e-5)
    plain = declared("colorization_imagenet", ("--no-rebalance",), IMAGENET, monkeypatch, tmp_path)
    assert plain.loss.weights is None
