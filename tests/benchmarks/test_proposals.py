"""The table of selective search beside OpenCV's, from results made by hand."""

import json

import pytest

from benchmarks import proposals

ORIGIN = {"date": "2020-01-02T03:04:05+00:00", "command": "command", "commit": 4 * "0123456789"}


@pytest.fixture
def results(tmp_path):
    def image(ours, theirs, best):
        return {
            **ORIGIN,
            "labels": [0, 0, 1],
            "keras_cnns": {"seconds": ours, "proposals": 1000, "best": [best] * 3},
            "opencv": {"seconds": theirs, "proposals": 3000, "best": [[0.5, 0.5, 0.5]] * 3},
            "version": "5.0",
        }

    images = {"fast": {"a": image(1.0, 2.0, [1.0, 0.6, 0.4]), "b": image(2.0, 3.0, [0.0, 0.0, 0.8])}, "quality": {}}
    content = {
        "environment": {"processor": "processor", "cores": 2},
        "images": images,
        "folder": {**ORIGIN, "images": 30, "processes": 2, "seconds": [38.0, 20.0]},
    }
    (tmp_path / "proposals.json").write_text(json.dumps(content))
    return tmp_path / "proposals.json"


def test_the_table(results):
    text = proposals.section(results)
    assert "2020-01-02 by `command` at commit 0123456789, 3 rows. processor, 2 cores; OpenCV 5.0." in text
    # Six boxes, of which 1.0, 0.6 and 0.8 are found; the classes' means are 0.4 and 0.6. Twice and 1.5 times as fast.
    assert (
        "| fast | 2 | keras_cnns | 1,000 | 1.25, 1.50, 1.75 | 1.62, 1.75, 1.88 | 500 | 0.500 | 0.333 | 0.500 |" in text
    )
    assert "| fast | 2 | opencv | 3,000 | 2.25, 2.50, 2.75 |  | 500 | 1.000 | 0.000 | 0.500 |" in text
    assert "A folder of 30 images, fast: 38 s by one process, 20 s by 2: 1.90 times as fast (aim: 1.8)." in text


def test_no_results_are_said(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"proposals.json is not there; `python -m benchmarks.proposals` writes"
    ):
        proposals.section(tmp_path / "proposals.json")
