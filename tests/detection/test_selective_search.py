"""Selective search: flat figures are found exactly, similarities against a count written out, and bad input."""

import numpy as np
import pytest
from skimage import data

from keras_cnns.detection import selective_search
from keras_cnns.detection.selective_search import (
    COLOUR_BINS,
    MODES,
    TEXTURE_BINS,
    group,
    regions_of,
    texture_bins,
    touching,
)

# Boxes (x1, y1, x2, y2) on a grey ground of 200x160, and their colours.
FIGURES = {
    (20, 20, 60, 60): (250, 20, 20),
    (60, 20, 100, 60): (230, 60, 20),  # touches the first
    (120, 30, 180, 130): (20, 40, 240),
    (30, 90, 90, 140): (20, 220, 60),
    (50, 100, 70, 120): (250, 250, 250),  # inside the one before
}


@pytest.fixture
def figures():
    image = np.full((160, 200, 3), 128, "uint8")
    for (x1, y1, x2, y2), colour in FIGURES.items():
        image[y1:y2, x1:x2] = colour
    return image


def has(boxes, box, within=0.0):
    return (np.abs(boxes - np.array(box)).max(axis=1) <= within).any()


def counted(bins, mask):
    """The histogram of a region, of all channels, with the sum 1."""
    values = np.concatenate([np.bincount(each[mask], minlength=bins.max() + 1) for each in bins])
    return values / values.sum()


def box_of(mask):
    (rows, columns) = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def similarity_by_the_paper(one, other, colour, texture, letters):
    """Equations 1 to 6, from the pixels of two regions."""
    x1, y1, x2, y2 = box_of(one | other)
    terms = {
        "C": np.minimum(counted(colour, one), counted(colour, other)).sum(),
        "T": np.minimum(counted(texture, one), counted(texture, other)).sum(),
        "S": 1 - (one.sum() + other.sum()) / one.size,
        "F": 1 - ((x2 - x1) * (y2 - y1) - one.sum() - other.sum()) / one.size,
    }
    return sum(terms[letter] for letter in letters)


def touch(one, other):
    return (one[1:] & other[:-1] | one[:-1] & other[1:]).any() or (
        one[:, 1:] & other[:, :-1] | one[:, :-1] & other[:, 1:]
    ).any()


@pytest.mark.parametrize("letters", ["CTSF", "TSF", "C", "TS", "CF"])
def test_grouping_is_algorithm_1_written_out(letters):
    random = np.random.default_rng(0)
    labels = np.kron(np.arange(20).reshape(4, 5), np.ones((9, 9), int))
    for _ in range(600):  # ragged borders, so that no two similarities are equal
        row, column = random.integers(1, 35), random.integers(1, 44)
        labels[row, column] = labels[row + random.integers(-1, 2), column]
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    colour = random.integers(0, COLOUR_BINS, (3, *labels.shape))
    texture = random.integers(0, 2 * TEXTURE_BINS, (12, *labels.shape))
    colour[0] = labels % 7  # so that regions differ

    alive = [labels == number for number in range(labels.max() + 1)]
    expected = [box_of(mask) for mask in alive]
    while len(alive) > 1:
        pairs = [(a, b) for a in range(len(alive)) for b in range(a) if touch(alive[a], alive[b])]
        a, b = max(
            pairs, key=lambda pair: similarity_by_the_paper(alive[pair[0]], alive[pair[1]], colour, texture, letters)
        )
        joined = alive[a] | alive[b]
        alive = [mask for number, mask in enumerate(alive) if number not in (a, b)] + [joined]
        expected.append(box_of(joined))
    np.testing.assert_array_equal(group(regions_of(labels, colour, texture), letters), expected)


def test_each_pair_that_touches_is_there_once():
    labels = np.array([[0, 0, 1], [2, 0, 1], [2, 2, 3]])  # 0 and 3 have a corner in common, no side
    np.testing.assert_array_equal(touching(labels).T, [(0, 1), (0, 2), (1, 3), (2, 3)])


