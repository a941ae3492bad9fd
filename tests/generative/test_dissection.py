"""Dissection by hand on maps of 4x4, interventions in linear generators with known effects, the concept functions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import mutual_info_score

from keras_cnns.generative import causal_effect, dissect, intervene, optimise_units, presence
from keras_cnns.generative.concepts import colour_classes, garment_parts, segmented, stroke_regions
from keras_cnns.generative.dissection import information_quality
from keras_cnns.generative.dissection_figures import before_and_after, unit_gallery

NUMBERS = np.arange(1.0, 17).reshape(4, 4)  # 1 to 4 in the first row, 13 to 16 in the last


def of_maps(units=1, weights=None):
    """A generator whose z are maps of 4x4, layer `maps`; its image is their weighted sum, by default the first."""
    z = keras.Input((16 * units,))
    maps = keras.layers.Reshape((4, 4, units), name="maps")(z)
    kernel = np.float32(weights or [1] + [0] * (units - 1)).reshape(1, 1, units, 1)
    sums = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer=lambda *_, **__: kernel, name="sum")
    return keras.Model(z, sums(maps), name="linear")


def z_of(*maps):
    """The z of images, as many as there are, with these units' maps."""
    return np.float32([np.stack(units, axis=-1).ravel() for units in maps])


def fixed(**masks):
    """A concept function of masks that are the same in every image."""
    return lambda images: {name: np.repeat(mask[None], len(images), 0) for name, mask in masks.items()}


row, column = np.zeros((2, 4, 4), "float32")
row[3] = column[:, 3] = 1


def test_iou_by_hand_with_a_quarter_of_the_pixels_above():
    """Over the 0.75 quantile are 13 to 16, the last row: all of the one concept, one of seven pixels of the other."""
    z = z_of([NUMBERS], [NUMBERS])
    found = dissect(of_maps(), "maps", fixed(row=row, column=column), z, threshold=0.25)
    np.testing.assert_allclose(found.iou, [[1, 1 / 7]])
    np.testing.assert_allclose(found.thresholds, 12.25)
    np.testing.assert_allclose(found.values, [[14.5, 10.0]])  # means of 13 to 16 and of 4, 8, 12, 16
    # The row is known from the map; row and column are independent, 1 / 16 = 1 / 4 * 1 / 4.
    np.testing.assert_allclose(found.quality, [[1, 0]], atol=1e-12)
    assert found.found() == [(0, "row", 1.0)]
    assert found.table().splitlines()[2:] == ["| 0 | row | 1.000 | 1.000 | 12.2 |"]
    assert found.found(least=1.0) == []


def test_the_threshold_has_the_highest_information_quality():
    """Of the concept 11 to 16 the best threshold lies between 10 and 11; of none, nothing is known."""
    concept = (NUMBERS > 10).astype("float32")
    found = dissect(of_maps(), "maps", fixed(large=concept, none=0 * row), z_of(*[[NUMBERS]] * 4))
    np.testing.assert_allclose(found.iou, [[1, 0]])
    np.testing.assert_allclose(found.quality, [[1, 0]], atol=1e-12)
    assert 10 <= found.thresholds[0, 0] < 11 and found.values[0, 1] == 0


def test_the_threshold_is_that_of_the_first_half_and_the_iou_of_the_second():
    """In the first image the row is 13 to 16; in the second these four are a column."""
    found = dissect(of_maps(), "maps", fixed(row=row), z_of([NUMBERS], [NUMBERS.T]))
    assert 12 <= found.thresholds[0, 0] < 13 and found.iou[0, 0] == pytest.approx(1 / 7)


def test_maps_are_brought_to_the_images_size():
    """A map of 2x2 over an image of 4x4: bilinear, so that 0.75 x 0.75 of the corner's 16 is over 8 where it is."""
    z = keras.Input((4,))
    maps = keras.layers.Reshape((2, 2, 1), name="maps")(z)
    generator = keras.Model(z, keras.layers.UpSampling2D(2)(maps))
    corner = np.zeros((4, 4), "float32")
    corner[2:, 2:] = 1  # 9, 12, 12 and 16 after the resize
    found = dissect(generator, "maps", fixed(corner=corner), np.float32([[0, 0, 0, 16]] * 2))
    np.testing.assert_allclose(found.values, 12.25)
    assert found.iou[0, 0] == 1


