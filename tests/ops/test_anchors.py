"""The released anchors, and where they lie on a map."""

import numpy as np
import pytest

from keras_cnns.ops import generate_anchors, grid_anchors

# py-faster-rcnn's generate_anchors.py, corners from 0 and inclusive.
RELEASED = [
    [-84, -40, 99, 55],
    [-176, -88, 191, 103],
    [-360, -184, 375, 199],
    [-56, -56, 71, 71],
    [-120, -120, 135, 135],
    [-248, -248, 263, 263],
    [-36, -80, 51, 95],
    [-80, -168, 95, 183],
    [-168, -344, 183, 359],
]


def test_the_released_nine():
    anchors = generate_anchors()
    assert anchors.dtype == "float32"
    assert (anchors - [0, 0, 1, 1]).tolist() == RELEASED
    sides = (anchors[:, 2:] - anchors[:, :2]).tolist()
    expected = [
        [184, 96],
        [368, 192],
        [736, 384],
        [128, 128],
        [256, 256],
        [512, 512],
        [88, 176],
        [176, 352],
        [352, 704],
    ]
    assert sides == expected


def test_any_scales_and_ratios():
    """One square anchor of two cells' side around the middle of a cell of 10 pixels; one four times as high as wide."""
    assert generate_anchors(10, (1,), (2,)).tolist() == [[-5, -5, 15, 15]]
    assert generate_anchors(10, (4,), (1, 3)).tolist() == [[2.5, -5, 7.5, 15], [-2.5, -25, 12.5, 35]]


def test_the_grid_goes_row_by_row():
    anchors = grid_anchors(np.float32([[0, 0, 4, 4], [-1, -2, 5, 6]]), (2, 3), stride=10).numpy()
    assert anchors.shape == (12, 4)
    assert anchors[0].tolist() == [0, 0, 4, 4] and anchors[1].tolist() == [-1, -2, 5, 6]
    assert anchors[4].tolist() == [20, 0, 24, 4] and anchors[11].tolist() == [19, 8, 25, 16]


@pytest.mark.parametrize("arguments", [{"base": 0}, {"ratios": (1, -1)}, {"scales": ()}])
def test_what_is_not_positive_is_told(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} is .*; it must be positive"):
        generate_anchors(**arguments)
