"""The windows that R-CNN is fine-tuned on: which, how many of each, and what is in them."""

import numpy as np
import pytest
from PIL import Image

from keras_cnns.data.windows import one_in_four, warp_window, window_labels, windows


def test_three_of_the_background_behind_each_object():
    labels = np.array([0] * 50 + [1, 2, 3] + [-1] * 5 + [0] * 50)
    order = one_in_four(labels, 1)
    assert sorted(order[::4]) == [50, 51, 52]
    others = np.delete(order, [0, 4, 8])
    assert len(set(others)) == 9 and (labels[others] == 0).all()
    assert order.tolist() == one_in_four(labels, 1).tolist() != one_in_four(labels, 2).tolist()


def test_a_background_of_one_is_repeated():
    assert one_in_four(np.array([1, 0, 1]), 0)[1::4].tolist() == [1, 1]


@pytest.mark.parametrize("labels", [[0, 0], [1, -1]])
def test_both_are_needed(labels):
    with pytest.raises(ValueError, match="both are needed"):
        one_in_four(np.array(labels), 0)


@pytest.fixture
def photos(tmp_path):
    """Two photos, red on grey and blue on grey, with their objects, two proposals that overlap them and some not."""
    found = []
    for number, colour in enumerate([(200, 0, 0), (0, 0, 200)]):
        image = np.full((60, 80, 3), 100, "uint8")
        image[10:30, 20:50] = colour
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        boxes = [[20, 10, 50, 30], [22, 10, 50, 30], [20, 12, 50, 30], [0, 40, 20, 60], [55, 30, 80, 60], [0, 0, 9, 9]]
        found.append({"path": tmp_path / f"{number}.png", "boxes": np.float32(boxes), "labels": np.array([number])})
    return found


def test_labels_of_the_windows(photos):
    assert [each.tolist() for each in window_labels(photos)] == [[1, 1, 1, 0, 0, 0], [2, 2, 2, 0, 0, 0]]


def test_batches_have_a_quarter_of_objects_and_show_them(photos):
    images = windows(photos, ["red", "blue"], "test").each(warp_window(8, 0, (100, 100, 100)))
    assert len(images) == 24 and images.labels == ["background", "red", "blue"]
    assert "2 photos, 6 windows of objects, 6 of not" in images.description
    for pixels, labels in images.batches(8, shuffle=True, drop_remainder=True):
        assert pixels.shape == (8, 8, 8, 3) and pixels.dtype == "float32" and labels.dtype == "int64"
        assert np.sum(labels > 0) == 2
        for window, label in zip(pixels.numpy(), labels.numpy(), strict=True):
            expected = [(0, 0, 0), (100, -100, -100), (-100, -100, 100)][label]
            np.testing.assert_allclose(window[1:-1, 1:-1].mean(axis=(0, 1)), expected, atol=1)


@pytest.mark.slow
def test_a_seed_gives_the_same_windows_and_half_are_mirrored(photos):
    each = warp_window(8, 2, (100.0, 100.0, 100.0), flip=True)
    images = windows(photos, ["red", "blue"], "test", most=12).each(each)
    assert len(images) == 12

    def drawn(epoch):
        return next(iter(images.batches(12, seed=3, epoch=epoch, shuffle=True)))

    first, again, other = drawn(0), drawn(0), drawn(1)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    plain = windows(photos, ["red", "blue"], "test", most=12).each(warp_window(8, 2, (100.0, 100.0, 100.0)))
    unturned, _ = next(iter(plain.batches(12, seed=3, epoch=0, shuffle=True)))
    turned = [not np.allclose(a, b) for a, b in zip(first[0], unturned, strict=True)]
    for ours, theirs, differs in zip(first[0].numpy(), unturned.numpy(), turned, strict=True):
        np.testing.assert_allclose(ours, theirs[:, ::-1] if differs else theirs, atol=1e-4)
    assert any(turned)
