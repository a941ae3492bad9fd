"""Batches that begin anywhere, from every source, and images that cannot be read."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.data import digits, folder_images, statistics, tfds_images
from keras_cnns.data.augmentation import (
    Cut,
    centre_crop,
    pad_and_crop,
    random_area_crop,
    random_flip,
    random_scaled_crop,
    resize_shorter_side,
    scaled_centre_crop,
)
from keras_cnns.data.pipeline import decode_and_cut

skimage_data = pytest.importorskip("skimage.data")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture
def folder(tmp_path):
    """Photographs of scikit-image, cut into overlapping pieces of different sizes, by class."""
    for number, name in enumerate(PHOTOGRAPHS):
        photograph = getattr(skimage_data, name)()
        (tmp_path / name).mkdir()
        for piece in range(5):
            cut = photograph[10 * piece : 200 + 5 * piece, 15 * piece : 260 + piece]
            if (number + piece) % 2:
                (tmp_path / name / f"{piece}.png").write_bytes(tf.io.encode_png(cut).numpy())
            else:
                (tmp_path / name / f"{piece}.jpg").write_bytes(tf.io.encode_jpeg(cut).numpy())
    return tmp_path


def square(images):
    return images.each(resize_shorter_side(64), centre_crop(64))


def equal(one, two):
    for (images, labels), (others, their_labels) in zip(one, two, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, their_labels)


def augmented_digits():
    return digits("train").map(pad_and_crop(4), random_flip)


def augmented_folder(folder):
    return square(folder_images(folder, "train")).map(pad_and_crop(4), random_flip)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["memory", "stream"])
def test_batches_from_any_step_on_are_those_of_the_whole_epoch(source, folder):
    images = augmented_digits() if source == "memory" else augmented_folder(folder)
    size = 128 if source == "memory" else 3
    epoch = {"seed": 3, "epoch": 2, "shuffle": True, "drop_remainder": True}
    whole = list(images.batches(size, count=7, **epoch))
    equal(whole, images.batches(size, count=7, **epoch))
    equal(whole[4:], images.batches(size, skip=4, count=3, **epoch))
    other = next(iter(images.batches(size, **{**epoch, "epoch": 3})))
    assert not np.array_equal(whole[0][0], other[0])


def test_an_epoch_has_every_image_once_and_starts_over_only_when_asked():
    images = digits("test")
    labels = np.concatenate([labels for _, labels in images.batches(300, shuffle=True)])
    assert sorted(labels) == sorted(images.arrays[1]) and len(labels) == 1000
    assert [len(labels) for _, labels in images.batches(300)] == [300, 300, 300, 100]
    assert [len(labels) for _, labels in images.batches(300, drop_remainder=True)] == [300, 300, 300]
    assert len(list(images.batches(300, drop_remainder=True, count=5))) == 5


def test_augmentation_of_an_image_does_not_depend_on_its_batch():
    images = augmented_digits()
    small = np.concatenate([batch for batch, _ in images.batches(100, seed=1, count=4)])
    large = np.concatenate([batch for batch, _ in images.batches(400, seed=1, count=1)])
    np.testing.assert_array_equal(small, large)


def test_digits_are_4000_and_1000_real_ones_of_every_class():
    train, test = digits("train"), digits("test", channels=3)
    assert train.arrays[0].shape == (4000, 32, 32, 1) and test.arrays[0].shape == (1000, 32, 32, 3)
    assert (np.bincount(train.arrays[1]) == 400).all() and (np.bincount(test.arrays[1]) == 100).all()
    both = {image.tobytes() for image in train.arrays[0]} & {image[..., :1].tobytes() for image in test.arrays[0]}
    assert not both  # nothing is trained on and tested on
    assert (train.arrays[0][:, :2] == 0).all() and train.arrays[0].max() == 255


def test_a_folder_by_class(folder):
    train, test = folder_images(folder, "train"), folder_images(folder, "test")
    assert train.labels == test.labels == list(PHOTOGRAPHS)
    assert (len(train), len(test)) == (16, 4)
    names = [{name for _, name, _, _ in each.records().as_numpy_iterator()} for each in (train, test)]
    assert len(names[0] | names[1]) == 20 and not names[0] & names[1]
    images, labels = next(iter(square(test).batches(8)))
    assert images.shape == (4, 64, 64, 3) and images.dtype == tf.uint8
    assert sorted(labels.numpy()) == [0, 1, 2, 3]


def test_a_folder_divided_into_train_and_val(folder, tmp_path):
    root = tmp_path / "divided"
    root.mkdir()
    for part, names in (("train", PHOTOGRAPHS), ("val", PHOTOGRAPHS)):
        for name in names:
            (root / part / name).mkdir(parents=True)
            (root / part / name / "a.jpg").write_bytes(tf.io.encode_jpeg(skimage_data.chelsea()).numpy())
    assert len(folder_images(root, "train")) == len(folder_images(root, "test")) == 4


def test_a_test_folder_is_numbered_by_the_training_folders_classes(tmp_path):
    picture = tf.io.encode_jpeg(skimage_data.chelsea()).numpy()
    for path in ("train/cat", "train/dog", "train/.ipynb_checkpoints", "train/cat/.hidden", "test/dog"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "a.jpg").write_bytes(picture)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    train, test = folder_images(tmp_path, "train"), folder_images(tmp_path, "test")
    assert train.labels == test.labels == ["cat", "dog"]
    assert [label for _, _, _, label in test.records().as_numpy_iterator()] == [1]
    assert len(train) == 2 and "1 files with other endings left out" in train.description
    (tmp_path / "test" / "zebra").mkdir()
    with pytest.raises(ValueError, match=r"has the class 'zebra'; the classes of .*train are cat, dog"):
        folder_images(tmp_path, "test")


@pytest.mark.slow
def test_corrupt_images_are_named_counted_and_left_out(folder, capfd):
    """A JPEG and a PNG that are cut off, two that are text, two that are empty."""
    victims = [folder / name for name in ("coffee/2.jpg", "coffee/3.png", "rocket/1.jpg", "rocket/2.png")]
    victims += [folder / name for name in ("astronaut/2.jpg", "astronaut/3.png")]
    for number, victim in enumerate(victims):
        victim.write_bytes([victim.read_bytes()[:400], b"not an image", b""][number // 2])
    seen = []
    for split in ("train", "test"):
        images = square(folder_images(folder, split))
        seen.append(sum(len(labels) for _, labels in images.batches(3)))
        list(images.batches(3, epoch=1))
        seen.append(sorted(images.corrupt))
    assert seen[0] + seen[2] == 14
    assert sorted(seen[1] + seen[3]) == sorted(map(str, victims))  # each once, though read twice
    message = capfd.readouterr().err
    assert all(message.count(f"{victim} cannot be decoded") == 1 for victim in victims)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [random_area_crop(64), random_scaled_crop(70, 100, 64), scaled_centre_crop(80, 64)])
def test_cutting_before_decoding_gives_the_pixels_of_cutting_after_it(folder, cut):
    """PNG files are among them, and JPEG with colours at half the width and at the whole."""
    for name in PHOTOGRAPHS:
        encoded = tf.io.encode_jpeg(getattr(skimage_data, name)()[:301, :277], chroma_downsampling=False)
        (folder / name / "full_colours.jpg").write_bytes(encoded.numpy())
    images = folder_images(folder, "train")
    after = images.each(lambda image, key: cut(image, key))  # no Cut: the whole image comes to it
    equal(images.each(cut).batches(4, epoch=1), after.batches(4, epoch=1))


def test_only_the_part_is_decoded(monkeypatch):
    """The box asked of the decoder is the part and a column on either side, inside the image."""
    boxes, decode_and_crop = [], tf.image.decode_and_crop_jpeg

    def spy(encoded, box, *arguments, **options):
        boxes.append(box.numpy().tolist())
        return decode_and_crop(encoded, box, *arguments, **options)

    monkeypatch.setattr(tf.image, "decode_and_crop_jpeg", spy)
    encoded = tf.io.encode_jpeg(skimage_data.coffee())  # 400x600
    for part in ((100, 200, 50, 60), (0, 0, 400, 600), (399, 599, 1, 1)):
        cut = Cut(lambda shape, key, part=part: (tf.unstack(tf.constant(part)), lambda piece: piece))
        pixels = decode_and_cut(encoded, 3, "INTEGER_FAST", cut, None)
        top, left, height, width = part
        np.testing.assert_array_equal(pixels, tf.io.decode_jpeg(encoded)[top : top + height, left : left + width])
    assert boxes == [[100, 199, 50, 62], [0, 0, 400, 600], [399, 598, 1, 2]]


@pytest.mark.slow
def test_a_jpeg_cut_off_below_the_part_is_still_named(folder):
    """Half the file is there, and decoding the top rows alone would not notice."""
    victim = next(file for file in sorted((folder / "coffee").iterdir()) if file.suffix == ".jpg")
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size * 2 // 3])
    top = Cut(lambda shape, key: ((0, 0, 8, 8), lambda pixels: tf.ensure_shape(pixels, (8, 8, 3))))
    corrupt = []
    for split in ("train", "test"):
        images = folder_images(folder, split).each(top)
        list(images.batches(3))
        corrupt += images.corrupt
    assert corrupt == [str(victim)]


@pytest.mark.slow
def test_the_accurate_transform_is_that_of_pillow(tmp_path):
    """Pillow decodes by libjpeg's accurate transform; the fast one differs from it by a few levels."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        encoded = tf.io.encode_jpeg(skimage_data.coffee()[:320, :320], chroma_downsampling=False).numpy()
        (tmp_path / name / "a.jpg").write_bytes(encoded)
        (tmp_path / name / "b.jpg").write_bytes(encoded)
    pillow = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    images = folder_images(tmp_path, "train")
    difference = {}
    for dct in ("fast", "accurate"):
        for cut in ((), (scaled_centre_crop(320, 320),)):
            (batch, _), *_ = images.jpeg(dct).each(*cut).batches(1)
            difference.setdefault(dct, []).append(abs(batch[0].numpy() - pillow).max())
    assert difference["accurate"] == [0, 0] and 0 < difference["fast"][0] == difference["fast"][1] < 24
    with pytest.raises(ValueError, match="dct is 'slow'; it must be one of 'fast', 'accurate'"):
        images.jpeg("slow")


