"""Crops of CamVid by class, and the network trained on them."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.data import Images
from reproductions import camvid_crops, runner, zfnet_camvid


@pytest.fixture
def camvid(tmp_path):
    """Two photographs of 480x360 a split: sky above row 180, road below, and a car of 40x40 at (200, 300)."""
    for split in ("train", "test"):
        for number in range(2):
            labels = np.full((360, 480), 0, "uint8")
            labels[180:] = 3
            labels[200:240, 300:340] = 8
            photograph = np.stack([labels * 20, np.full_like(labels, number), labels], axis=-1)
            for folder, picture in ((split, photograph), (f"{split}annot", labels)):
                (tmp_path / "camvid" / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(tmp_path / "camvid" / folder / f"seq_{number}.png")
    return tmp_path / "camvid"


def test_a_crops_class_fills_half_of_its_middle(camvid, tmp_path, capsys):
    assert camvid_crops.main(["--data-dir", str(camvid), "--out", str(tmp_path / "crops")]) == 0
    assert "train: 12 sky, 0 building, 12 road" in capsys.readouterr().out
    for split in ("train", "test"):
        assert sorted(each.name for each in (tmp_path / "crops" / split).iterdir()) == ["car", "road", "sky"]
        seen = set()
        for file in (tmp_path / "crops" / split).rglob("*.png"):
            crop = np.asarray(Image.open(file))
            label = {"sky": 0, "road": 3, "car": 8}[file.parent.name]
            assert crop.shape == (128, 128, 3) and (crop[48:80, 48:80, 2] == label).mean() >= 0.5
            _, number, row, column = file.stem.split("_")
            assert crop[0, 0, 1] == int(number)
            source = np.asarray(Image.open(camvid / split / f"seq_{number}.png"))
            np.testing.assert_array_equal(crop, source[int(row) :, int(column) :][:128, :128])
            seen.add((file.parent.name, number, int(row), int(column)))
        for name, number, row, column in seen:  # of one class and image 32 pixels apart, on one side or the other
            others = [each[2:] for each in seen if each[:2] == (name, number) and each[2:] != (row, column)]
            assert len(others) < 6 and all(max(abs(row - y), abs(column - x)) >= 32 for y, x in others)


def test_windows_by_hand():
    """Half of the middle 32x32, rows and columns 48 to 79 of a window; a window of 128 pixels must lie in the image."""
    mask = np.zeros((130, 128), bool)
    mask[48:64, 48:80] = True  # 16 of the 32 rows: only the window at the top
    assert camvid_crops.crops_of(mask, 0) == [(0, 0)]
    mask[63] = False
    assert camvid_crops.crops_of(mask, 0) == []


def test_no_more_than_wanted_and_always_the_same(camvid, tmp_path, monkeypatch):
    monkeypatch.setattr(camvid_crops, "MOST", {"train": 5, "test": 1})
    names = []
    for out in ("a", "b"):
        assert camvid_crops.main(["--data-dir", str(camvid), "--out", str(tmp_path / out)]) == 0
        names.append(sorted(str(file.relative_to(tmp_path / out)) for file in (tmp_path / out).rglob("*.png")))
    assert names[0] == names[1]
    for folder, count in (("train/sky", 5), ("train/road", 5), ("test/sky", 1), ("test/road", 1), ("test/car", 1)):
        assert sum(name.startswith(folder) for name in names[0]) == count


def test_what_is_missing_is_said(camvid, tmp_path, capsys):
    assert camvid_crops.main(["--data-dir", str(tmp_path), "--out", str(tmp_path / "crops")]) == 2
    assert "trainannot holds no PNG label maps" in capsys.readouterr().err
    assert camvid_crops.main(["--data-dir", str(camvid), "--out", str(camvid)]) == 2
    assert "is not empty" in capsys.readouterr().err
    (camvid / "train" / "seq_1.png").unlink()
    assert camvid_crops.main(["--data-dir", str(camvid), "--out", str(tmp_path / "crops")]) == 2
    assert "has no photograph seq_1" in capsys.readouterr().err


def recipe(tmp_path, *flags):
    options, parameters = runner.parse(zfnet_camvid.recipe, "zfnet_camvid", ["--out", str(tmp_path), *flags])
    return zfnet_camvid.recipe(runner.Run("zfnet_camvid", options, parameters), **parameters)


@pytest.mark.slow
def test_the_recipe_is_the_papers_at_half_the_size(camvid, tmp_path):
    assert camvid_crops.main(["--data-dir", str(camvid), "--out", str(tmp_path / "crops")]) == 0
    flags = ("--data-dir", str(tmp_path / "crops"), "--batch-size", "4")
    network = recipe(tmp_path, *flags)
    assert network.model.input_shape == (None, 112, 112, 3) and network.train.labels == ["car", "road", "sky"]
    assert network.model.get_layer("conv1").kernel_size == (7, 7)
    images, labels = next(iter(network.test.batches(2)))
    assert images.shape == (2, 112, 112, 3) and labels.shape == (2,)
    assert network.steps == 30 * (len(network.train) // 4)
    alexnet = recipe(tmp_path, *flags, "--network", "alexnet")
    assert alexnet.model.get_layer("conv1").kernel_size == (11, 11)
    figures = zfnet_camvid.occluded(network.model, network.test)
    assert figures["object_by_corner"] == 100 or figures["images"] > 0


def test_the_crops_must_be_named(tmp_path):
    with pytest.raises(ValueError, match="--data-dir must name the folder"):
        recipe(tmp_path)
    with pytest.raises(ValueError, match="--network is 'vgg'"):
        recipe(tmp_path, "--network", "vgg")


def test_covering_the_object_against_covering_a_corner():
    """A network that sees the mean of the middle 16x16: covered it is 0, with a corner covered 4."""
    image = keras.Input((112, 112, 3))
    middle = keras.layers.GlobalAveragePooling2D()(keras.layers.Cropping2D(48)(image))
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(middle))
    model.layers[-1].set_weights([np.float32([[0, 1], [0, 0], [0, 0]])])
    pixels = np.zeros((3, 112, 112, 3), "uint8")
    pixels[:2, ..., 0] = 4
    test = Images("test", "", ["sky", "car"], 3, arrays=(pixels, np.array([1, 1, 1])))  # the third is not named right
    figures = zfnet_camvid.occluded(model, test)
    share = 1 / (1 + np.exp(-4))
    assert figures["images"] == 2
    assert figures["object"] == pytest.approx(50) and figures["corner"] == pytest.approx(100 * share)
    assert figures["object_by_corner"] == pytest.approx(50 / share)
