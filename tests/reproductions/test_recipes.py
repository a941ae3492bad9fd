"""Every script: its flags, and its recipe's figures beside the paper's section on training."""

import importlib
import inspect
import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

import reproductions
from keras_cnns import vgg
from keras_cnns.data import Images, digits
from reproductions import runner

SCRIPTS = sorted(file.stem for file in Path(reproductions.__file__).parent.glob("*_*.py"))
IMAGENET, CIFAR = 1_281_167, 50_000  # training images


def module(script):
    return importlib.import_module(f"reproductions.{script}")


@pytest.mark.parametrize("script", [name for name in SCRIPTS if hasattr(module(name), "recipe")])
def test_help_says_the_paper_the_command_and_every_flag(script, capsys):
    recipe = module(script).recipe
    with pytest.raises(SystemExit) as exit:
        runner.main(recipe, ["--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert f"python -m reproductions.{script}" in text and "\nPaper: " in text
    flags = [f"--{name.replace('_', '-')}" for name in list(inspect.signature(recipe).parameters)[1:]]
    assert all(flag in text for flag in ["--smoke", *flags])


class Training(NamedTuple):
    """What a paper's section on training prints, or the source that the recipe names in its place."""

    script: str
    flags: tuple
    images: int  # of the training set
    batch_size: int
    steps: int
    momentum: float
    nesterov: bool
    l2: float
    undecayed: set  # names of variables
    rates: dict  # from a step to the learning rate there


# Steps of an epoch: 1,281,167 // 128 = 10,009, // 256 = 5,004, // 32 = 40,036; 50,000 // 64 = 781, // 128 = 390.
# Where a paper prints no drops, AlexNet's after 25, 51 and 79 of 90 epochs, by its authors' log.
TRAININGS = [
    Training(
        *("alexnet_imagenet", (), IMAGENET, 128, 90 * 10_009, 0.9, False, 5e-4, {"bias"}),
        {
            0: 0.01,
            25 * 10_009 - 1: 0.01,
            25 * 10_009: 1e-3,
            51 * 10_009: 1e-4,
            79 * 10_009 - 1: 1e-4,
            79 * 10_009: 1e-5,
        },
    ),
    Training(
        *("zfnet_imagenet", (), IMAGENET, 128, 70 * 10_009, 0.9, False, 0.0, set()),
        {0: 0.01, 194_619: 1e-3, 397_022: 1e-3, 397_024: 1e-4, 614_996: 1e-4, 614_998: 1e-5},  # 700,630 / 90 an epoch
    ),
    Training(
        *("vgg_imagenet", ("--configuration", "A"), IMAGENET, 256, 370_000, 0.9, False, 5e-4, {"bias"}),
        {0: 0.01, 102_776: 0.01, 102_778: 1e-3, 209_665: 1e-3, 209_667: 1e-4, 324_776: 1e-4, 324_778: 1e-5},
    ),
    Training(
        *("googlenet_imagenet", (), IMAGENET, 32, 250 * 40_036, 0.9, False, 2e-4, {"bias"}),
        {0: 0.01, 8 * 40_036 - 1: 0.01, 8 * 40_036: 0.0096, 16 * 40_036: 0.009216, 250 * 40_036 - 1: 0.01 * 0.96**31},
    ),
    Training(
        *("resnet_imagenet", ("--depth", "18"), IMAGENET, 256, 600_000, 0.9, False, 1e-4, set()),
        {0: 0.1, 149_999: 0.1, 150_000: 0.01, 300_000: 1e-3, 450_000: 1e-4, 599_999: 1e-4},
    ),
    Training(
        *("densenet_imagenet", (), IMAGENET, 256, 90 * 5_004, 0.9, True, 1e-4, set()),
        {0: 0.1, 30 * 5_004 - 1: 0.1, 30 * 5_004: 0.01, 60 * 5_004 - 1: 0.01, 60 * 5_004: 1e-3},
    ),
    Training(
        *("densenet_cifar10", (), CIFAR, 64, 300 * 781, 0.9, True, 1e-4, set()),
        {0: 0.1, 150 * 781 - 1: 0.1, 150 * 781: 0.01, 225 * 781 - 1: 0.01, 225 * 781: 1e-3},
    ),
    Training(
        *("resnet_cifar10", (), CIFAR, 128, 64_000, 0.9, False, 1e-4, set()),
        {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 1e-3},
    ),
    Training(
        *("resnet_cifar10", ("--depth", "110"), CIFAR, 128, 64_000, 0.9, False, 1e-4, set()),
        {0: 0.01, 399: 0.01, 400: 0.1, 31_999: 0.1, 32_000: 0.01, 48_000: 1e-3},
    ),
]


def declared(script, flags, images, monkeypatch, tmp_path):
    """The recipe of a script on a data set of that many images, of which only some digits are there."""

    def data(run, name, side=None, channels=None):
        return digits("train", channels=3), digits("test", channels=3)

    def statistics(run, images):
        shape = images.batches(1).element_spec[0].shape[1:]
        return np.full(shape, 100, "float32"), np.eye(3, dtype="float32") * 3600

    monkeypatch.setattr(Images, "__len__", lambda self: images)
    monkeypatch.setattr(runner.Run, "data", data)
    monkeypatch.setattr(runner.Run, "statistics", statistics)
    recipe = module(script).recipe
    options, parameters = runner.parse(recipe, script, ["--out", str(tmp_path), *flags])
    return recipe(runner.Run(script, options, parameters), **parameters)


@pytest.mark.parametrize("paper", TRAININGS, ids=lambda paper: "-".join([paper.script, *paper.flags[1:]]))
def test_the_training_is_the_papers(paper, monkeypatch, tmp_path):
    recipe = declared(paper.script, paper.flags, paper.images, monkeypatch, tmp_path)
    optimizer = recipe.optimizer
    assert (recipe.batch_size, recipe.steps) == (paper.batch_size, paper.steps)
    assert (optimizer.momentum, optimizer.nesterov, optimizer.l2) == (paper.momentum, paper.nesterov, paper.l2)
    for step, rate in paper.rates.items():
        assert float(optimizer._learning_rate(step)) == pytest.approx(rate, rel=1e-5), step
    variables = recipe.model.trainable_variables
    if optimizer.l2:
        optimizer.build(variables)
        left_out = {
            variable.name for variable, decayed in zip(variables, optimizer._decayed, strict=True) if not decayed
        }
        assert left_out == paper.undecayed

    known = {
        f"{test}{k}"
        for test in ("", *(f"{name}_" for name in recipe.final_tests))
        for k in ("top1_error", "top5_error")
    }
    for claim in recipe.claims:
        assert claim.metric in known and claim.id and claim.paper < claim.at_most <= claim.paper + 0.5
    (images, _), (tests, _) = (each.batches(2).element_spec for each in (recipe.train, recipe.test))
    shape = recipe.model.inputs[0].shape[1:]
    assert images.shape[1:] == shape and tests.shape[-3:] == shape  # the network fits what it is given

    # The exported model prepares a photograph as the test does, but for rounding to whole numbers in between.
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(recipe.preprocessing)))
    prepared = keras.saving.deserialize_keras_object(saved)(digits("test", channels=3).arrays[0][:1])
    tested = next(iter(recipe.test.batches(1)))[0]
    centre = tested[:, 4] if len(tested.shape) == 5 else tested  # of ten crops
    np.testing.assert_allclose(prepared, centre, atol=0.51 * np.max(recipe.preprocessing.scale))


