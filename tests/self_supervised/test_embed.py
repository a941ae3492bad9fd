"""Features of photographs of any size."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised import embed


def mean_colour(side=4):
    image = keras.Input((side, side, 3))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="mean")


def test_photographs_of_any_kind_have_features(tmp_path):
    pixels = np.full((9, 7, 3), (10, 20, 30), "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photos = [tmp_path / "a.png", Image.fromarray(pixels), pixels, np.full((5, 5), 40, "uint8")] * 17  # two batches
    features = embed(mean_colour(), photos)
    assert features.dtype == "float32"
    np.testing.assert_allclose(features, [*[[10, 20, 30]] * 3, [40, 40, 40]] * 17, atol=1e-3)
    halved = embed(mean_colour(), photos[2:3], Preprocessing(4, mean=10.0, scale=0.5))
    np.testing.assert_allclose(halved, [[0, 5, 10]], atol=1e-4)


def test_what_has_no_features_is_told():
    pixels = np.zeros((4, 4, 3), "uint8")
    image = keras.Input((4, 4, 3))
    for call, sentence in (
        (lambda: embed(mean_colour(), pixels), "images is a single image"),
        (lambda: embed(mean_colour(), []), "images is empty"),
        (lambda: embed(keras.Model(image, keras.layers.ReLU()(image), name="maps"), [pixels]), "maps does not go from"),
        (lambda: embed(mean_colour(None), [pixels]), "mean takes images of any size; preprocessing must say"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
