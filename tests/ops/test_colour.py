"""Lab against scikit-image; the 313 bins against the gamut of sRGB; the soft encoding and the annealed mean by hand."""

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from keras_cnns.ops.colour import AB_BINS, annealed_mean, encode_ab, lab_to_rgb, rgb_to_lab

EVERY_15TH = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), axis=-1).astype("uint8")


def test_lab_is_scikit_images_and_comes_back():
    lab = rgb_to_lab(EVERY_15TH)
    np.testing.assert_allclose(lab, rgb2lab(EVERY_15TH), atol=0.02)
    np.testing.assert_allclose(lab_to_rgb(lab), EVERY_15TH, atol=0.1)
    outside = np.float32([[50, 100, -100], [20, -90, 60], [90, 0, -60], [100, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(lab_to_rgb(outside), 255 * lab2rgb(outside), atol=0.5)


def surface():
    """The ab of the six faces of the RGB cube, which enclose those of all colours."""
    u, v = (each.ravel() for each in np.meshgrid(np.arange(256), np.arange(256)))
    faces = [np.insert(np.stack([u, v]), axis, value, axis=0) for axis in range(3) for value in (0, 255)]
    return rgb2lab(np.concatenate(faces, axis=1).T[None].astype("uint8"))[0, :, 1:]


def test_the_bins_are_the_corners_of_the_cells_that_have_a_colour_and_four_more():
    assert AB_BINS.shape == (313, 2) and len(np.unique(AB_BINS, axis=0)) == 313
    colours = np.concatenate([surface(), rgb2lab(EVERY_15TH).reshape(-1, 3)[:, 1:]])
    cells = np.unique(np.floor(colours / 10), axis=0)
    corners = {tuple(10 * (cell + offset)) for cell in cells for offset in ((0, 0), (0, 1), (1, 0), (1, 1))}
    bins = {tuple(each) for each in AB_BINS}
    assert len(corners) == 309 and corners <= bins
    assert bins - corners == {(40, 90), (100, -90), (100, -10), (100, 0)}


def test_colours_are_shared_among_the_five_nearest_bins():
    """(3, 0) is 3 from (0, 0), 7 from (10, 0), sqrt(109) from (0, +-10), sqrt(149) from (10, +-10)."""
    bins, shares = encode_ab(np.float32([[3, 0]]))
    assert [tuple(AB_BINS[each]) for each in bins[0, :2]] == [(0, 0), (10, 0)]
    assert {tuple(AB_BINS[each]) for each in bins[0, 2:4]} == {(0, 10), (0, -10)}
    assert tuple(AB_BINS[bins[0, 4]]) in {(10, 10), (10, -10)}
    expected = np.exp(-np.array([9, 49, 109, 109, 149]) / 50)
    np.testing.assert_allclose(shares[0], expected / expected.sum(), rtol=1e-4)


def test_the_annealed_mean_goes_from_the_mean_to_the_mode():
    logits = np.full((1, 313), -50, "float32")
    one, other = (int(np.flatnonzero((each == AB_BINS).all(axis=1))[0]) for each in ((0, 0), (50, -20)))
    logits[0, [one, other]] = np.log([0.25, 0.75])
    np.testing.assert_allclose(annealed_mean(logits, 1.0), [[37.5, -15]], rtol=1e-4)
    np.testing.assert_allclose(annealed_mean(logits, 0.01), [[50, -20]], rtol=1e-4)
    share = 0.75 ** (1 / 0.38) / (0.75 ** (1 / 0.38) + 0.25 ** (1 / 0.38))  # equation 5
    np.testing.assert_allclose(annealed_mean(logits), [[50 * share, -20 * share]], rtol=1e-4)
