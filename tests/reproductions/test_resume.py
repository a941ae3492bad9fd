"""A run killed in the middle ends where the undisturbed run ends, to the bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from reproductions import runner
from tests.reproductions.small_recipe import recipe

ROOT = Path(__file__).parents[2]
FLAGS = ["--checkpoint-steps", "4", "--replicas", "2"]
COMMAND = [sys.executable, "-m", "tests.reproductions.small_recipe", *FLAGS]


def final_state(folder, step=40):
    """Everything in the last checkpoint, by name: weights, statistics, momenta, dropout seeds, metrics, step."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"step-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("v")]
    return {name: reader.get_tensor(name) for name in names}


def epochs(folder):
    rows = json.loads((folder / "record.json").read_text())["epochs"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def run(*arguments):
    subprocess.run([*COMMAND, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True)


def kill_after(step, *arguments):
    """Start the run, wait until a checkpoint of at least `step` is there, and kill -9 some way into what follows."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = Path(arguments[arguments.index("--out") + 1], "checkpoints")
    deadline = time.monotonic() + 300
    while not any(int(file.stem.removeprefix("step-")) >= step for file in folder.glob("step-*.index")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run, in this process: it starts once less."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert runner.main(recipe, [*FLAGS, "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_killed_twice_and_resumed_equals_undisturbed(tmp_path, whole):
    killed = ("--out", tmp_path / "killed", "--resume")
    kill_after(8, *killed)
    kill_after(24, *killed)
    run(*killed)

    expected, resumed = final_state(whole), final_state(tmp_path / "killed")
    assert expected.keys() == resumed.keys() and len(expected) > 20
    for name, value in expected.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert epochs(whole) == epochs(tmp_path / "killed")
    assert [row["step"] for row in epochs(tmp_path / "killed")] == [15, 30, 40]
    assert len(json.loads((tmp_path / "killed" / "record.json").read_text())["sittings"]) == 3