def test_information_quality_by_hand_and_by_another_library():
    # 16 pixels, 8 in each set, 6 in both: H = -2 (3/8 ln 3/8 + 1/8 ln 1/8), I = 2 ln 2 - H.
    joint = -2 * (3 / 8 * np.log(3 / 8) + 1 / 8 * np.log(1 / 8))
    assert information_quality(6, 8, 8, 16) == pytest.approx((2 * np.log(2) - joint) / joint)
    rng = np.random.default_rng(0)
    first, second = rng.random(100) < 0.3, rng.random(100) < 0.6
    share = np.unique(2 * first + second, return_counts=True)[1] / 100
    expected = mutual_info_score(first, second) / -(share * np.log(share)).sum()
    assert information_quality((first & second).sum(), first.sum(), second.sum(), 100) == pytest.approx(expected)
    assert information_quality(0, 0, 0, 100) == 0


def test_an_intervention_in_a_linear_generator():
    """The image is r0 + 2 r1 - r2."""
    generator, rng = of_maps(3, [1, 2, -1]), np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, 4, 4)).astype("float32")
    z, (r0, r1, r2) = z_of(*maps), np.moveaxis(maps, 1, 0)
    close = lambda ours, expected: np.testing.assert_allclose(ours[..., 0], expected, atol=1e-5)
    close(intervene(generator, "maps", z, []), r0 + 2 * r1 - r2)
    close(intervene(generator, "maps", z, [1]), r0 - r2)
    close(intervene(generator, "maps", z, [0, 2], [5.0, 3.0]), 2 * r1 + 2)
    close(intervene(generator, "maps", z, [1], places=row), r0 + 2 * r1 * (1 - row) - r2)
    own = np.stack([row, column])
    close(intervene(generator, "maps", z, [1], 1.0, own), r0 + 2 * (r1 * (1 - own) + own) - r2)


def bright(images):
    return {"bright": tf.clip_by_value(images[..., 0], 0.0, 1.0)}


def test_presence_and_causal_effect_by_hand():
    """The image is NUMBERS / 16 + r1: 8 of 16 pixels are over a half; a quarter more makes it 12; r1 at 0.25 anyway."""
    generator, z = of_maps(2, [1, 1]), z_of([NUMBERS / 16, 0 * NUMBERS + 0.25], [NUMBERS / 16, 0 * NUMBERS])
    assert presence(generator, "maps", bright, z)["bright"] == pytest.approx((12 + 8) / 32)
    assert presence(generator, "maps", bright, z, [1])["bright"] == pytest.approx(8 / 16)
    assert causal_effect(generator, "maps", bright, z, [1], 0.25)["bright"] == pytest.approx(4 / 16)
    effect = causal_effect(generator, "maps", bright, z, [1], 1.0, places=row)["bright"]
    assert effect == 0  # the last row is bright without it


def test_the_optimised_units_are_those_that_cause_the_concept():
    """Of three units one adds to the image, one takes away from it, and one does nothing."""
    rng = np.random.default_rng(0)
    z = z_of(*rng.uniform(0.2, 0.4, (20, 3, 4, 4)))
    generator, soft = of_maps(3, [1, -0.5, 0]), lambda images: {"bright": 0.5 + 0.4 * images[..., 0]}
    found = dissect(generator, "maps", soft, z)
    found.iou[:] = [[0.5], [0.5], [0.25]]  # it starts with all of them, and half of the last
    alpha = optimise_units(generator, "maps", soft, "bright", z, found, steps=60, rate=0.05)
    assert alpha[0] > 0.95 and alpha[1] < 0.05 and alpha[2] < 0.05  # of the last only the penalty takes


def test_the_parts_of_a_garment():
    image = np.full((1, 32, 32, 1), -1.0, "float32")
    image[0, :10, :8] = 0.0  # dark, in the top third (10 rows) and the left quarter
    image[0, 25:, 30:] = 0.9  # bright, in the bottom third and the right quarter
    masks = {name: mask.numpy() > 0.5 for name, mask in garment_parts(image).items()}
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    assert counts == {
        "garment in the top third": 80,
        "garment in the bottom third": 14,
        "garment in the left quarter": 80,
        "garment in the right quarter": 14,
        "garment in the centre": 0,
        "bright garment": 14,
        "dark garment": 80,
    }
    strokes = {name: int((mask.numpy() > 0.5).sum()) for name, mask in stroke_regions(image + 0.5).items()}
    assert strokes == {
        "stroke at the top left": 80,
        "stroke at the top right": 0,
        "stroke at the bottom left": 0,
        "stroke at the bottom right": 14,
    }


def test_colours_are_the_nearest():
    pixels = np.float32([[0.95, 0.1, 0.1], [0.1, 0.3, 0.9], [0.02, 0.0, 0.05], [1, 1, 0.9]])
    masks = colour_classes(2 * pixels[None, None] - 1)
    names = [[name for name, mask in masks.items() if mask[0, 0, place] > 0.5] for place in range(4)]
    assert names == [["red"], ["blue"], ["black"], ["white"]]


