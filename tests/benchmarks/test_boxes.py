"""The box operations' benchmark: the same boxes for both, and its table from figures written by hand."""

import json

import numpy as np

from benchmarks.boxes import ALIGNED, random_inputs, section


def test_boxes_lie_in_the_image_and_are_always_the_same():
    inputs, again = random_inputs(300, *ALIGNED), random_inputs(300, *ALIGNED)
    assert all(np.array_equal(inputs[name], again[name]) for name in inputs)
    x1, y1, x2, y2 = inputs["boxes"].T
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= 800).all() and (y2 <= 800).all()
    assert (x2 > x1).all() and (y2 > y1).all() and len(set(inputs["scores"])) == 300
    assert inputs["map"].shape == (50, 50, 256)


def test_the_table_says_whether_the_aims_are_met(tmp_path):
    origin = {"date": "2026-01-02T03:04:05", "command": "python -m benchmarks.boxes", "commit": 4 * "0123456789"}
    milliseconds = {"keras_cnns": [1.9, 2.0, 2.1], "torchvision": [98.0, 100.0, 102.0]}
    row = {**origin, "what": "the best 300", "milliseconds": milliseconds, "ratio": [49.0, 50.0, 51.0], "aim": 50.0}
    slow = {**row, "what": "IoU", "ratio": [0.5, 0.6, 0.7], "aim": 1.0}
    free = {**row, "what": "with gradient", "aim": None}
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"operations": {"nms_300": row, "iou": slow, "roi_pool_gradient": free}}))
    text = section(file)
    for line in (
        "Measured 2026-01-02 by `python -m benchmarks.boxes` at commit 0123456789, 3 rows:",
        "| the best 300 | 2 | 100 | 50 (49 to 51) | 50 | met |",
        "| IoU | 2 | 100 | 0.6 (0.5 to 0.7) | 1 | missed |",
        "| with gradient | 2 | 100 | 50 (49 to 51) |  |  |",
    ):
        assert line in text, line
    assert section(file) == text
