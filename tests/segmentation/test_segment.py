"""Label maps of photographs of any size and kind, and the pictures and files made of them."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns import export
from keras_cnns.layers import Preprocessing
from keras_cnns.layers.preprocessing import pixels_of
from keras_cnns.ops import label_maps
from keras_cnns.segmentation import grid_boxes, segment, segment_boxes
from keras_cnns.segmentation.palette import palette
from keras_cnns.segmentation.segment import overlay, write_segmentation


def colour_network(size=(None, None)):
    """A network that calls every pixel by the strongest of red, green and blue."""
    image = keras.Input((*size, 3))
    return keras.Model(image, keras.layers.Identity()(image), name="colours")


def quarters(height, width):
    """A photograph of a red, a green, a blue and a red quarter, and their labels."""
    labels = np.zeros((height, width), "uint8")
    labels[: height // 2, width // 2 :], labels[height // 2 :, : width // 2] = 1, 2
    return np.uint8(200 * np.eye(3))[labels], labels


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (33, 47), (120, 80), (7, 300)])
def test_label_maps_have_the_images_size(size):
    image, labels = quarters(*size)
    (own,) = segment(colour_network(), [image])
    np.testing.assert_array_equal(own, labels)
    assert own.dtype == np.uint8
    (scaled,) = segment(colour_network((24, 36)), [image])  # there and back: right but for the borders
    assert scaled.shape == size
    if min(size) > 30:
        assert np.mean(scaled == labels) > 0.95


def test_several_images_each_of_its_size():
    images, labels = zip(*(quarters(*size) for size in ((5, 6), (50, 20), (5, 6))), strict=True)
    for found, expected in zip(segment(colour_network(), list(images)), labels, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_large_photograph_is_scaled_down_for_the_network_alone():
    seen = []

    class Watching(keras.layers.Layer):
        def call(self, images):
            seen.append(tuple(images.shape[1:3]))
            return images

    image = keras.Input((None, None, 3))
    model = keras.Model(image, Watching()(image))
    picture, labels = quarters(1500, 2000)
    (found,) = segment(model, [picture])
    assert found.shape == (1500, 2000) and np.mean(found == labels) > 0.99
    height, width = seen[-1]
    assert 0.98 * 2**20 < height * width <= 2**20 and width / height == pytest.approx(4 / 3, rel=0.01)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK", "I;16", "I", "YCbCr"])
def test_every_mode(mode, tmp_path):
    picture, labels = quarters(40, 30)
    grey = mode in ("L", "LA", "1", "I;16", "I")
    if mode.startswith("I"):
        image = Image.fromarray(np.full((40, 30), 51_400, "uint16"))  # 200 of 255
        image = image.convert("I") if mode == "I" else image
    else:
        image = Image.fromarray(picture).convert(mode)
    assert image.mode == mode
    (found,) = segment(colour_network(), [image])
    assert found.shape == (40, 30)
    if not grey:
        assert np.mean(found == labels) > 0.99
    if mode.startswith("I"):
        assert np.unique(pixels_of(image, 3)).tolist() == [200]


def test_files_are_read_as_they_are_looked_at(tmp_path):
    picture, labels = quarters(20, 30)
    turned = Image.fromarray(np.rot90(picture).copy())
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    turned.save(tmp_path / "turned.png", exif=exif)
    (found,) = segment(colour_network(), [tmp_path / "turned.png"])
    np.testing.assert_array_equal(found, labels)


def test_what_cannot_be_segmented_is_told(tmp_path):
    network = colour_network()
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    for images, message in (
        (np.zeros((4, 4, 3), "uint8"), "it must be a list of images"),
        ("photo.jpg", "it must be a list of images"),
        ([np.zeros((4, 4, 3))], r"float64 \(4, 4, 3\); it must be uint8"),
        ([np.zeros((4, 4, 2), "uint8")], "it must be uint8"),
        ([tmp_path / "none.jpg"], "there is no image"),
        ([tmp_path / "text.jpg"], "is no whole image"),
        ([tmp_path / "huge.png"], "huge.png is no whole image .*exceeds limit"),
    ):
        with pytest.raises(ValueError, match=message):
            segment(network, images)
    classifier = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()], name="flat")
    with pytest.raises(ValueError, match="flat does not give logits"):
        segment(classifier, [])
    with pytest.raises(ValueError, match="an image of 3x9 pixels is too small for window"):
        image = keras.Input((None, None, 3))
        segment(keras.Model(image, keras.layers.Conv2D(2, 5)(image), name="window"), [np.zeros((3, 9, 3), "uint8")])
    with pytest.raises(ValueError, match="shorter_side must be None"):
        segment(network, [], Preprocessing(4, shorter_side=5))


def test_the_mean_is_subtracted():
    network = colour_network()
    (found,) = segment(network, [quarters(6, 6)[0]], Preprocessing(None, mean=[300.0, 0.0, 0.0]))
    assert 0 not in found  # red is below zero everywhere


def test_label_maps_by_numpy():
    scores = np.random.default_rng(0).normal(size=(2, 7, 5, 9)).astype("float32")
    np.testing.assert_array_equal(label_maps(tf.constant(scores), (7, 5)), scores.argmax(axis=-1))
    scaled = tf.image.resize(scores, (20, 31)).numpy()
    np.testing.assert_array_equal(label_maps(tf.constant(scores), (20, 31)), scaled.argmax(axis=-1))


def test_parts_are_put_together():
    """Two boxes: where they overlap the higher score counts, where there is none background, outside black."""
    pixels = np.zeros((10, 10, 3), "uint8")
    pixels[:, :5, 1], pixels[:, 5:, 2] = 100, 200
    network = colour_network((6, 6))
    boxes = [(0, 0, 6, 6), (3, 2, 9, 8), (-4, -4, 2, 2), (20, 20, 30, 30)]
    found = segment_boxes(network, pixels, boxes)
    expected = np.zeros((10, 10))
    expected[:6, :5], expected[:6, 5:6] = 1, 2
    expected[2:8, 3:5], expected[2:8, 5:9] = 1, 2
    np.testing.assert_array_equal(found, expected)


def test_the_grid_covers_the_image():
    boxes = grid_boxes(37, 61)
    assert len(np.unique(boxes, axis=0)) == len(boxes) and [0, 0, 61, 37] in boxes.tolist()
    assert boxes[:, :2].min() == 0 and boxes[:, 2].max() == 61 and boxes[:, 3].max() == 37
    for share in (0.5, 0.75):
        some = boxes[np.isclose(boxes[:, 2] - boxes[:, 0], share * 61, atol=0.5)]
        covered = np.zeros((37, 61))
        for left, top, right, bottom in some.astype(int):
            covered[top:bottom, left:right] += 1
        assert covered.min() >= 1
    assert 40 <= len(grid_boxes(375, 500)) <= 60  # the paper takes 50
    assert grid_boxes(1, 1).tolist() == [[0, 0, 1, 1]]


def test_the_colours_are_the_data_sets():
    """Pascal VOC's for person (15) and for the outlines, as its development kit prints them; CamVid's road."""
    voc = palette(["background", "aeroplane"])
    assert voc[[1, 2, 3, 15, 255]].tolist() == [
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [192, 128, 128],
        [224, 224, 192],
    ]
    assert palette(["sky", "building", "pole", "road"])[3].tolist() == [128, 64, 128]


def test_a_palette_file_and_an_overlay(tmp_path):
    picture, labels = quarters(8, 6)
    files = write_segmentation(tmp_path, "photo", labels, picture, ["sky", "road", "car"])
    assert [file.name for file in files] == ["photo_labels.png", "photo_overlay.png"]
    with Image.open(files[0]) as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(file, labels)
        np.testing.assert_array_equal(file.convert("RGB"), palette(["sky", "road", "car"])[labels])
    with Image.open(files[1]) as file:
        assert np.asarray(file)[0, 0].tolist() == [(200 + 128) // 2, 64, 64]
    assert overlay(labels, picture, palette([])).dtype == np.uint8


SERVE = """
import sys
import numpy as np
import tensorflow as tf
saved = tf.saved_model.load(sys.argv[1])
image = tf.constant(np.load(sys.argv[2]))
maps = saved.signatures["serving_default"](image[None])
files = saved.signatures["bytes"](tf.constant([tf.io.encode_png(image).numpy()]))
np.testing.assert_array_equal(maps["labels"], files["labels"])
np.save(sys.argv[3], maps["labels"][0])
print(b" ".join(maps["names"].numpy()).decode(), maps["labels"].dtype.name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [(None, None), (24, 36)])
def test_an_export_gives_label_maps_without_this_library(size, tmp_path, without_library):
    model = colour_network(size)
    preprocessing = Preprocessing(None if None in size else size, mean=10.0)
    export(model, tmp_path / "saved", preprocessing, ["r", "g", "b"])
    picture, _ = quarters(41, 30)
    np.save(tmp_path / "image.npy", picture)
    files = [tmp_path / name for name in ("saved", "image.npy", "map.npy")]
    assert without_library(SERVE, *files, folder=tmp_path) == "r g b uint8\n"
    (expected,) = segment(model, [picture], preprocessing)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), expected)