def test_texture_tells_a_direction_from_its_opposite():
    """Two ramps, one rising to the right, one falling: no derivative in common along x, the same along y."""
    ramp = np.tile(np.linspace(0, 1, 40), (20, 1))
    bins = texture_bins(np.dstack([ramp]))[:, 5:15, 10:30], texture_bins(np.dstack([ramp[:, ::-1]]))[:, 5:15, 10:30]
    along_x, along_y = (0, 1)
    assert (bins[0][along_x] == 2 * TEXTURE_BINS - 1).all() and (bins[1][along_x] == 0).all()
    assert (bins[0][along_y] == bins[1][along_y]).all()


@pytest.mark.parametrize("mode", MODES)
def test_flat_figures_are_found(figures, mode):
    boxes = selective_search(figures, mode)
    assert boxes.dtype == np.float32
    assert boxes.ndim == 2 and boxes.shape[1] == 4
    # The smoothing leaves rims of a few pixels, which can make superpixels of 100: "single" has no other ones.
    within = 4.0 if mode == "single" else 0.0
    for box in FIGURES:
        assert has(boxes, box, within), box
    assert has(boxes, (0, 0, 200, 160))  # the last merge
    assert has(boxes, (20, 20, 100, 60), within)  # the two reddish ones together


def test_boxes_lie_in_the_image_and_no_two_are_equal(figures):
    boxes = selective_search(figures, "fast")
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, 2:] <= (200, 160)).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)


def test_a_seed_gives_one_order_of_the_same_boxes():
    image = data.chelsea()[:200, 100:350]
    boxes = [selective_search(image, "single", seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(boxes[0], boxes[1])
    assert not np.array_equal(boxes[0], boxes[2])
    assert set(map(tuple, boxes[0])) == set(map(tuple, boxes[2]))


def test_large_regions_come_early():
    """The order is random, but by the position in the hierarchy: large regions are more often among the first."""
    boxes = selective_search(data.coffee()[:300, :400], "fast")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    tenth = len(areas) // 10
    assert areas[:tenth].mean() > 3 * areas[-tenth:].mean()
    assert areas[0] < areas.max() or areas[1:tenth].max() > areas[tenth:].min()


def test_grey_and_alpha():
    grey = data.camera()[100:220, 150:300]
    expected = selective_search(np.repeat(grey[..., None], 3, axis=-1), "single")
    np.testing.assert_array_equal(selective_search(grey, "single"), expected)
    np.testing.assert_array_equal(selective_search(grey[..., None], "single"), expected)
    rgba = np.dstack([grey, grey, grey, np.arange(grey.size).reshape(grey.shape) % 256]).astype("uint8")
    np.testing.assert_array_equal(selective_search(rgba, "single"), expected)
    np.testing.assert_array_equal(selective_search(grey.astype("float32"), "single"), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 300), (300, 1), (3, 3), (5, 900)])
@pytest.mark.parametrize("mode", ["single", "quality"])
def test_tiny_images(shape, mode):
    random = np.random.default_rng(0)
    boxes = selective_search(random.integers(0, 256, (*shape, 3)).astype("uint8"), mode)
    assert has(boxes, (0, 0, shape[1], shape[0]))
    assert np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_colour_is_one_region(value):
    np.testing.assert_array_equal(selective_search(np.full((40, 60, 3), value, "uint8"), "fast"), [[0, 0, 60, 40]])


@pytest.mark.slow
def test_a_large_image_is_searched_smaller_and_its_boxes_are_of_its_own_size(figures):
    large = np.kron(figures, np.ones((6, 6, 1), "uint8"))  # 1200x960
    boxes = selective_search(large, "fast")
    for box in FIGURES:
        assert has(boxes, 6 * np.array(box), within=6.0), box
    assert has(boxes, (0, 0, 1200, 960))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), "uint8"), r"image has shape \(4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), "uint8"), r"image has shape \(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), "uint8"), r"image has shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), 256.0), "image has values from 256 to 256"),
        (np.full((4, 4, 3), -1), "image has values from -1 to -1"),
        (np.full((4, 4, 3), np.nan), "image has values from nan to nan"),
        (np.zeros((4, 4, 3), complex), "image is complex128"),
        (np.array([["a"]]), "image is <U1"),
        (None, "image is object"),
    ],
)
def test_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        selective_search(image)


def test_modes_are_named():
    with pytest.raises(ValueError, match="mode is 'best'; it must be one of 'single', 'fast', 'quality'"):
        selective_search(np.zeros((4, 4, 3), "uint8"), "best")
