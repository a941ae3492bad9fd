"""Max pooling with a rounded-up size, against NumPy written out."""

import keras
import numpy as np
import pytest

from keras_cnns.layers.ceil_pooling import ceil_max_pooling


def expected(maps):
    """Windows of three pixels, two apart, as many as Caffe counts; a slice ends where the map does."""
    height, width = (-(-(side - 3) // 2) + 1 for side in maps.shape[1:3])
    rows = [[maps[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for j in range(width)] for i in range(height)]
    return np.stack([np.stack(row, 1) for row in rows], 1)


@pytest.mark.parametrize("sides", [(2, 2), (3, 3), (4, 4), (55, 55), (26, 26), (6, 9), (9, 6), (2, 7)])
@pytest.mark.parametrize("free", [False, True])
def test_each_size_is_rounded_up_and_the_last_window_hangs_over(sides, free):
    maps = np.random.default_rng(0).random((2, *sides, 5), dtype="float32")
    image = keras.Input((None, None, 5) if free else maps.shape[1:])
    model = keras.Model(image, ceil_max_pooling(image, "pool"))
    np.testing.assert_array_equal(model(maps), expected(maps))
    assert free or model.output_shape == (None, *expected(maps).shape[1:])


def test_the_papers_sizes():
    sizes = {110: 55, 26: 13, 13: 6, 112: 56, 56: 28, 28: 14, 14: 7}  # ZFNet's Fig. 3, GoogLeNet's Table 1
    for side, pooled in sizes.items():
        assert ceil_max_pooling(keras.Input((side, side, 1)), f"pool{side}").shape == (None, pooled, pooled, 1)