@pytest.mark.parametrize("largest", [10**9, 100])
def test_large_kernels_are_exported_as_variables(largest, tmp_path, monkeypatch):
    """As graph constants they would take many times their memory."""
    monkeypatch.setattr(sys.modules["keras_cnns.export"], "LARGE_KERNEL", largest)
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(5, 3, padding="same", name="fc6")(image))
    export(model, tmp_path / "saved")
    picture, _ = quarters(8, 8)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    assert [tuple(variable.shape) for variable in saved.weights] == ([(3, 3, 3, 5)] if largest == 100 else [])
    found = saved.signatures["serving_default"](tf.constant(picture[None]))["labels"][0]
    np.testing.assert_array_equal(found, segment(model, [picture])[0])


def test_an_export_that_cannot_be_is_told(tmp_path):
    model = colour_network()
    with pytest.raises(ValueError, match="colours labels pixels"):
        export(model, tmp_path / "m.onnx", format="onnx")
    with pytest.raises(ValueError, match="preprocessing cuts images"):
        export(model, tmp_path / "saved", Preprocessing(4, shorter_side=5))
    with pytest.raises(ValueError, match="labels has 2 names"):
        export(model, tmp_path / "saved", labels=["a", "b"])
    classifier = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()], name="free")
    with pytest.raises(ValueError, match="preprocessing must say to which"):
        export(classifier, tmp_path / "saved", Preprocessing(None))
