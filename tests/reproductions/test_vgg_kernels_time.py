"""Which network's step takes longer, from seconds made by hand."""

import pytest

from reproductions.vgg_kernels_time import claim


@pytest.mark.parametrize(
    ("two", "ours", "verdict"),
    [
        ([3.0, 4.0, 5.0], "2.00 (quartiles 1.75 to 2.25)", "does not hold"),
        ([1.0, 1.2, 1.4], "0.60 (quartiles 0.55 to 0.65)", "holds"),
        ([1.0, 2.0, 3.0], "1.00 (quartiles 0.75 to 1.25)", "not decided"),
    ],
)
def test_a_ratio_decides_if_its_quartiles_are_on_one_side_of_one(two, ours, verdict):
    row = claim({"two 3x3": two, "one 5x5": [2.0, 2.0, 2.0]})
    assert (row["ours"], row["verdict"]) == (ours, verdict)
