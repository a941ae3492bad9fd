"""The layer in a model: what it gives, saved, loaded and exported; its gradient and its sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import RoIAlign


def test_a_model_saved_loaded_and_exported(save_and_load, tmp_path):
    image, boxes = keras.Input((None, None, 1), name="image"), keras.Input((None, 4), name="boxes")
    model = keras.Model([image, boxes], RoIAlign((1, 2), 1 / 4, aligned=True, name="roi_align")(image, boxes))
    assert model.output_shape == (None, None, 1, 2, 1)
    ramp = np.tile(np.arange(7, dtype="float32").reshape(1, 1, 7, 1), (2, 6, 1, 1))
    given = np.float32([[[4, 4, 20, 12]], [[8, 8, 10, 9]]])  # cells 1 to 5: middles 1.5 and 3.5; 2 to 2.5: 1.625, 1.875
    means = model([ramp, given])
    np.testing.assert_allclose(means[:, 0, 0, :, 0], [[1.5, 3.5], [1.625, 1.875]], atol=1e-5)
    np.testing.assert_array_equal(save_and_load(model)([ramp, given]), means)
    model.export(tmp_path / "saved", verbose=False)
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path / "saved").serve([ramp, given]), means)


def test_boxes_stay_exact_under_mixed_precision():
    """In bfloat16 514 is 512, half a cell less."""
    line = np.arange(200, dtype="float32").reshape(1, 1, 200, 1)
    align = RoIAlign(1, 1 / 4, dtype="mixed_bfloat16")
    assert align(line, np.float32([[[510, 0, 514, 0]]])).numpy().item() == pytest.approx(128, abs=1e-3)


def test_what_it_cannot_do_is_told():
    with pytest.raises(ValueError, match=r"output_size is \(7, 0\); it must be a whole number of at least 1, or two"):
        RoIAlign((7, 0), 1 / 16)
    with pytest.raises(ValueError, match="sampling_ratio is 0; it must be at least 1"):
        RoIAlign(7, 1 / 16, sampling_ratio=0)
