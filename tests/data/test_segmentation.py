"""Masks: how they are read, what is left out and said of it, and that an image and its mask stay together."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.data import Images, camvid, digit_masks, mask_folders, median_frequency_weights, segmentation, voc_masks
from keras_cnns.data.augmentation import one, random_crop, random_flip, subtract_mean
from keras_cnns.data.segmentation import VOID, both, fit_both, image_alone, resize_both

HEIGHT, WIDTH = 12, 16


def picture(seed=0, size=(HEIGHT, WIDTH)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), "uint8")


def save(path, array, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Image.fromarray(array)
    if palette is not None:
        file.putpalette(palette)
    file.save(path)


@pytest.fixture
def folder(tmp_path):
    """A folder with three pairs of classes 0 and 1 and the void label 2."""
    for number in range(3):
        save(tmp_path / f"train/{number}.png", picture(number))
        mask = np.full((HEIGHT, WIDTH), number % 2, "uint8")
        mask[0, 0] = 2
        save(tmp_path / f"trainannot/{number}.png", mask)
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    return tmp_path


def loaded(images, **order):
    """Lists of the images and of the masks."""
    batches = list(images.batches(1, **order))
    return [image[0].numpy() for image, _ in batches], [mask[0].numpy() for _, mask in batches]


@pytest.mark.slow
def test_images_and_masks_of_folders(folder):
    images = mask_folders(folder, "train", void=2)
    assert (images.labels, len(images)) == (["road", "sky"], 3)
    pictures, masks = loaded(images)
    for number in range(3):
        np.testing.assert_array_equal(pictures[number], picture(number))
        expected = np.full((HEIGHT, WIDTH), number % 2)
        expected[0, 0] = VOID
        np.testing.assert_array_equal(masks[number], expected)
        assert masks[number].dtype == np.uint8
    pictures, shuffled = loaded(images, shuffle=True, seed=1, epoch=4)
    for image, mask in zip(pictures, shuffled, strict=True):  # each still has its own
        number = next(n for n in range(3) if np.array_equal(image, picture(n)))
        assert mask[1, 1] == number % 2
    held = images.in_memory()
    np.testing.assert_array_equal(loaded(held)[1], masks)
    assert held.arrays[1].dtype == np.uint8


def test_a_folder_val_is_the_test_where_there_is_no_other(folder):
    for part in ("val", "valannot"):
        (folder / f"train{part.removeprefix('val')}").rename(folder / part)
    assert len(mask_folders(folder, "test", ["a", "b"], void=2)) == 3
    with pytest.raises(ValueError, match="no folders train and trainannot"):
        mask_folders(folder, "train", void=2)
    (folder / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"no classes\.txt"):
        mask_folders(folder, "test", void=2)


def test_camvid_has_segnets_classes_and_its_void(tmp_path):
    save(tmp_path / "train/a.png", picture())
    save(tmp_path / "trainannot/a.png", (np.arange(HEIGHT * WIDTH) % 12).astype("uint8").reshape(HEIGHT, WIDTH))
    images = camvid(tmp_path, "train", strict=True)
    assert len(images.labels) == 11 and images.labels[:4] == ["sky", "building", "pole", "road"]
    (mask,) = loaded(images)[1]
    assert mask.ravel()[:13].tolist() == [*range(11), VOID, 0]


FAULTS = {
    "unknown label": (np.full((HEIGHT, WIDTH), 7, "uint8"), "has the label 7, not of 0..1 and 2 for none"),
    "another size": (np.zeros((HEIGHT + 1, WIDTH), "uint8"), "has 13x16 pixels, the image 12x16"),
    "colours": (np.zeros((HEIGHT, WIDTH, 3), "uint8"), "has colours"),
    "half a file": (None, "cannot be decoded"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_mask_that_cannot_be_used_is_named_and_left_out(fault, folder, capsys):
    mask, message = FAULTS[fault]
    path = folder / "trainannot/1.png"
    if mask is None:
        path.write_bytes(path.read_bytes()[:45])
    else:
        save(path, mask)
    images = mask_folders(folder, "train", void=2)
    pictures, _ = loaded(images)
    np.testing.assert_array_equal(pictures, [picture(0), picture(2)])
    assert images.corrupt == [str(folder / "train/1.png")]
    said = capsys.readouterr().err
    assert f"left out: {folder / 'train/1.png'}" in said and str(path) in said and message in said
    with pytest.raises(tf.errors.OpError, match=message):
        loaded(mask_folders(folder, "train", void=2, strict=True))


def test_a_corrupt_image_is_said_to_be_that(folder, capsys):
    path = folder / "train/2.png"
    path.write_bytes(path.read_bytes()[:60])
    assert len(loaded(mask_folders(folder, "train", void=2))[0]) == 2
    assert f"{path} cannot be decoded" in capsys.readouterr().err


def test_of_two_images_of_one_name_the_second_is_left_out(folder, capsys):
    twin = folder / "train/1.jpg"
    twin.write_bytes(b"")
    images = mask_folders(folder, "train", void=2)
    assert images.corrupt == [str(folder / "train/1.png")] and len(images) == 3
    assert f"{folder / 'train/1.png'} has the same name as 1.jpg" in capsys.readouterr().err


def test_a_set_without_a_single_mask_is_told(folder):
    for number in range(3):
        (folder / f"trainannot/{number}.png").write_bytes(b"")
    with pytest.raises(ValueError, match="has no image that can be used; 3 were left out"):
        mask_folders(folder, "train", void=2).in_memory()
    with pytest.raises(ValueError, match="has 300 classes; masks of 8 bits hold at most 255"):
        mask_folders(folder, "train", [str(number) for number in range(300)])


@pytest.mark.parametrize("missing", ["train", "trainannot"])
def test_a_missing_mate_is_named_and_left_out(missing, folder, capsys):
    (folder / missing / "1.png").unlink()
    other = folder / {"train": "trainannot", "trainannot": "train"}[missing] / "1.png"
    images = mask_folders(folder, "train", void=2)
    assert len(images) == len(loaded(images)[0]) == 2
    assert images.corrupt == [str(other)]
    assert (
        f"{other} has no {'image' if missing == 'train' else 'mask'} in {folder / missing}" in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match=f"{other} has no"):
        mask_folders(folder, "train", void=2, strict=True)


@pytest.fixture
def voc(tmp_path):
    """VOC's layout: two training images of different sizes, one for the test, with palette masks."""
    root = tmp_path / "VOCdevkit/VOC2012"
    palette = [value for number in range(256) for value in (number, 255 - number, 7)]  # not the indices
    for name, size in {"2007_1": (10, 14), "2007_2": (14, 10), "2008_3": (6, 7)}.items():
        image = Image.fromarray(picture(size=size))
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        image.save(root / f"JPEGImages/{name}.jpg")
        mask = np.zeros(size, "uint8")
        mask[2:5, 2:5], mask[1, 1:6] = 15, 255
        save(root / f"SegmentationClass/{name}.png", mask, palette)
    for name, stems in {"train": "2007_1\n2007_2\n", "val": "2008_3\n", "trainaug": "2007_1\n2007_9\n"}.items():
        (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Segmentation/{name}.txt").write_text(stems)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_by_its_palette(inside, voc):
    images = voc_masks(voc / inside, "train")
    assert len(images.labels) == 21 and images.labels[15] == "person"
    pictures, masks = loaded(images)
    assert [image.shape for image in pictures] == [(10, 14, 3), (14, 10, 3)]
    for mask, size in zip(masks, ((10, 14), (14, 10)), strict=True):
        expected = np.zeros(size)
        expected[2:5, 2:5], expected[1, 1:6] = 15, 255
        np.testing.assert_array_equal(mask, expected)
    (tested,), _ = loaded(voc_masks(voc / inside, "test"))
    assert tested.shape == (6, 7, 3)


def test_voc_by_another_list(voc, capsys):
    images = voc_masks(voc, "train", train_list="trainaug")
    assert len(images) == 1 and "2007_9.png has no image" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"Segmentation/all.txt does not exist"):
        voc_masks(voc, "train", train_list="all")