def test_strict_makes_a_corrupt_image_fatal(folder):
    victim = next((folder / "coffee").glob("2.*"))
    victim.write_bytes(b"nothing")
    with pytest.raises(tf.errors.OpError, match="--strict"):
        for split in ("train", "test"):
            list(square(folder_images(folder, split, strict=True)).batches(3))


@pytest.mark.slow
def test_a_resumed_epoch_with_corrupt_images_goes_on_where_it_was(folder):
    next((folder / "coffee").glob("2.*")).write_bytes(b"nothing")
    epoch = {"seed": 3, "shuffle": True, "drop_remainder": True}
    whole = list(augmented_folder(folder).batches(3, count=9, **epoch))  # 15 or 16 images: it starts over
    equal(whole[5:], augmented_folder(folder).batches(3, skip=5, count=4, **epoch))


@pytest.mark.slow
def test_grey_rgba_and_16_bit_images_become_rgb(folder):
    extra = folder / "chelsea"
    for file in extra.iterdir():
        file.unlink()
    photograph = skimage_data.chelsea()
    (extra / "grey.png").write_bytes(tf.io.encode_png(photograph[..., :1]).numpy())
    (extra / "rgba.png").write_bytes(tf.io.encode_png(np.dstack([photograph, photograph[..., 0]])).numpy())
    (extra / "deep.png").write_bytes(tf.io.encode_png(photograph.astype("uint16") * 256).numpy())
    images = square(folder_images(folder, "train"))
    assert sum(len(labels) for _, labels in images.batches(4)) == len(images)
    assert not images.corrupt


