"""Every script: its flags, and its recipe's figures beside the paper's section on training."""

import functools
import inspect
import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

import keras_cnns
import reproductions
from keras_cnns import vgg
from reproductions import run, runner
from tests.reproductions.declared import CIFAR, IMAGENET, declared, digits, module, stand_in

SCRIPTS = sorted(file.stem for file in Path(reproductions.__file__).parent.glob("*_*.py"))


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
    Training(
        *("rotnet_cifar10", (), CIFAR, 128, 200 * 390, 0.9, True, 5e-4, set()),
        {0: 0.1, 60 * 390 - 1: 0.1, 60 * 390: 0.02, 120 * 390: 4e-3, 160 * 390 - 1: 4e-3, 160 * 390: 8e-4},
    ),
]


@pytest.mark.slow
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
    centre = tested[:, 4] if len(tested.shape) == 5 else tested[:1]  # of ten crops, of four rotations
    np.testing.assert_allclose(prepared, centre, atol=0.51 * np.max(recipe.preprocessing.scale))


# Flags: the metrics of the claims and their figures in the papers: AlexNet in Zeiler & Fergus' Table 2 (and ZFNet),
# VGG's Tables 3 and 4, GoogLeNet's Table 3, ResNet's Tables 2 to 4 and 6, DenseNet's Tables 2 and 3 (161: its readme).
CLAIMS = {
    "alexnet_imagenet": {"": {"": (40.7, 18.2)}, "--no-two-towers": {}},
    "zfnet_imagenet": {"": {"": (38.4, 16.5)}},
    "googlenet_imagenet": {"": {"top5_error": 10.07, "10_crops_top5_error": 9.15, "144_crops_top5_error": 7.89}},
    "vgg_imagenet": {
        "--configuration A": {"single_scale_": (29.6, 10.4)},
        "--configuration A-LRN": {"single_scale_": (29.7, 10.5)},
        "--configuration B": {"single_scale_": (28.7, 9.9)},
        "--configuration C": {"single_scale_": (28.1, 9.4)},
        "--configuration C --scale 384": {"single_scale_": (28.1, 9.3)},
        "--configuration C --scale 256-512": {"single_scale_": (27.3, 8.8)},
        "": {"single_scale_": (27.0, 8.8)},
        "--scale 384": {"single_scale_": (26.8, 8.7)},
        "--scale 256-512": {"single_scale_": (25.6, 8.1), "multi_scale_": (24.8, 7.5)},
        "--configuration E": {"single_scale_": (27.3, 9.0)},
        "--configuration E --scale 384": {"single_scale_": (26.9, 8.7)},
        "--configuration E --scale 256-512": {"single_scale_": (25.5, 8.0), "multi_scale_": (24.8, 7.5)},
        "--configuration B --scale 384": {},
    },
    "resnet_imagenet": {
        "--depth 18 --no-residual": {"ten_crop_": (27.94,)},
        "--depth 18 --shortcut A": {"ten_crop_": (27.88,)},
        "--depth 18": {},
        "--depth 34 --no-residual": {"ten_crop_": (28.54, 10.02)},
        "--depth 34 --shortcut A": {"ten_crop_": (25.03, 7.76)},
        "--depth 34 --multi-scale": {"ten_crop_": (24.52, 7.46), "multi_scale_": (21.84, 5.71)},
        "--depth 34 --shortcut C --multi-scale": {"ten_crop_": (24.19, 7.40), "multi_scale_": (21.53, 5.60)},
        "": {"ten_crop_": (22.85, 6.71)},
        "--multi-scale": {"ten_crop_": (22.85, 6.71), "multi_scale_": (20.74, 5.25)},
        "--depth 101 --multi-scale": {"ten_crop_": (21.75, 6.05), "multi_scale_": (19.87, 4.60)},
        "--depth 152 --multi-scale": {"ten_crop_": (21.43, 5.71), "multi_scale_": (19.38, 4.49)},
    },
    "densenet_imagenet": {
        "": {"": (25.02, 7.71), "ten_crop_": (23.61, 6.66)},
        "--depth 161": {"": (22.2,)},
        "--depth 169": {"": (23.80, 6.85), "ten_crop_": (22.08, 5.92)},
        "--depth 201": {"": (22.58, 6.34), "ten_crop_": (21.46, 5.54)},
        "--depth 264": {"": (22.15, 6.12), "ten_crop_": (20.80, 5.29)},
    },
    "densenet_cifar10": {
        "": {"": (5.24,)},
        "--no-augment": {"": (7.00,)},
        "--depth 100": {"": (4.10,)},
        "--depth 100 --no-augment": {"": (5.77,)},
        "--depth 100 --growth-rate 24": {"": (3.74,)},
        "--depth 100 --growth-rate 24 --no-augment": {"": (5.83,)},
        "--depth 100 --bottleneck": {"": (4.51,)},
        "--depth 100 --bottleneck --no-augment": {"": (5.92,)},
        "--depth 250 --growth-rate 24 --bottleneck": {"": (3.62,)},
        "--depth 250 --growth-rate 24 --bottleneck --no-augment": {"": (5.19,)},
        "--depth 190 --growth-rate 40 --bottleneck": {"": (3.46,)},
        "--depth 190 --growth-rate 40 --bottleneck --no-augment": {},
    },
    "resnet_cifar10": {
        **{
            f"--depth {depth}": {"": (error,)}
            for depth, error in ((20, 8.75), (32, 7.51), (44, 7.17), (56, 6.97), (110, 6.43), (1202, 7.93))
        },
        "--no-residual": {},
        "--shortcut B": {},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("script", CLAIMS)
def test_the_claims_are_the_papers_figures(script, monkeypatch, tmp_path):
    stand_in(script, monkeypatch)
    for flags, figures in CLAIMS[script].items():
        recipe = declared(script, flags.split(), CIFAR, monkeypatch, tmp_path)
        expected = {}
        for test, printed in figures.items():
            names = [f"{test}top{k}_error" for k in (1, 5)] if isinstance(printed, tuple) else [test]
            expected |= dict(zip(names, np.atleast_1d(printed), strict=False))
        assert {claim.metric: claim.paper for claim in recipe.claims} == expected, flags
        for claim in recipe.claims:
            assert ("top-5" in claim.statement) == claim.metric.endswith("top5_error")
            assert claim.at_most == pytest.approx(claim.paper + 0.5)


@pytest.mark.slow
def test_vggs_record_says_how_it_began(monkeypatch, tmp_path):
    def said(*flags, earlier=None):
        with monkeypatch.context() as patch:
            stand_in("vgg_imagenet", patch)
            patch.setattr(module("vgg_imagenet"), "take_over", lambda model, folder: earlier == "the same")
            recipe = declared(
                "vgg_imagenet", (*flags, *(("--initial", "run") if earlier else ())), 512, patch, tmp_path
            )
        assert any("Glorot" in each for each in recipe.deviations)
        text = "; ".join(recipe.deviations)
        words = ("not initialised from configuration A", "not begun with", "paper prints none", "scaled by the batch")
        return [word in text for word in words], float(recipe.optimizer._learning_rate(0))

    for flags, earlier, expected, rate in (
        (("--configuration", "A"), None, [False] * 4, 1e-2),
        (("--configuration", "A-LRN"), None, [False] * 4, 1e-2),
        ((), None, [True, False, False, False], 1e-2),
        ((), "A", [False] * 4, 1e-2),
        (("--scale", "384"), "A", [False, True, False, False], 1e-2),
        (("--scale", "384"), "the same", [False] * 4, 1e-3),
        (("--scale", "256-512"), "the same", [False, False, True, False], 1e-2),
        (("--configuration", "A", "--batch-size", "64"), None, [False, False, False, True], 2.5e-3),
    ):
        begun, first = said(*flags, earlier=earlier)
        assert begun == expected and first == pytest.approx(rate), (flags, earlier)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 100_000])