def test_voc_is_downloaded_where_it_is_not(voc, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    asked = []

    def download(manager, url):
        asked.append(url)
        return voc

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", download)
    assert len(voc_masks(tmp_path / "empty", "train")) == 2
    assert [url.rpartition("/")[2] for url in asked] == ["VOCtrainval_11-May-2012.tar"]

    def refuse(manager, url):
        raise OSError("no network")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", refuse)
    with pytest.raises(ValueError, match="has no VOC2012, and it could not be downloaded: no network"):
        voc_masks(tmp_path / "empty", "train")


def coded(count=6, size=16):
    """Images whose mask is their red channel's value, pixel by pixel."""
    values = np.random.default_rng(1).integers(0, 200, (count, size, size), "uint8")
    arrays = np.repeat(values[..., None], 3, axis=-1), values
    return Images("coded", "", range(200), count, arrays=arrays, mask=segmentation.MaskReader(200))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda images: images.map(both(random_flip)),
        lambda images: images.map(both(random_crop(9))),
        lambda images: images.each(both(one(random_crop(9)))),
        lambda images: images.each(both(one(random_flip))).map(both(random_crop(9)), both(random_flip)),
        lambda images: images.map(image_alone(subtract_mean(0.0)), both(random_crop(9))),
    ],
)
def test_image_and_mask_move_together(change):
    images = change(coded())
    before = np.stack(loaded(coded())[1])
    for epoch in range(3):
        pictures, masks = (np.stack(each) for each in loaded(images, epoch=epoch))
        np.testing.assert_array_equal(pictures[..., 0], masks)
        assert masks.shape != before.shape or (masks != before).any()


