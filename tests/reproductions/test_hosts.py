"""Several hosts, played by two processes on the loopback interface: as one process, and after a death as if none."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digits
from keras_cnns.data.augmentation import pad_and_crop, subtract_mean
from keras_cnns.evaluation import classification_errors
from keras_cnns.layers import BatchNormalization
from keras_cnns.training import JIT_COMPILE, SGD, is_chief, strategy_here
from reproductions import runner
from tests.reproductions.small_recipe import recipe
from tests.reproductions.test_resume import epochs, final_state
from tests.training.test_loop import step_by_step

ROOT = Path(__file__).parents[2]
LIMIT = 240  # seconds that any of the processes may take


def twenty_steps(folder):
    """Train with synchronised statistics: the loss of each step, the test errors, the weights."""
    strategy = strategy_here()
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((32, 32, 1)),
                keras.layers.Conv2D(8, 5, strides=3),
                BatchNormalization(synchronized=True),
                keras.layers.ReLU(),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.01, l2=1e-4), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
        model._symbolic_build(data_batch=(tf.zeros((2, 32, 32, 1)), tf.zeros(2, tf.int64)))
    scaled = subtract_mean(30.0), lambda images, keys: images / 255
    images = digits("train").map(pad_and_crop(2), *scaled)

    def batches(epoch, skip, count):
        return images.batches(32, epoch=epoch, shuffle=True, drop_remainder=True, skip=skip, count=count)

    rows = step_by_step(model, batches, 20, folder)
    # Batches of 50, 50 and 1 image: for one of the workers there is none in the last.
    errors = classification_errors(model, digits("test").take(101).map(*scaled).batches(50))
    figures = {name: [row[name] for row in rows] for name in ("loss", "accuracy")}
    return figures | {"errors": {name: float(value) for name, value in errors.items()}}, model.get_weights(), strategy


def free_ports(count):
    """Ports that no outgoing connection takes in the meantime: those begin at 32768."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)  # other tests have Python's own seeded
        with contextlib.suppress(OSError), socket.socket() as each:
            each.bind(("127.0.0.1", port))
            ports = [*{*ports, port}]
    return ports


