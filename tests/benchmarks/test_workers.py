"""The smallest row from end to end, and workers that fail."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import results as files
from benchmarks.__main__ import main
from benchmarks.rows import Row
from benchmarks.serving import Failed, Worker


@pytest.mark.slow
def test_the_smallest_row_end_to_end(tmp_path, monkeypatch):
    """ResNet-20 beside its clone, with the TensorFlow workers alone; small images of digits' size."""
    pytest.importorskip("skimage")
    monkeypatch.setattr("benchmarks.__main__.MATMUL_SIDE", 256)
    monkeypatch.setattr("benchmarks.__main__.PRECISIONS", ("float32",))
    monkeypatch.setattr("benchmarks.__main__.FULL", [Row("resnet20", "training", 8, "float32")])
    monkeypatch.setattr(
        "benchmarks.__main__.take_turns", lambda racing, steps, **_: {n: [w.run(steps)] for n, w in racing.items()}
    )
    file = tmp_path / "results.json"
    assert main(["--results", str(file)]) == 0
    results = files.load(file)
    assert set(results["peak"]["float32"]) == {"tensorflow"}
    (row,) = results["rows"].values()
    assert (row["network"], row["batch"], row["multiply_adds"]) == ("resnet20", 8, 40_551_040)
    ours, keras = row["libraries"]["keras_cnns"], row["libraries"]["keras"]
    assert keras["aim"] == 1.4 and keras["ratio"][1] > 0 and keras["setting"] in keras["tried"]
    for library in (ours, keras):
        assert library["peak_memory_mib"] > 200 and library["images_per_second"][1] > 0
    assert row["share_of_peak"] > 0


def test_a_worker_that_ends_says_why():
    with Worker(sys.executable, "benchmarks.no_such_module") as worker, pytest.raises(Failed, match="no_such_module"):
        worker.ready()


def test_a_worker_that_is_not_ready_in_time_is_given_up():
    worker = Worker(sys.executable, "benchmarks.tensorflow_worker", mode="matmul")
    with worker, pytest.raises(Failed, match="not ready 0 s after the others"):
        worker.ready(timeout=0)


def test_a_worker_rests_while_others_work_and_goes_on_when_it_is_asked_to():
    with Worker(sys.executable, "tests.benchmarks.busy_worker") as worker:
        worker.ready()
        assert state(worker) == "T"  # stopped, whatever its threads would do
        for _ in range(2):
            assert worker.run(3) >= 0 and state(worker) == "T"
        assert worker.about == {"steps": 2 + 3 + 3}  # two to warm up


def state(worker):
    """The kernel's letter for a process: T is stopped."""
    worker_id = worker.process.pid
    os.waitpid(worker_id, os.WUNTRACED)
    return Path(f"/proc/{worker_id}/stat").read_text().rpartition(")")[2].split()[0]