def test_a_folder_that_will_not_do_is_refused(tmp_path, folder):
    with pytest.raises(ValueError, match="is not a folder"):
        folder_images(tmp_path / "nowhere", "train")
    (tmp_path / "flat").mkdir()
    with pytest.raises(ValueError, match="one a class"):
        folder_images(tmp_path / "flat", "train")
    (tmp_path / "flat").rmdir()
    with pytest.raises(ValueError, match="split is 'valid'; it must be one of 'train', 'test'"):
        folder_images(folder, "valid")
    with pytest.raises(ValueError, match="split is 'trian'"):
        digits("trian")
    with pytest.raises(ValueError, match="only images held in memory"):
        folder_images(folder, "train").take(3)
    with pytest.raises(ValueError, match="only images held in memory can be repeated"):
        folder_images(folder, "train").repeated(3)
    (folder / "unicorn").mkdir()
    with pytest.raises(ValueError, match=r"unicorn has no train images"):
        folder_images(folder, "train")


def test_an_epoch_of_several_passes_has_every_image_so_often():
    few = digits("train").take(5)
    (images, labels), *_ = few.repeated(3).batches(15, shuffle=True, seed=1)
    assert len(images) == 15 and sorted(labels.numpy()) == sorted(np.repeat(few.arrays[1], 3))


