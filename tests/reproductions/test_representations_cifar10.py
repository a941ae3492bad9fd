"""The study of representations: its rule by hand, and what it measures of an encoder, once."""

import json
import shutil
from types import SimpleNamespace

import keras
import pytest
from PIL import Image

from keras_cnns.data import digits
from keras_cnns.layers import Preprocessing
from reproductions import report
from reproductions import representations_cifar10 as study
from reproductions.pretraining_cifar10 import METHODS


def runs(smoke=False, **probes):
    """Of each name the accuracies of its linear probes."""
    measured = {name: {"probe": values, "knn": values[:1], "fine_tuned": []} for name, values in probes.items()}
    return [
        {
            "name": name,
            "seed": 0,
            "smoke": smoke,
            "steps": 100,
            "batch_size": 64,
            "epochs": [{"step": 50, "knn_accuracy": 30.0}, {"step": 100, "knn_accuracy": 40.0}],
            "measured": each,
        }
        for name, each in measured.items()
    ]


@pytest.mark.parametrize(
    ("simclr", "rotation", "verdict"),
    [
        ([52.0, 52.5, 52.3], [50.0, 50.4, 50.2], "holds"),  # apart by 2.07, spreads 0.5 and 0.4
        ([52.0, 54.5, 52.0], [50.0, 51.0, 50.5], "does not hold"),  # by 2.33, a spread of 2.5
        ([51.0, 51.1, 51.2], [50.4, 50.3, 50.2], "does not hold"),  # by 0.8, less than a point
        ([50.0, 50.0, 50.0], [52.0, 52.0, 52.0], "does not hold"),
    ],
)
def test_above_is_by_more_than_the_spread(simclr, rotation, verdict):
    claim = study.Above("P2", "simclr", "rotation", "probe")
    row = claim.decide(runs(simclr=simclr, rotation=rotation))
    assert row["verdict"] == verdict and row["statement"] == "SimCLR above rotation: linear probe, %"
    assert claim.decide(runs(True, simclr=simclr, rotation=rotation))["verdict"] == "not decided (smoke run)"


def test_simclr_and_moco_must_beat_random_weights_and_rotation():
    asked = {(claim.id, claim.first, claim.second) for claim in study.CLAIMS if claim.figure == "probe"}
    expected = {("P2", "simclr"), ("P3", "moco")}
    assert asked == {
        ("P1", "rotation", "random"),
        *((*each, other) for each in expected for other in study.WORDS if other in ("random", "rotation")),
    }
    assert {(claim.first, claim.second) for claim in study.CLAIMS if claim.figure == "fine_tuned"} == {
        ("rotation", "random"),
        ("simclr", "random"),
        ("moco", "random"),
    }
    assert set(study.TRAININGS) == set(METHODS) == set(study.WORDS)


def test_the_five_stand_side_by_side_in_the_report(tmp_path):
    record = {
        "script": study.SCRIPT,
        "command": "python -m reproductions.representations_cifar10",
        "commit": None,
        "finished": "2026-11-28T10:00:00+00:00",
        "hardware": {"cores": 2, "processor": "Some"},
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "runs": [each | {"seconds": 60} for each in runs(random=[30.0], simclr=[52.0, 52.5, 52.3])],
        "claims": [],
    }
    report.draw(tmp_path / "study.json", record)
    text = report.experiment(tmp_path / "study.json", record, tmp_path)
    assert "| SimCLR | 100 | 64 | 2 | 52.00 | 52.27 (52.00, 52.50, 52.30) |  |" in text
    assert (tmp_path / "study.png").stat().st_size > 0 and "images/s" not in text


@pytest.mark.slow
def test_an_encoder_is_measured_once(tmp_path, monkeypatch):
    parts = digits("train", channels=3).take(200), digits("test", channels=3).take(60)
    monkeypatch.setattr(study, "images_of", lambda smoke, data_dir: parts)
    monkeypatch.setattr(study, "SHARE", 0.1)
    options = SimpleNamespace(smoke=True, data_dir=None, out=tmp_path)
    folder = tmp_path / "rotation-0-smoke"
    folder.mkdir()
    image = keras.Input((32, 32, 3))
    x = keras.layers.AveragePooling2D(8)(image)
    keras.Model(image, keras.layers.Flatten()(x), name="means").save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(32, scale=1 / 255))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    (folder / "record.json").write_text(json.dumps({"data": {"labels": []}}))
    found = study.measure(folder, options)
    assert [len(found[figure]) for figure in ("knn", "probe", "fine_tuned")] == [1, 3, 3]
    assert all(0 <= value <= 100 for values in found.values() for value in values)
    assert min(found["probe"]) > 30  # means of 8x8 pixels tell digits apart
    kept = json.loads((folder / "measured.json").read_text())
    assert len(kept["neighbours"]) == 6 and len(kept["points"]) == 60

    del kept["probe 1"]  # as if it had been killed there
    (folder / "measured.json").write_text(json.dumps(kept))
    monkeypatch.setattr(study, "fine_tune", None)
    assert study.measure(folder, options) == found

    for name in study.WORDS:
        if name != "rotation":
            shutil.copytree(folder, tmp_path / f"{name}-0-smoke")
    assert study.measure(tmp_path / "supervised-0-smoke", options)["fine_tuned"]
    with Image.open(tmp_path / "representations_cifar10-examples.png") as picture:
        assert picture.width > 1000