def test_zfnets_filters_are_limited_and_googlenets_heads_weigh_as_printed(monkeypatch, tmp_path):
    network = declared("googlenet_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    assert network.loss_weights == [1.0, 0.3, 0.3] and len(network.model.outputs) == 3
    assert network.optimizer.use_ema and network.optimizer.ema_momentum == pytest.approx(0.9999)
    assert set(network.final_tests) == {"10_crops", "144_crops"}
    network = declared("zfnet_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    limits = {layer.name: layer.kernel.constraint for layer in network.model.layers if layer.weights}
    assert {name for name, limit in limits.items() if limit} == {"conv1", "conv2", "conv3", "conv4", "conv5"}
    assert limits["conv1"].radius == 0.1


def test_densenet_without_augmentation_has_dropout_and_bottlenecks_compress(monkeypatch, tmp_path):
    flags = ("--depth", "100", "--bottleneck", "--no-augment")
    plain = declared("densenet_cifar10", flags, CIFAR, monkeypatch, tmp_path)
    rates = {layer.rate for layer in plain.model.layers if layer.name.startswith("drop")}
    assert rates == {0.2}
    assert plain.model.get_layer("conv1").filters == 24
    images, _ = next(iter(plain.train.batches(3)))
    np.testing.assert_allclose(images, (digits("train", channels=3).arrays[0][:3] - 100.0) / 60.0, rtol=1e-4)
    assert [claim.paper for claim in plain.claims] == [5.92]


@pytest.mark.slow
def test_vgg_starts_from_configuration_a(monkeypatch, tmp_path):
    """Section 3.1: the first four convolutions and the three fully connected layers; here in a run's folder."""
    first = vgg("A", classes=10)
    first.save(tmp_path / "model.keras")
    for name, text in (("record.json", '{"data": {"labels": null}}'), ("preprocessing.json", "null")):
        (tmp_path / name).write_text(text)
    flags = ("--configuration", "B", "--initial", str(tmp_path))
    network = declared("vgg_imagenet", flags, IMAGENET, monkeypatch, tmp_path).model
    same = {
        layer.name
        for layer in network.layers
        if layer.weights
        and layer.name in [each.name for each in first.layers]
        and np.array_equal(layer.get_weights()[0], first.get_layer(layer.name).get_weights()[0])
    }
    assert same == {"conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"}
    again = declared(
        "vgg_imagenet", ("--configuration", "A", "--scale", "384", *flags[2:]), IMAGENET, monkeypatch, tmp_path
    )
    np.testing.assert_array_equal(again.model.get_layer("conv5_2").kernel, first.get_layer("conv5_2").kernel)
    assert float(again.optimizer._learning_rate(0)) == pytest.approx(1e-3)


def test_what_a_script_cannot_do_is_said(tmp_path, capsys):
    for script, flags, message in (
        ("resnet_imagenet", ["--depth", "20"], "--depth is 20"),
        ("resnet_imagenet", ["--depth", "50", "--no-residual"], "--depth is 50; it must be one of 18, 34"),
        ("densenet_imagenet", ["--depth", "40"], "--depth is 40"),
        ("vgg_imagenet", ["--scale", "300"], "--scale is '300'"),
    ):
        assert runner.main(module(script).recipe, ["--smoke", "--out", str(tmp_path / script), *flags]) == 2
        assert message in capsys.readouterr().err