def test_the_concepts_of_a_network_that_labels_pixels():
    image = keras.Input((4, 4, 1))
    start = lambda *_, **__: np.float32([[[[4, 0]]]])
    network = keras.Model(image, keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer=start)(image))
    images = np.linspace(-1, 1, 16, dtype="float32").reshape(1, 4, 4, 1)
    masks = segmented(network, ["light", "other"], lambda images: images + 0.5)(images)
    np.testing.assert_allclose(masks["light"], 1 / (1 + np.exp(-4 * (images[..., 0] + 0.5))), rtol=1e-5)
    with pytest.raises(ValueError, match=r"there are 3 labels; .* has 2 classes"):
        segmented(network, "abc", lambda images: images)


def two_ways():
    z = keras.Input((16,))
    maps = keras.layers.Reshape((4, 4, 1), name="maps")(z)
    again = keras.layers.Reshape((4, 4, 1))(keras.layers.Dense(16)(z))
    return keras.Model(z, keras.layers.Add()([maps, again]))


Z = np.zeros((2, 16), "float32")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda g: dissect(g, "conv9", fixed(row=row), Z), "linear has no layer 'conv9'; it has .*, maps, sum"),
        (lambda g: dissect(g, g.layers[0].name, fixed(row=row), Z), r"gives \(16,\); maps"),
        (lambda g: dissect(two_ways(), "maps", fixed(row=row), Z), "does not depend on layer 'maps' alone"),
        (
            lambda g: dissect(g, "maps", fixed(row=row), Z[:1]),
            "z has 1 rows; thresholds and figures need an image each",
        ),
        (
            lambda g: dissect(g, "maps", fixed(row=row), Z[:, :5]),
            r"z has the shape \(2, 5\); linear takes \(number, 16",
        ),
        (lambda g: dissect(g, "maps", fixed(row=row), Z, 2.0), 'threshold is 2.0; it must be "quality" or a share'),
        (lambda g: dissect(g, "maps", lambda images: [images], Z), "concepts must return a dict"),
        (
            lambda g: dissect(g, "maps", fixed(row=row[:3]), Z),
            r"the masks of 'row' are of \(2, 3, 4\); the images' are",
        ),
        (lambda g: intervene(g, "maps", Z, [1]), "there is no unit 1; layer 'maps' has 0 to 0"),
        (lambda g: intervene(g, "maps", Z, [True]), "units are bool; they must be whole numbers"),
        (lambda g: intervene(g, "maps", Z, [0.5]), "units are float64; they must be whole numbers"),
        (lambda g: intervene(g, "maps", Z, [0], [1.0, 2.0]), r"values have the shape \(2,\)"),
        (lambda g: intervene(g, "maps", Z, [0], places=[row] * 3), "places are of 3 images; z has 2 rows"),
        (lambda g: intervene(g, "maps", Z, [0], places=row[:2]), r"places have the shape \(2, 4\).* are \(4, 4\)"),
        (lambda g: optimise_units(g, "maps", bright, "dark", Z, dissect(g, "maps", bright, Z)), "no concept 'dark'"),
        (
            lambda g: optimise_units(of_maps(2), "maps", bright, "bright", Z, dissect(g, "maps", bright, Z)),
            "the dissection is of 1 units; layer 'maps' has 2",
        ),
    ],
)
def test_what_it_cannot_do_is_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(of_maps())


def test_the_pictures_show_what_is_active_and_what_changed():
    generator = of_maps(2, [1, 1])
    z = z_of(*[[NUMBERS / 8 - 1.125, 0 * NUMBERS + 0.5]] * 4)  # from -1 to 0.875, and a half everywhere
    found = dissect(generator, "maps", fixed(row=row), z)
    (axes,) = unit_gallery(generator, "maps", found, z, [(0, "row", found.iou[0, 0])], count=2).axes
    shown, bright = axes.images[0].get_array(), np.clip(NUMBERS / 16 + 0.1875, 0, 1)
    expected = np.concatenate([bright * np.where(row > 0, 1, 0.3), np.ones((4, 1))], axis=1)
    np.testing.assert_allclose(shown[..., 0], np.tile(expected, 2), atol=1e-6)
    rows = before_and_after(generator, "maps", z[:1], [("without", [1], 0.0)]).axes
    before, after, difference = (each.images[0].get_array()[:, :4, 0] for each in rows)
    np.testing.assert_allclose(before, bright, atol=1e-6)
    np.testing.assert_allclose(after, np.clip(NUMBERS / 16 - 0.0625, 0, 1), atol=1e-6)
    np.testing.assert_allclose(difference, 0.375)  # darker by a half of -1 to 1's two
    with pytest.raises(ValueError, match="there is no row to draw"):
        unit_gallery(generator, "maps", found, z, [])
