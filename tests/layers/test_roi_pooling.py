"""The layer in a model: what it gives, saved, loaded and exported; its gradient and its sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import RoIPooling


def pooling_model():
    image, boxes = keras.Input((None, None, 2), name="image"), keras.Input((None, 4), name="boxes")
    return keras.Model([image, boxes], RoIPooling((2, 3), 1 / 4, name="roi_pool5")(image, boxes))


@pytest.mark.slow
def test_a_model_saved_loaded_and_exported(save_and_load, tmp_path):
    model = pooling_model()
    assert model.output_shape == (None, None, 2, 3, 2)
    features = np.arange(2 * 6 * 7 * 2, dtype="float32").reshape(2, 6, 7, 2)
    boxes = np.float32([[[0, 0, 27, 23]], [[4, 4, 4, 4]]])  # the whole map but its last row and column; one cell
    pooled = model([features, boxes])
    # cells 0 to 7 in bins of 8/3: the last ones are 2, 5 and 6 (the border); rows 0 to 6 in bins of 3.5: 3 and 5
    assert pooled[0, 0, :, :, 1].numpy().tolist() == [[features[0, y, x, 1] for x in (2, 5, 6)] for y in (3, 5)]
    assert (pooled[1, 0] == features[1, 1, 1]).numpy().all()
    np.testing.assert_array_equal(save_and_load(model)([features, boxes]), pooled)
    model.export(tmp_path / "saved", verbose=False)
    exported = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_array_equal(exported.serve([features, boxes]), pooled)


def test_boxes_stay_exact_under_mixed_precision():
    """In bfloat16 514 is 512, a cell less."""
    line = np.arange(200, dtype="float32").reshape(1, 1, 200, 1)
    pool = RoIPooling(1, 1 / 4, dtype="mixed_bfloat16")
    assert pool(line, np.float32([[[0, 0, 514, 0]]])).numpy().item() == 129


def test_an_output_without_bins_is_told():
    with pytest.raises(ValueError, match=r"output_size is \(7, 0\); it must be a whole number of at least 1, or two"):
        RoIPooling((7, 0), 1 / 16)
