"""ZFNet: what it changes in AlexNet, and sizes other than the paper's."""

import pytest

from keras_cnns import alexnet, zfnet
from keras_cnns.inspection import layer_table


def rows(model):
    return {row.name: row for row in layer_table(model)}


def test_it_changes_alexnets_first_two_convolutions_and_joins_the_towers():
    """Section 4.1 and claim Z1: 11x11/4 to 7x7/2, then stride 1 to 2."""
    before, after = rows(alexnet(input_shape=(67, 67, 3), classes=10)), rows(zfnet(input_shape=(64, 64, 3), classes=10))
    changed = [(row[name].kernel, row[name].stride) for name in ("conv1", "conv2") for row in (before, after)]
    assert changed == [(11, 4), (7, 2), (5, 1), (5, 2)]
    assert [before[f"conv{i}"].groups for i in range(1, 6)] == [1, 2, 1, 2, 2]
    assert [after[f"conv{i}"].groups for i in range(1, 6)] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("side", "maps"),
    [
        (47, (22, 11, 4, 2, 2, 1)),
        (64, (30, 15, 6, 3, 3, 1)),
        (65, (31, 15, 6, 3, 3, 1)),  # (65 + 2 - 7) / 2 + 1, 31 odd
        (101, (49, 24, 10, 5, 5, 2)),
        (110, (53, 26, 11, 5, 5, 2)),
    ],
)
def test_maps_of_other_inputs(side, maps):
    table = rows(zfnet(input_shape=(side, side, 3), classes=2))
    names = ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5")
    assert tuple(table[name].output_shape[0] for name in names) == maps
    assert table["fc6"].weights == maps[-1] ** 2 * 256 * 4096


def test_sides_may_differ():
    table = rows(zfnet(input_shape=(64, 101, 3), classes=2))
    assert table["conv1"].output_shape == (30, 49, 96)
    assert table["pool5"].output_shape == (1, 2, 256)


def test_hundred_classes():
    assert zfnet(classes=100).count_params() == 62_357_608 - 900 * (4096 + 1)
