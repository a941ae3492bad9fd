"""Exports on a full disk and after a kill: the earlier one still answers."""

import numpy as np
import pytest
import tensorflow as tf

import keras_cnns
from keras_cnns.files import replacing
from tests.test_export import linear, noise


def probabilities(path):
    saved = tf.saved_model.load(str(path))
    return saved.signatures["serving_default"](tf.constant(noise(2, 4, 4, 3)))["probabilities"].numpy()


@pytest.mark.parametrize("left", [0, 10_000])
def test_a_full_disk_leaves_the_earlier_export(disk, left):
    folder, full = disk
    model = linear()
    keras_cnns.export(model, folder / "saved")
    before = probabilities(folder / "saved")
    model.get_layer("fc").kernel.assign(np.zeros((3, 7)))
    sentence = r"saved could not be written: (No space left on device|File too large)\.$"
    with full(left), pytest.raises(OSError, match=sentence):
        keras_cnns.export(model, folder / "saved", force=True)
    assert [file.name for file in folder.iterdir()] == ["saved"]
    np.testing.assert_array_equal(probabilities(folder / "saved"), before)
    keras_cnns.export(model, folder / "saved", force=True)
    np.testing.assert_allclose(probabilities(folder / "saved"), np.full((2, 7), 1 / 7), rtol=1e-6)


def test_killed_between_the_two_moves_the_earlier_export_comes_back(tmp_path):
    path = tmp_path / "net.onnx"
    beside = tmp_path / ".net.onnx.part"
    beside.mkdir()
    (beside / "old").write_text("old")
    (beside / "new").write_text("new")
    with pytest.raises(FileExistsError, match="replaces it"), replacing(path, force=False):
        pass
    assert path.read_text() == "old"
    with replacing(path, force=True) as new:
        assert not new.exists()
        new.write_text("newer")
    assert path.read_text() == "newer" and list(tmp_path.iterdir()) == [path]