@contextlib.contextmanager
def started(*command):
    """Two workers of a cluster, started with the same command; neither outlives the block."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    command = [sys.executable, "-m", *map(str, command)]
    processes = []
    with contextlib.ExitStack() as stack:
        for index in range(2):
            described = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(described), "TF_CPP_MIN_LOG_LEVEL": "3"}
            output = stack.enter_context(tempfile.TemporaryFile("w+"))  # a pipe that nobody empties would stop them
            files = {"stdout": output, "stderr": subprocess.STDOUT}
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment, **files))
            stack.callback(process.kill)
            process.output = output
            processes.append(process)
        yield processes


def end(processes):
    """The exit statuses and what was printed, of all."""
    statuses = [process.wait(LIMIT) for process in processes]
    for process in processes:
        process.output.seek(0)
    return statuses, [process.output.read() for process in processes]


def run(*command):
    with started(*command) as processes:
        return end(processes)


def wait_for(step, folder, processes):
    """Until the run has a checkpoint of at least this step."""
    deadline = time.monotonic() + LIMIT
    while not any(int(file.stem.removeprefix("step-")) >= step for file in folder.glob("checkpoints/step-*.index")):
        if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
            for process in processes:
                process.kill()
            pytest.fail(f"no checkpoint of step {step}: {end(processes)}")
        time.sleep(0.002)


@pytest.mark.slow
def test_two_workers_equal_one_process_of_the_same_batch(tmp_path):
    with started("tests.reproductions.test_hosts", tmp_path / "two") as processes:
        expected, weights, _ = twenty_steps(tmp_path / "one")
        statuses, outputs = end(processes)
    assert statuses == [0, 0], outputs
    for index in range(2):
        figures = json.loads((tmp_path / f"two-{index}.json").read_text())
        np.testing.assert_allclose(figures["loss"], expected["loss"], atol=1e-4)
        np.testing.assert_allclose(figures["accuracy"], expected["accuracy"], atol=1e-6)
        assert figures["errors"]["images"] == 101
        assert figures["errors"] == pytest.approx(expected["errors"], rel=1e-4)
        with np.load(tmp_path / f"two-{index}.npz") as saved:
            for ours, theirs in zip(saved.values(), weights, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert len(expected["loss"]) == 20 and expected["loss"][-1] < expected["loss"][0]


@pytest.mark.slow
def test_killed_and_preempted_and_started_again_equals_undisturbed(tmp_path):
    """Batch statistics of each worker, dropout, augmentation; 60 steps, so that SIGTERM finds it training."""
    command = ("tests.reproductions.small_recipe", "--steps", 60, "--checkpoint-steps", 4, "--resume", "--out")
    statuses, outputs = run(*command, tmp_path / "whole")
    assert statuses == [0, 0], outputs
    assert "test error" in outputs[0] and "test error" not in outputs[1]  # the chief alone tells

    out = tmp_path / "disturbed"
    with started(*command, out) as processes:
        wait_for(8, out, processes)
        processes[1].kill()
        statuses, outputs = end(processes)
    assert statuses == [143, -signal.SIGKILL]
    assert "error: another worker of the cluster has ended; started again on all with --resume" in outputs[0]

    with started(*command, out) as processes:
        wait_for(16, out, processes)
        processes[1].send_signal(signal.SIGTERM)  # not the chief
        statuses, outputs = end(processes)
    assert statuses == [143, 143], outputs
    assert "SIGTERM: stopped after step" in outputs[0] and "Traceback" not in "".join(outputs)
    steps = [int(file.stem.removeprefix("step-")) for file in (out / "checkpoints").glob("*.index")]
    assert f"stopped after step {max(steps)}; its checkpoint is in" in outputs[0]
    assert max(steps) < 60

    statuses, outputs = run(*command, out)
    assert statuses == [0, 0], outputs
    whole, resumed = final_state(tmp_path / "whole", 60), final_state(out, 60)
    assert whole.keys() == resumed.keys() and len(whole) > 20
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert epochs(tmp_path / "whole") == epochs(out)
    assert [row["step"] for row in epochs(out)] == [15, 30, 45, 60]
    assert (out / "saved_model" / "saved_model.pb").exists()


def run_in(folder, *flags):
    return runner.Run("script", *runner.parse(recipe, "script", ["--out", str(folder), *flags]))


def test_a_folder_that_only_the_chief_has_is_said(tmp_path):
    with pytest.raises(ValueError, match="is not there on this host; all workers of a cluster must share the folder"):
        runner.read_record(run_in(tmp_path / "elsewhere"))


def test_what_fails_in_one_worker_stops_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "agree", lambda strategy, values: [1])
    with pytest.raises(ValueError, match="another worker of the cluster cannot take part; its own message says why"):
        runner.together(None, dict)


@pytest.mark.parametrize("failure", [OSError("the disk is full"), RuntimeError("of whatever kind")])
def test_the_others_are_told_of_a_failure_before_it_is_raised(failure, monkeypatch):
    told = []
    monkeypatch.setattr(runner, "agree", lambda strategy, values: told.extend(values) or [1])

    def failing():
        raise failure

    with pytest.raises(type(failure), match=str(failure)):
        runner.together(None, failing)
    assert told == [True]


def test_synchronized_reaches_every_batch_normalisation_and_is_a_deviation(tmp_path):
    made = recipe(run_in(tmp_path))
    runner.synchronize(made)
    assert [layer.synchronized for layer in made.model.layers if isinstance(layer, BatchNormalization)] == [True]
    assert made.deviations == ["batch normalisation with statistics of the whole batch, over all replicas"]
    made.model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="plain has no batch normalisation; --synchronized would be without effect"):
        runner.synchronize(made)


if __name__ == "__main__":
    figures, weights, strategy = twenty_steps(sys.argv[1])
    number = 0 if is_chief(strategy) else 1
    Path(f"{sys.argv[1]}-{number}.json").write_text(json.dumps(figures))
    np.savez(f"{sys.argv[1]}-{number}.npz", *weights)
