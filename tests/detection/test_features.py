"""The features on the disk: room, order, and what a killed or mistaken program cannot do to them."""

import shutil
from collections import namedtuple

import numpy as np
import pytest

from keras_cnns.detection import Features


def test_written_and_read_by_image_and_by_box(tmp_path, capsys):
    features = Features(tmp_path / "f", [2, 0, 1], 3, "net")
    assert "3 features of 3 numbers are 0.00 GB" in capsys.readouterr().out
    assert features.missing() == [0, 1, 2]
    features.write(2, [[7, 8, 9]])
    features.write(0, [[1, 2, 3], [4, 5, 6]])
    assert features.missing() == [1]
    features.write(1, np.zeros((0, 3)))
    again = Features(tmp_path / "f", [2, 0, 1], 3, "net")
    assert again.missing() == [] and again.starts.tolist() == [0, 2, 2, 3]
    assert again.read(0).tolist() == [[1, 2, 3], [4, 5, 6]] and again.read(1).shape == (0, 3)
    assert again.rows(np.array([2, 0])).tolist() == [[7, 8, 9], [1, 2, 3]] and again.rows([0]).dtype == "float32"
    size = (tmp_path / "f/values.npy").stat().st_size
    assert size - 2 * 9 < 200  # two bytes a number, and a header


def test_what_was_not_written_to_the_end_is_missing(tmp_path):
    features = Features(tmp_path, [1, 1], 2, "net")
    features.values[0] = 5  # as a process leaves it that is killed before the image counts
    assert Features(tmp_path, [1, 1], 2, "net").missing() == [0, 1]


@pytest.mark.parametrize(("counts", "width", "of"), [([1, 2], 2, "net"), ([2, 1], 3, "net"), ([2, 1], 2, "other")])
def test_those_of_something_else_are_refused(tmp_path, counts, width, of):
    Features(tmp_path, [2, 1], 2, "net")
    with pytest.raises(ValueError, match="other boxes or of another network; delete it first"):
        Features(tmp_path, counts, width, of)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[1.0, 2, 3]], r"shape \(1, 3\); it must be \(1, 2\)"),
        ([[1.0, 70_000]], "a feature is 70000; float16 holds numbers up to 65,504"),
        ([[1.0, np.nan]], "a feature is nan"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, values, said):
    features = Features(tmp_path, [1], 2, "net")
    with pytest.raises(ValueError, match=said):
        features.write(0, values)
    assert features.missing() == [0]


def test_no_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9))
    with pytest.raises(OSError, match=r"10,000,000 features of 4,096 numbers are 81\.92 GB; .* has room for 1\.00 GB"):
        Features(tmp_path / "f", [10_000_000], 4096, "net")
    assert not list((tmp_path / "f").iterdir())


def test_the_mean_length_is_scaled_to_twenty(tmp_path):
    features = Features(tmp_path, [2], 2, "net")
    features.write(0, [[3, 4], [0, 15]])  # lengths 5 and 15
    assert features.scale() == pytest.approx(2.0)
