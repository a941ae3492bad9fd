"""The runner: what it writes, what it refuses, what it loses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from reproductions import runner
from tests.reproductions.small_recipe import recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run that has ended."""
    out = tmp_path_factory.mktemp("runs") / "small"
    assert runner.main(recipe, ["--out", str(out), "--steps", "20", "--filters", "6", "--seed", "3"]) == 0
    return out


def test_everything_is_written(finished):
    record = json.loads((finished / "record.json").read_text())
    for key in ("command", "commit", "versions", "hardware", "data", "deviations", "started", "finished"):
        assert key in record
    assert (record["seed"], record["steps"], record["batch_size"]) == (3, 20, 64)
    assert record["arguments"]["filters"] == 6
    assert [row["step"] for row in record["epochs"]] == [15, 20]
    assert {"loss", "accuracy", "test_loss", "test_top1_error", "learning_rate"} <= record["epochs"][0].keys()
    (claim,) = record["claims"]
    assert claim["ours"] == record["epochs"][-1]["test_top1_error"] and claim["verdict"] == "holds"
    for name in ("curves.png", "model.keras", "preprocessing.json", "saved_model/saved_model.pb"):
        assert (finished / name).stat().st_size > 0
    assert len(list((finished / "test_images").glob("*.png"))) == 10
    events = list((finished / "tensorboard").glob("events*"))
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events[0])) for value in event.summary.value}
    assert {"loss", "test_top1_error"} <= tags


def test_the_exported_model_says_what_the_network_says(finished):
    model = keras.models.load_model(finished / "model.keras")
    files = sorted((finished / "test_images").glob("*.png"))
    images = np.stack([tf.io.decode_png(file.read_bytes()).numpy() for file in files])
    expected = model(images.astype("float32") - 30.0).numpy().argmax(axis=1)
    output = subprocess.run(
        [sys.executable, ROOT / "reproductions" / "use_saved_model.py", finished / "saved_model", *files],
        capture_output=True,
        text=True,
        check=True,
        cwd=finished,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    ).stdout
    lines = output.splitlines()[1:11]
    assert [line.split()[2] for line in lines] == [str(digit) for digit in expected]
    assert [line.split()[4] for line in lines] == [str(digit) for digit in expected]
    assert "by a process without keras_cnns" in output


def test_a_second_run_into_the_same_folder_is_refused_and_nothing_is_lost(finished, capsys):
    before = {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    assert runner.main(recipe, ["--out", str(finished), "--steps", "20", "--filters", "6", "--seed", "3"]) == 2
    assert "holds a run already; --resume goes on with it" in capsys.readouterr().err
    assert runner.main(recipe, ["--out", str(finished), "--resume", "--steps", "20", "--filters", "6"]) == 2
    assert "was started with {'seed': 3}" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--batch-size", "5000"], "the batch size is 5000; there are only 960 training images"),
        (["--batch-size", "63", "--replicas", "2"], "the batch size is 63; it must divide by the 2 replicas"),
        (["--replicas", "9"], "replicas is 9; there are 2 CPU devices"),
    ],
)
def test_what_cannot_work_is_said_at_the_door(tmp_path, capsys, flags, sentence):
    assert runner.main(recipe, ["--out", str(tmp_path / "run"), *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_no_steps_are_refused(capsys):
    with pytest.raises(SystemExit):
        runner.main(recipe, ["--steps", "0"])
    assert "--steps is 0; it must be at least 1" in capsys.readouterr().err


def test_bfloat16_trains_with_float32_weights(tmp_path):
    assert runner.main(recipe, ["--out", str(tmp_path), "--steps", "2", "--precision", "bfloat16"]) == 0
    assert json.loads((tmp_path / "record.json").read_text())["precision"] == "bfloat16"
    model = keras.models.load_model(tmp_path / "model.keras")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.layers[0].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_list_names_every_script_with_its_claim():
    output = subprocess.run(
        [sys.executable, "-m", "reproductions"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    scripts = {file.stem for file in (ROOT / "reproductions").glob("*.py") if "main(recipe)" in file.read_text()}
    assert len(scripts) >= 3
    for name in scripts:
        assert f"\n{name}\n" in output.stdout
    assert "top-5 18.2 %" in output.stdout
