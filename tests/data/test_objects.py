"""Objects cut out of VOC's images, for DeconvNet."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.data.objects import object_crop, voc_objects
from keras_cnns.data.random import example_keys

SIZE = (40, 60)


@pytest.fixture
def voc(tmp_path):
    """One image with a person (15) and two cars (7), one image with a car; void around the person."""
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name, objects in {"a": [(15, 5, 8), (7, 20, 30), (7, 20, 5)], "b": [(7, 2, 2)]}.items():
        classes, numbers = np.zeros(SIZE, "uint8"), np.zeros(SIZE, "uint8")
        for number, (label, top, left) in enumerate(objects, 1):
            classes[top : top + 10, left : left + 20] = label
            numbers[top : top + 10, left : left + 20] = number
        if name == "a":
            classes[4, 8:28] = numbers[4, 8:28] = 255
        for folder, mask in (("Class", classes), ("Object", numbers)):
            Image.fromarray(mask).save(root / f"Segmentation{folder}/{name}.png")
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (*SIZE, 3), "uint8")).save(
            root / f"JPEGImages/{name}.jpg"
        )
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    return tmp_path


def test_each_object_is_an_example_and_the_classes_are_balanced(voc):
    images = voc_objects(voc, "train")
    assert len(images) == 6 and "4 objects, 6 with the repeated ones" in images.description
    found = []
    for _, mask in images.batches(1):
        labels, here = mask[0, ..., 0].numpy(), mask[0, ..., 1].numpy() > 0
        (label,) = set(labels[here])
        found.append((int(label), *map(int, np.argwhere(here)[0]), int(here.sum())))
    assert sorted(found) == [(7, 2, 2, 200), (7, 20, 5, 200), (7, 20, 30, 200)] + [(15, 5, 8, 200)] * 3


FAULTS = {
    "half a file": ("Object", None, "image file is truncated|broken"),
    "another size": ("Object", np.zeros(SIZE[::-1], "uint8"), "b.png has 60x40 pixels, the image 40x60"),
    "unknown label": ("Class", np.full(SIZE, 77, "uint8"), "b.png has the label 77, not of 0..20 and 255 for none"),
}


@pytest.mark.parametrize("fault", [*FAULTS, "no photo"])
def test_files_that_cannot_be_used_are_named(fault, voc, capsys):
    photo = voc / "VOC2012/JPEGImages/b.jpg"
    if fault == "no photo":
        photo.unlink()
        message = "No such file"
    else:
        kind, mask, message = FAULTS[fault]
        path = voc / f"VOC2012/Segmentation{kind}/b.png"
        if mask is None:
            path.write_bytes(path.read_bytes()[:45])
        else:
            Image.fromarray(mask).save(path)
    images = voc_objects(voc, "train")
    said = capsys.readouterr().err
    assert images.corrupt == [str(photo)] and f"{photo} cannot be used with its masks" in said
    assert re.search(message, said)
    assert len(list(images.batches(1))) == len(images) == 4
    with pytest.raises(ValueError, match="cannot be used"):
        voc_objects(voc, "train", strict=True)


def test_a_crop_is_the_extended_box():
    """The object is the 10x20 pixels from (5, 8); 1.2 times as large is 12x24 from (4, 6): scaled by 2 to 24x48, cut
    here to a square of 24, so that columns stay as they are."""
    mask = np.zeros((*SIZE, 2), "uint8")
    mask[5:15, 8:28] = (15, 1)
    mask[4:7, 26:30, 0] = 7  # another, partly over it
    mask[5:7, 26:28, 1] = 0
    mask[15, 8:28, 0] = 255
    image = np.stack(np.broadcast_arrays(np.arange(40)[:, None], np.arange(60), 5), axis=-1).astype("uint8")
    key = example_keys(0, 0, tf.constant(0, tf.int64))
    part, labels = object_crop(24)((tf.constant(image), tf.constant(mask)), key)
    rows, columns = 4 + (np.arange(24) + 0.5) / 2 - 0.5, 6 + np.arange(24)
    np.testing.assert_allclose(part[..., 0], np.broadcast_to(rows[:, None], (24, 24)), atol=0.51)
    np.testing.assert_array_equal(part[..., 1], np.broadcast_to(columns, (24, 24)))
    expected = np.where(mask[4:16, 6:30, 0] == 7, 0, mask[4:16, 6:30, 0])
    np.testing.assert_array_equal(labels, np.repeat(expected, 2, axis=0))
    _, everything = object_crop(24, alone=False)((tf.constant(image), tf.constant(mask)), key)
    np.testing.assert_array_equal(everything, np.repeat(mask[4:16, 6:30, 0], 2, axis=0))


def test_beyond_the_image_is_black_and_void():
    mask = np.zeros((*SIZE, 2), "uint8")
    mask[:20, :30] = (3, 1)
    image = tf.fill((*SIZE, 3), tf.constant(100, tf.uint8))
    part, labels = object_crop(48)((image, tf.constant(mask)), example_keys(0, 0, tf.constant(0, tf.int64)))
    outside = np.zeros((48, 48), bool)
    outside[:4] = outside[:, :4] = True  # a twelfth of 24 and of 36
    np.testing.assert_array_equal(labels == 255, outside)
    np.testing.assert_array_equal(part[..., 0] == 0, outside)


@pytest.mark.slow
def test_proposals_overlap_by_half():
    """By the share of the object that a crop without context shows, and of the crop that the object fills."""
    mask = np.zeros((300, 300, 2), "uint8")
    mask[100:200, 120:180] = (3, 1)
    crop = object_crop(100, context=1.0, overlap=0.5)
    sides = np.stack(np.broadcast_arrays(np.arange(300)[:, None], np.arange(300), 0), axis=-1)
    seen = []
    for index in range(60):
        key = example_keys(0, 0, tf.constant(index, tf.int64))
        part, labels = crop((tf.constant(sides, tf.float32), tf.constant(mask)), key)
        filled = np.mean(np.asarray(labels) == 3)
        # The crop's own area, by the coordinates of its corners in an image that is a ramp (below 256).
        (top, left), (bottom, right) = (part[i, i, :2].numpy().astype(float) for i in (0, 99))
        area = (bottom - top) * (right - left) * (100 / 99) ** 2
        common = filled * area
        seen.append(common / (area + 6000 - common))
    assert min(seen) > 0.47 and max(seen) < 1.01 and np.std(seen) > 0.05