def test_scaling_takes_colours_smoothly_and_labels_as_they_are():
    image = tf.constant(picture(3, (8, 8)))
    mask = tf.constant(np.repeat(np.repeat([[0, 9], [4, 255]], 4, axis=0), 4, axis=1).astype("uint8"))
    small, labels = resize_both(2, 2)((image, mask), None)
    assert labels.numpy().tolist() == [[0, 9], [4, 255]]
    mean = image.numpy().reshape(2, 4, 2, 4, 3).mean(axis=(1, 3))
    assert small.dtype == tf.uint8 and np.abs(np.float32(small) - mean).max() < 60  # antialiased: near the block's mean
    _, large = resize_both(16, 24)((image, mask), None)
    assert set(np.unique(large)) == {0, 4, 9, 255}  # nothing in between


def test_padding_is_void():
    image, mask = tf.ones((3, 4, 3)), tf.ones((3, 4), tf.uint8)
    padded, labels = fit_both(5, 6)((image, mask), None)
    expected = np.full((5, 6), 255)
    expected[:3, :4] = 1
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(padded[..., 0], expected == 1)
    for kind in (tf.uint8, tf.float32):  # what is too large is scaled down: 12x4 to 5x1
        padded, labels = fit_both(5, 6)(
            (tf.fill((12, 4, 3), tf.cast(7, kind)), tf.fill((12, 4), tf.cast(2, tf.uint8))), None
        )
        assert labels.numpy().tolist() == [[2, 255, 255, 255, 255, 255]] * 5
        assert padded.dtype == kind and padded[..., 2].numpy().tolist() == [[7, 0, 0, 0, 0, 0]] * 5


def test_median_frequencies_by_hand():
    """Two images of 8 labelled pixels. Class 0: 6 + 3 pixels of 16; 1: 2 of 8; 2: 5 of 8; 3: none."""
    first, second = [0] * 6 + [1] * 2 + [VOID], [0] * 3 + [2] * 5 + [VOID]
    masks = np.array([first, second], "uint8").reshape(2, 3, 3)
    arrays = np.zeros((2, 3, 3, 3), "uint8"), masks
    images = Images("", "", "abcd", 2, arrays=arrays, mask=segmentation.MaskReader(4))
    # Frequencies 9/16, 1/4, 5/8; their median is 9/16.
    np.testing.assert_allclose(median_frequency_weights(images), [1.0, 9 / 4, 9 / 10, 0.0], rtol=1e-6)


def test_without_a_labelled_pixel_there_are_no_frequencies():
    images = Images("void", "", ["a"], 1, arrays=(np.zeros((1, 2, 2, 3), "uint8"), np.full((1, 2, 2), 255, "uint8")))
    with pytest.raises(ValueError, match="void has no pixel with a label"):
        median_frequency_weights(images.labelled(lambda name, image, mask: mask))


def test_digits_have_masks_without_a_download():
    images = digit_masks("test")
    assert images.labels == ["paper", *"0123456789"]
    pixels, masks = images.arrays
    numbers = masks.reshape(len(masks), -1)
    assert (masks[pixels[..., 0] == 0] == 0).all()
    assert all(len(set(each) - {0, VOID}) == 1 for each in numbers)
    assert np.bincount([next(iter(set(each) - {0, VOID})) for each in numbers]).tolist() == [0] + [100] * 10
