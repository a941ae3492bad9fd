"""R-CNN's anisotropic warp: where the samples lie, by hand on ramps."""

import numpy as np
import pytest

from keras_cnns.ops import warp_boxes


def ramps(height, width):
    """An image whose two channels are x and y, in pixels from the border; the first pixel's middle is at 0.5."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x, y], axis=-1).astype("float32")


def test_the_whole_image_at_its_own_size_is_the_image():
    image = np.random.default_rng(0).uniform(1, 255, (20, 20, 3)).astype("uint8")
    np.testing.assert_allclose(warp_boxes(image, np.float32([[0, 0, 20, 20]]), 20)[0], image, atol=1e-3)


def test_each_side_is_scaled_for_itself():
    """A box 40 wide and 16 high in 8x8: samples every 5 and every 2 pixels, the first in the middle of its step."""
    window = warp_boxes(ramps(100, 100), np.float32([[10, 20, 50, 36]]), 8)[0].numpy()
    x, y = [12.5, 17.5, 22.5, 27.5, 32.5, 37.5, 42.5, 47.5], [21, 23, 25, 27, 29, 31, 33, 35]
    np.testing.assert_allclose(window[..., 0], np.tile(x, (8, 1)), atol=1e-3)
    np.testing.assert_allclose(window[..., 1], np.tile(np.transpose([y]), (1, 8)), atol=1e-3)


def test_context_is_measured_in_the_result():
    """The paper's numbers: 195 pixels of 227 are the box, here of 195x390, 16 on either side are what surrounds it."""
    window = warp_boxes(ramps(600, 400), np.float32([[100, 100, 295, 490]]), 227, 16)[0].numpy()
    np.testing.assert_allclose(window[0, :, 0], 84.5 + np.arange(227), atol=1e-2)
    np.testing.assert_allclose(window[:, 0, 1], 69 + 2 * np.arange(227), atol=1e-2)


def test_beyond_the_image_there_is_nothing():
    window = warp_boxes(np.ones((10, 10, 1), "float32"), np.float32([[-10, 0, 10, 10]]), 20)[0, ..., 0].numpy()
    assert (window[:, :9] == 0).all() and (window[:, 10:] == 1).all()
    assert warp_boxes(np.ones((10, 10, 3)), np.zeros((0, 4)), 5).shape == (0, 5, 5, 3)


@pytest.mark.parametrize("context", [-1, 5])
def test_context_that_leaves_nothing_is_refused(context):
    with pytest.raises(ValueError, match=f"context is {context}; it must be at least 0 and less than half"):
        warp_boxes(np.ones((10, 10, 3)), np.zeros((1, 4)), 10, context)