def test_googlenets_average_is_of_a_quarter_of_the_steps_up_to_10_000(steps, monkeypatch, tmp_path):
    stand_in("googlenet_imagenet", monkeypatch)
    recipe = declared("googlenet_imagenet", ("--steps", str(steps)), IMAGENET, monkeypatch, tmp_path)
    expected = {1: 0.0, 2: 0.0, 3: 0.0, 8: 0.5, 100_000: 0.9999}[steps]
    assert recipe.optimizer.ema_momentum == pytest.approx(expected)


@pytest.mark.slow
def test_a_smoke_run_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "SMOKE_TESTS", 10)
    monkeypatch.setattr(run, "SMOKE_FINAL_TESTS", 1)
    shallow = lambda depth, *arguments, **named: keras_cnns.densenet_cifar(10, *arguments, **named)
    monkeypatch.setattr(module("densenet_cifar10"), "densenet_cifar", shallow)
    flags = ["--smoke", "--steps", "2", "--batch-size", "2", "--out", str(tmp_path)]
    recipe = module("densenet_cifar10").recipe
    assert runner.main(recipe, flags) in (0, 1)
    record = json.loads((tmp_path / "record.json").read_text())
    assert "finished" in record and (tmp_path / "saved_model" / "saved_model.pb").exists()
    assert {claim["verdict"] for claim in record["claims"]} <= {"not decided (smoke run)"}


@pytest.mark.slow
def test_zfnets_filters_are_limited_and_googlenets_heads_weigh_as_printed(monkeypatch, tmp_path):
    network = declared("googlenet_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    assert network.loss_weights == [1.0, 0.3, 0.3] and len(network.model.outputs) == 3
    assert network.optimizer.use_ema and network.optimizer.ema_momentum == pytest.approx(0.9999)
    assert set(network.final_tests) == {"10_crops", "144_crops"}
    network = declared("zfnet_imagenet", (), IMAGENET, monkeypatch, tmp_path)
    limits = {layer.name: layer.kernel.constraint for layer in network.model.layers if layer.weights}
    assert {name for name, limit in limits.items() if limit} == {"conv1", "conv2", "conv3", "conv4", "conv5"}
    assert limits["conv1"].radius == 0.1


@pytest.mark.slow
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
    small = functools.partial(vgg, input_shape=(32, 32, 3))  # fc6 has 512 inputs in place of 25,088
    monkeypatch.setattr(module("vgg_imagenet"), "vgg", small)
    first = small("A", classes=10)
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
        ("resnet_imagenet", ["--depth", "18", "--no-residual", "--shortcut", "A"], "--shortcut is 'A'"),
        ("densenet_imagenet", ["--depth", "40"], "--depth is 40"),
        ("vgg_imagenet", ["--scale", "300"], "--scale is '300'"),
    ):
        assert runner.main(module(script).recipe, ["--smoke", "--out", str(tmp_path / script), *flags]) == 2
        assert message in capsys.readouterr().err