@pytest.mark.slow
def test_tfds_offline_in_memory_and_streamed(tmp_path):
    """A data set prepared in a folder, read without a network: one of small equal images, one of photographs."""
    tfds = pytest.importorskip("tensorflow_datasets")
    digits_images, digits_labels = digits("train").arrays
    photographs = [getattr(skimage_data, name)() for name in PHOTOGRAPHS]
    for name, images, labels, shape in (
        ("small_digits", digits_images[:50], digits_labels[:50], (32, 32, 1)),
        ("unlabelled", digits_images[:5], None, (32, 32, 1)),
        ("photographs", photographs, [0, 1, 2, 3], (None, None, 3)),
    ):
        classes = 10 if name == "small_digits" else 4
        features = {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(num_classes=classes)}
        signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int64)}
        if labels is None:
            del features["label"], signature["label"]
        pairs = [
            {"image": image, **({"label": labels[i]} if labels is not None else {})} for i, image in enumerate(images)
        ]
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"train": tf.data.Dataset.from_generator(pairs.__iter__, output_signature=signature)},
            data_dir=str(tmp_path),
            disable_shuffling=name != "photographs",
        )
    small = tfds_images("small_digits", "train", str(tmp_path))
    np.testing.assert_array_equal(small.arrays[0], digits_images[:40])
    assert "small_digits/1.0.0 train[:80%], 40 images" in small.description
    assert len(tfds_images("small_digits", "test", str(tmp_path))) == 10

    large = tfds_images("photographs", "train", str(tmp_path))
    assert large.arrays is None
    order = {"seed": 1, "shuffle": True, "count": 3}
    equal(square(large).batches(2, **order), square(large).batches(2, **order))
    originals = [image.shape for _, _, image, _ in large.records().as_numpy_iterator() if isinstance(image, np.ndarray)]
    assert not originals  # they stay encoded until they are needed

    # A set of one split is divided, and nothing is both trained on and tested on.
    parts = [tfds_images("photographs", split, str(tmp_path)) for split in ("train", "test")]
    names = [{name for _, name, _, _ in part.records().as_numpy_iterator()} for part in parts]
    assert [len(part) for part in parts] == [3, 1] and len(names[0] | names[1]) == 4
    assert tfds_images("small_digits", "train", str(tmp_path), channels=3).arrays[0].shape == (40, 32, 32, 3)

    alone = tfds_images("unlabelled", "train", str(tmp_path), labels=False)
    assert alone.labels == ["unlabelled"] and len(alone) == 4
    np.testing.assert_array_equal(alone.arrays[0], digits_images[:4])
    with pytest.raises(ValueError, match="'unlabelled' has image; an 'image' and a class 'label' are needed"):
        tfds_images("unlabelled", "train", str(tmp_path))

    with pytest.raises(ValueError, match="has no split 'validation'; it has train"):
        tfds_images("photographs", "validation", str(tmp_path))
    with pytest.raises(ValueError, match="'no_such_set' is not prepared in"):
        tfds_images("no_such_set", "train", str(tmp_path))


def test_statistics_are_numpys():
    images = digits("test")
    mean, covariance = statistics(images, batch_size=300)
    np.testing.assert_allclose(mean, images.arrays[0].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(covariance, [[images.arrays[0].astype("float64").var()]], rtol=1e-5)
    photograph = skimage_data.coffee()
    three = digits("test", channels=3)
    three.arrays = (np.stack([photograph[:300, :300], photograph[100:, 300:]]), np.array([0, 1]))
    three.size = 2
    _, covariance = statistics(three)
    np.testing.assert_allclose(covariance, np.cov(three.arrays[0].reshape(-1, 3).T, bias=True), rtol=1e-4)
