"""Pretext tasks by hand: what images become, and the labels that are made of them."""

import numpy as np
import pytest
import tensorflow as tf
from skimage.color import rgb2lab

from keras_cnns.data import digits, pretext
from keras_cnns.data.random import example_keys
from keras_cnns.ops.colour import AB_BINS


def test_a_square_of_four_pixels_is_turned_against_the_clock():
    image = np.float32([[1, 2], [3, 4]])[None, :, :, None]
    turned, labels = pretext.rotations(image, None)
    expected = [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    np.testing.assert_array_equal(turned[..., 0], expected)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3])


def test_the_copies_of_an_image_are_side_by_side():
    images = np.arange(2 * 3 * 3 * 2, dtype="uint8").reshape(2, 3, 3, 2)
    turned, labels = pretext.rotations(images, None)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3] * 2)
    for number, copy in enumerate(turned):
        np.testing.assert_array_equal(copy, np.rot90(images[number // 4], number % 4))
    with pytest.raises(ValueError, match="images are 3x4; they must be square"):
        pretext.rotations(np.zeros((1, 3, 4, 1)), None)


def test_a_task_comes_last_and_has_labels_of_its_own():
    images = digits("train").map(lambda images, keys: images + 1).task(pretext.rotations, pretext.ANGLES)
    inputs, labels = next(iter(images.batches(3)))
    assert inputs.shape == (12, 32, 32, 1) and images.labels == ["0", "90", "180", "270"] and len(images) == 4000
    np.testing.assert_array_equal(inputs[::4], digits("train").arrays[0][:3] + 1)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3] * 3)
    assert images.originals().labels == list("0123456789")
    originals, own = next(iter(images.originals().batches(3)))
    np.testing.assert_array_equal(originals, digits("train").arrays[0][:3])
    np.testing.assert_array_equal(own, digits("train").arrays[1][:3])


def test_the_permutations_differ_as_much_as_can_be():
    """Nine of nine tiles can all differ everywhere; of a hundred, each tile comes 11 or 12 times to each place, so that
    at least 9 * (8 * 55 + 66) of the 4,950 pairs' places agree: a mean distance of 8.08."""
    chosen = pretext.permutation_set(100)
    assert (np.sort(chosen, axis=1) == np.arange(9)).all() and len(np.unique(chosen, axis=0)) == 100
    distances = (chosen[:, None] != chosen[None]).sum(axis=-1)[np.triu_indices(100, 1)]
    assert distances.mean() == pytest.approx(9 - 9 * (8 * 55 + 66) / 4950) == pytest.approx(8.08)
    first = chosen[:9]
    assert (first[:, None] != first[None]).sum(axis=-1)[np.triu_indices(9, 1)].min() == 9
    np.testing.assert_array_equal(pretext.permutation_set(9), first)  # one set begins as another
    assert len(pretext.permutation_set(24, tiles=4)) == 24  # all there are
    with pytest.raises(ValueError, match="count is 25; 4 tiles have 24 permutations"):
        pretext.permutation_set(25, tiles=4)
    with pytest.raises(ValueError, match="tiles is 10; it must be from 2 to 9"):
        pretext.permutation_set(5, tiles=10)


def keys(count, seed=0):
    return example_keys(seed, 0, tf.range(count))


def ramps(count, side):
    """Images whose first channel tells the row of a pixel, the second the column."""
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    return np.repeat(np.stack([rows, columns, rows], axis=-1)[None], count, axis=0).astype("float32")


def test_tiles_are_where_the_permutation_says(monkeypatch):
    monkeypatch.setattr(pretext, "standardised", lambda images: images)
    permutations = np.array([[2, 0, 3, 1], [0, 1, 2, 3]])
    tiles, labels = pretext.jigsaw_puzzles(permutations, tile=6, colour_shift=0)(ramps(200, 20), keys(200))
    assert tiles.shape == (200, 4, 6, 6, 3) and set(labels.numpy()) == {0, 1}
    corners = tiles[:, :, 0, 0, :2].numpy()
    sources = permutations[labels]
    within = corners - 10 * np.stack([sources // 2, sources % 2], axis=-1)
    assert within.min() == 0 and within.max() == 4  # of a cell of 10, all places of a tile of 6
    counts = np.bincount(within[:, 0, 0].astype(int))
    assert counts.min() > 20  # each of five places about 40 times
    rows = tiles[0, 0, :, 0, 0] - tiles[0, 0, 0, 0, 0]
    np.testing.assert_array_equal(rows, np.arange(6))


def test_each_colour_is_shifted_by_itself_but_not_out_of_the_image(monkeypatch):
    monkeypatch.setattr(pretext, "standardised", lambda images: images)
    tiles, _ = pretext.jigsaw_puzzles(np.array([[0]]), tile=8, colour_shift=2)(ramps(2000, 12), keys(2000))
    apart = (tiles[:, 0, 0, 0, 0] - tiles[:, 0, 0, 0, 2]).numpy()  # both tell the row
    assert apart.min() == -4 and apart.max() == 4
    assert tiles.numpy().min() == 0 and tiles.numpy().max() == 11


def test_tiles_have_no_level_and_no_contrast_of_their_own_and_come_again():
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3)).astype("uint8")
    task = pretext.jigsaw_puzzles(pretext.permutation_set(5, tiles=4), tile=5)
    tiles, labels = task(images, keys(3))
    np.testing.assert_allclose(np.mean(tiles, axis=(2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(tiles, axis=(2, 3)), 1, atol=1e-3)
    again, same = task(images[1:], keys(3)[1:])
    np.testing.assert_allclose(again, tiles[1:], atol=1e-5)
    np.testing.assert_array_equal(same, labels[1:])
    with pytest.raises(ValueError, match="images of 8 pixels have cells of 4; a tile has 5"):
        task(images[:, :8, :8], keys(3))
    with pytest.raises(ValueError, match="permutations are of 3 tiles; it must be a square"):
        pretext.jigsaw_puzzles(pretext.permutation_set(5, tiles=3))


@pytest.mark.slow
def test_the_second_patch_lies_where_the_label_says(monkeypatch):
    monkeypatch.setattr(pretext, "prepare_patches", lambda patches, *others: patches)
    pairs, labels = pretext.patch_pairs(side=6, gap=3, jitter=1)(ramps(800, 20), keys(800))
    assert pairs.shape == (800, 2, 6, 6, 3) and np.bincount(labels, minlength=8).min() > 60
    first, second = pairs[:, 0, 0, 0, :2].numpy(), pairs[:, 1, 0, 0, :2].numpy()
    names = {"top": (-1, 0), "bottom": (1, 0), "left": (0, -1), "right": (0, 1)}
    for number, name in enumerate(pretext.NEIGHBOURS):
        expected = 9 * np.sum([names[word] for word in name.split()], axis=0)
        moved = (second - first)[labels == number] - expected
        assert np.abs(moved).max() == 2  # each by up to one pixel
        assert len(np.unique(first[labels == number], axis=0)) > 5
    assert min(first.min(), second.min()) == 0 and max(first.max(), second.max()) == 14
    with pytest.raises(ValueError, match="images are 14x14; two patches and the gap between take 15 pixels"):
        pretext.patch_pairs(side=6, gap=3)(ramps(1, 14), keys(1))


def test_of_the_colours_one_is_kept_or_green_and_magenta_are_not_told_apart():
    patches = np.random.default_rng(0).integers(0, 256, (64, 12, 12, 3)).astype("uint8")
    centred = patches - patches.mean(axis=(1, 2), keepdims=True)
    dropped = pretext.prepare_patches(patches, keys(64), "drop", 0.0).numpy()
    np.testing.assert_allclose(np.sqrt((dropped**2).mean(axis=(1, 2, 3))), 50, rtol=1e-4)
    deviations = dropped.std(axis=(1, 2))
    kept = deviations.argmax(axis=1)
    assert np.bincount(kept, minlength=3).min() > 10
    noise = np.sort(deviations, axis=1)[:, :2].mean() / deviations.max(axis=1).mean()
    assert noise == pytest.approx(0.01, rel=0.05)
    for patch, original, channel in zip(dropped[:5], centred, kept, strict=False):
        ratio = patch[..., channel] / original[..., channel]
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-3)
    projected = pretext.prepare_patches(patches, keys(64), "project", 0.0).numpy()
    np.testing.assert_allclose(projected @ [-1, 2, -1], 0, atol=1e-3)
    grey = np.repeat(patches[..., :1], 3, axis=-1)  # has nothing in that direction
    same = pretext.prepare_patches(grey, keys(64), "project", 0.0)
    np.testing.assert_allclose(same, pretext.prepare_patches(grey, keys(64), "keep", 0.0), atol=1e-3)
    with pytest.raises(ValueError, match="colours is 'none'; it must be one of"):
        pretext.patch_pairs(colours="none")


def test_a_share_of_the_patches_is_pixelated():
    patches = np.random.default_rng(0).integers(0, 256, (60, 24, 24, 3)).astype("uint8")
    sharp = pretext.prepare_patches(patches, keys(60), "keep", 0.0).numpy()
    some = pretext.prepare_patches(patches, keys(60), "keep", 1 / 3).numpy()
    changed = np.abs(sharp - some).max(axis=(1, 2, 3)) > 1e-3
    assert 0.15 < changed.mean() < 0.55
    sized = np.abs(np.diff(some, axis=2)).mean(axis=(1, 2, 3))
    assert sized[changed].mean() < 0.9 * sized[~changed].mean()  # smoother


def test_colours_are_those_of_every_fourth_pixel():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3)).astype("uint8")
    lab = rgb2lab(images)
    lightness, colours = pretext.lightness_and_colours(4)(images, None)
    np.testing.assert_allclose(lightness, lab[..., :1] - 50, atol=0.02)
    np.testing.assert_allclose(colours, lab[:, ::4, ::4, 1:], atol=0.02)


def test_colours_are_counted_at_the_nearest_bin():
    colours = np.zeros((1, 1, 3, 2), "float32")
    colours[0, 0] = [(2, -4), (-4, 3), (26, 31)]
    counts = pretext.count_colours([(None, colours)])
    numbers = {tuple(AB_BINS[number].astype(int)): counts[number] for number in np.flatnonzero(counts)}
    assert numbers == {(0, 0): 2, (30, 30): 1}


def test_a_resumed_epoch_has_the_same_puzzles():
    task = pretext.jigsaw_puzzles(pretext.permutation_set(5, tiles=4), tile=12)
    images = digits("train").take(12).task(task, range(5))
    order = {"seed": 3, "epoch": 2, "shuffle": True}
    whole = list(images.batches(4, **order))
    ((tiles, labels),) = images.batches(4, skip=2, count=1, **order)
    np.testing.assert_array_equal(tiles, whole[2][0])
    np.testing.assert_array_equal(labels, whole[2][1])
    other = next(iter(images.batches(4, **{**order, "epoch": 3})))
    assert np.abs(other[0] - whole[0][0]).max() > 1
