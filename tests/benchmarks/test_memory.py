"""The memory benchmark's table and plot, from results made by hand."""

import json
from dataclasses import replace

import pytest

from benchmarks import memory

ORIGIN = {"date": "2020-01-02T03:04:05+00:00", "command": "command", "commit": 4 * "0123456789" + "+"}
FIGURES = ORIGIN | {
    "before_gib": 0.75,
    "peak_gib": 2.0,
    "build_seconds": 1.0,
    "trace_seconds": 2.0,
    "first_step_seconds": 4.0,
    "step_seconds": 0.5,
}


@pytest.fixture
def results(tmp_path):
    here = {"processor": "processor", "cores": 2, "memory_gib": 8.0, "versions": {"tensorflow": "2", "keras": "3"}}
    rows = {
        memory.BATCHES[0].key: FIGURES,
        memory.DEPTHS[0].key: FIGURES,
        memory.DEEPEST[-1].key: ORIGIN | {"failed": "takes more than 18 GiB"},
    }
    (tmp_path / "memory.json").write_text(json.dumps({"environment": here, "rows": rows}))
    return tmp_path / "memory.json"


def test_table_and_plot(results, tmp_path):
    text = memory.section(tmp_path / "memory.png", results)
    assert (
        "2020-01-02 by `command` at commit 0123456789+, 3 rows. processor, 2 cores, 8 GiB; tensorflow 2, keras 3."
        in text
    )
    assert "| ResNet-20 | 16 | float32 | all kept | 2.00 | 1.25 | 32.0 | 0.50 | 7 |" in text
    assert "| ResNet-1202 | 128 | float32 | 4 micro-batches, recomputed | takes more than 18 GiB |" in text
    first = (tmp_path / "memory.png").read_bytes()
    assert memory.section(tmp_path / "memory.png", results) == text
    assert (tmp_path / "memory.png").read_bytes() == first


def test_no_results_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"memory.json is not there; `python -m benchmarks.memory` writes it"):
        memory.section(results=tmp_path / "memory.json")


def test_rows_have_names_of_their_own():
    assert len({row.key for row in memory.ROWS}) == len(memory.ROWS)
    assert memory.ROWS[0].key != replace(memory.ROWS[0], recompute=True).key


@pytest.mark.slow
def test_what_is_measured_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "ROWS", [memory.Row(8, 4)])
    memory.main(["--results", str(tmp_path / "memory.json")])
    first = (tmp_path / "memory.json").read_text()
    figures = json.loads(first)["rows"]["ResNet-8, batch 4, float32, all kept"]
    assert 0.05 < figures["before_gib"] < figures["peak_gib"] < 8
    memory.main(["--results", str(tmp_path / "memory.json")])
    assert (tmp_path / "memory.json").read_text() == first
