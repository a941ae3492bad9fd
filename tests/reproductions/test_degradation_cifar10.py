"""What is measured of plain and residual networks, what it decides, and its pictures."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_cnns import resnet_cifar
from keras_cnns.classification.resnet_cifar import preprocessing
from keras_cnns.layers import BatchNormalization
from reproductions import degradation_cifar10, density_cifar10, study
from reproductions.degradation_cifar10 import CLAIMS, TRAININGS, responses


@pytest.mark.slow
@pytest.mark.parametrize("residual", [True, False])
def test_responses_are_those_between_normalisation_and_what_follows(residual, tmp_path, monkeypatch):
    """A layer's falls to 0 with its gamma, beside a shortcut it alone: it is taken before that is added."""
    model = resnet_cifar(8, "A", residual, (32, 32, 3), classes=10)
    network = tmp_path / "model.keras"
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    assert len(norms) == 7  # of the first convolution and of three blocks of two
    for silent in (2, 4, 6):  # the last of each block
        for number, layer in enumerate(norms):
            layer.gamma.assign(np.full(layer.gamma.shape, float(number != silent)))
        model.save(network)
        ready = keras.models.load_model(network, compile=False), preprocessing(np.zeros((32, 32, 3), "float32")), None
        monkeypatch.setattr(degradation_cifar10, "load_source", lambda folder, ready=ready: ready)
        found = responses(tmp_path, SimpleNamespace(smoke=True, data_dir=None))["responses"]
        assert [each > 0 for each in found] == [
            number < silent or (residual and number > silent) for number in range(len(norms))
        ]


def made_up(errors, levels):
    """Runs of two epochs: the training error, the test error 5 above it, and responses around a level."""
    return [
        {
            "name": name,
            "seed": seed,
            "smoke": False,
            "model": {"parameters": 7},
            "epochs": [
                {"step": step, "training_error": error + more, "test_error": error + 5 + more}
                for step, more in ((390, 40), (780, 0))
            ],
            "measured": {"responses": [levels[name] - 0.1, levels[name] + 0.1]},
        }
        for name, error in errors.items()
        for seed in range(3)
    ]


ERRORS = {"plain-20": 20.0, "plain-56": 25.0, "ResNet-20": 19.0, "ResNet-56": 19.5}
LEVELS = {"plain-20": 0.9, "plain-56": 0.8, "ResNet-20": 0.7, "ResNet-56": 0.69}


def test_the_rules_decide_what_the_paper_says_of_depth():
    assert list(TRAININGS) == list(ERRORS)
    rows = [claim.decide(made_up(ERRORS, LEVELS)) for claim in CLAIMS]
    assert [(row["id"], row["ours"].split(" ")[0], row["verdict"]) for row in rows] == [
        ("R1", "+5.00", "holds"),
        ("R1", "+5.00", "holds"),
        ("R1", "+5.50", "holds"),
        ("R1", "-0.50", "holds"),  # within a point no worse
        ("R1", "-0.50", "holds"),
        ("R5", "+0.200", "holds"),
        ("R5", "+0.110", "holds"),
        ("R5", "+0.010", "does not hold"),  # as good as equal
    ]
    worse = [claim.decide(made_up(ERRORS | {"ResNet-56": 20.5}, LEVELS)) for claim in CLAIMS]
    assert [row["verdict"] for row in worse[3:5]] == ["does not hold"] * 2


@pytest.mark.parametrize("script", [degradation_cifar10, density_cifar10])
def test_the_pictures_can_be_drawn_from_what_a_study_keeps(script, tmp_path):
    errors = ERRORS if script is degradation_cifar10 else {"ResNet-56": 19.5, "DenseNet-40": 18.0}
    levels = LEVELS | {"DenseNet-40": 0.5}
    script.draw({"runs": made_up(errors, levels)}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_dense_layers_are_asked_for_half_a_point():
    runs = made_up({"ResNet-56": 19.5, "DenseNet-40": 18.9}, {"ResNet-56": 1, "DenseNet-40": 1})
    (claim,) = density_cifar10.CLAIMS
    row = claim.decide(runs)
    assert (row["id"], row["verdict"], row["paper"]) == ("D1", "holds", "1.73, of 6.97 and 5.24")
    assert claim.decide(study.of(runs, "ResNet-56")[:1] + study.of(runs, "DenseNet-40")[:1])["verdict"] == (
        "not decided (too few seeds)"
    )
