"""The commands about what was trained, and about photographs: `export`, `predict`, `segment`, `embed` and `sample`."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.__main__ import main
from keras_cnns.layers import Preprocessing
from tests.commands.answers import answers


def test_export_a_run_then_predict(run, saved, capsys):
    capsys.readouterr()
    assert main(["predict", str(saved), str(run / "r.png"), str(run / "b.jpg")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[4]) == (str(run / "r.png"), str(run / "b.jpg"))
    # softmax of (1, 0, 0): e / (e + 2) = 0.5761 and 1 / (e + 2) = 0.2119
    assert [line.split() for line in lines[1:4]] == [["57.61%", "red"], ["21.19%", "green"], ["21.19%", "blue"]]
    assert lines[5].split()[1] == "blue"


def test_export_again_needs_force(run, saved, capsys):
    assert main(["export", str(run), str(saved)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["export", str(run), str(saved), "--force"]) == 0


def test_export_a_keras_file(run, tmp_path, capsys):
    assert main(["export", str(run / "model.keras"), str(tmp_path / "saved")]) == 2
    assert "belongs to a run" in capsys.readouterr().err
    alone = shutil.copy(run / "model.keras", tmp_path)
    assert main(["export", str(alone), str(tmp_path / "saved")]) == 0
    outputs = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"](
        tf.constant(np.uint8([[[[1, 2, 3]]]]))
    )
    assert [label.decode() for label in outputs["labels"].numpy()[0]] == ["2", "1", "0"]


def test_export_nothing(tmp_path, capsys):
    assert main(["export", str(tmp_path / "nothing"), str(tmp_path / "saved")]) == 2
    assert "neither a .keras file nor" in capsys.readouterr().err


def test_predict_goes_on_past_bad_images(run, saved, capsys, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((run / "b.jpg").read_bytes()[:300])
    capsys.readouterr()
    assert main(["predict", str(saved), str(broken), str(tmp_path / "gone.png"), str(run / "r.png")]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == str(run / "r.png")
    first, second = printed.err.splitlines()
    assert first == f"error: {broken}: no whole JPEG, PNG, BMP or GIF image."
    assert second == f"error: {tmp_path / 'gone.png'}: No such file or directory."


def test_predict_nothing(run, saved, capsys, tmp_path):
    assert main(["predict", str(saved), str(tmp_path / "gone.png")]) == 2
    assert "there is no image" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), str(run / "r.png")]) == 2
    assert "is no SavedModel" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "gone"), str(run / "r.png")]) == 2
    assert "gone does not exist; it must be the folder of one" in capsys.readouterr().err


def test_predict_by_a_saved_model_of_another_kind(run, capsys, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    assert main(["predict", str(tmp_path / "other"), str(run / "r.png")]) == 2
    assert "was not written by `export`" in capsys.readouterr().err


def test_predict_by_what_labels_pixels(labelling_run, run, capsys, tmp_path):
    assert main(["export", str(labelling_run), str(tmp_path / "colours")]) == 0
    assert main(["predict", str(tmp_path / "colours"), str(run / "r.png")]) == 2
    assert "colours is no classifier: it gives labels, names, and no classes of whole images" in capsys.readouterr().err


def test_segment_writes_a_palette_picture_and_an_overlay(labelling_run, tmp_path, capsys):
    pixels = np.zeros((30, 45, 3), "uint8")
    pixels[:, :15, 0], pixels[:, 15:, 2] = 200, 200
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "other.jpg", quality=95)
    photos = [str(tmp_path / "photo.png"), str(tmp_path / "other.jpg")]
    assert main(["segment", str(labelling_run), *photos, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "66.67%  car" in printed and "33.33%  sky" in printed and "road" not in printed
    labels = Image.open(tmp_path / "out/photo_labels.png")
    assert labels.mode == "P" and labels.size == (45, 30)
    assert np.asarray(labels)[0, [0, 14, 15, 44]].tolist() == [0, 0, 2, 2]
    assert labels.convert("RGB").getpixel((20, 3)) == (64, 0, 128)  # CamVid's car
    assert Image.open(tmp_path / "out/photo_overlay.png").getpixel((20, 3)) == (32, 0, 164)
    assert (tmp_path / "out/other_overlay.png").exists()


def test_segment_goes_on_after_a_file_that_is_no_image(labelling_run, run, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("RGB", (5, 4)).save(tmp_path / "b.png")
    photos = [str(tmp_path / name) for name in ("none.png", "text.jpg", "b.png")]
    assert main(["segment", str(labelling_run), *photos, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "there is no image" in said.err and "is no whole image" in said.err and "b.png" in said.out
    assert main(["segment", str(run), str(tmp_path / "b.png")]) == 2
    assert "colours does not give logits (batch, height, width, classes)" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "source"), [("segment", "labelling_run"), ("detect", "detector_run")])
def test_photographs_of_one_name_do_not_overwrite_each_other(command, source, request, tmp_path, capsys):
    source = str(request.getfixturevalue(source))
    assert main([command, source, "a/1.jpg", "b/1.png", "--out", str(tmp_path / "out")]) == 2
    assert "a/1.jpg and b/1.png would give files of one name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_labelling_run_is_exported(labelling_run, tmp_path):
    assert main(["export", str(labelling_run), str(tmp_path / "saved")]) == 0
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    answer = saved.signatures["serving_default"](tf.constant([[[[0, 9, 0], [9, 0, 0]]]], tf.uint8))
    assert answer["labels"].numpy().tolist() == [[[1, 0]]] and answer["names"].numpy().tolist() == [
        b"sky",
        b"road",
        b"car",
    ]


def test_embed_writes_features_and_which_are_nearest(run, tmp_path, capsys):
    """The features of the network of colours are the mean colour, divided by 255; a classifier's last layer goes."""
    model = keras.models.load_model(run / "model.keras")
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for name, colour in {"a.png": (255, 0, 0), "b.png": (0, 0, 255), "sub/c.jpg": (200, 0, 0)}.items():
        Image.new("RGB", (9, 7), colour).save(photos / name)
    (photos / "d.png").write_bytes(b"no image")
    (photos / "notes.txt").write_text("")
    assert main(["embed", str(run), str(photos), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "d.png is no whole image" in printed.err and "3 images, 3 features each, of layer " in printed.out
    assert (tmp_path / "out/images.txt").read_text().splitlines() == ["a.png", "b.png", "sub/c.jpg"]
    features = np.load(tmp_path / "out/features.npy")
    np.testing.assert_allclose(features, [[1, 0, 0], [0, 0, 1], [200 / 255, 0, 0]], atol=0.01)
    page = np.asarray(Image.open(tmp_path / "out/neighbours.png"))
    assert page.shape == (3 * 66 - 2, 3 * 66 - 2 + 6, 3)
    assert (page[0, 0] == (255, 0, 0)).all() and abs(page[0, 72].astype(int) - (200, 0, 0)).max() < 4  # a's is c
    assert (page[0, 138] == (0, 0, 255)).all() and abs(page[132, 72].astype(int) - (255, 0, 0)).max() < 4  # c's is a

    encoder = tmp_path / "encoder"  # a run that keeps an encoder, whose last layer is dense
    encoder.mkdir()
    model.save(encoder / "model.keras")
    for name in ("preprocessing.json",):
        shutil.copy(run / name, encoder / name)
    (encoder / "record.json").write_text(json.dumps({"data": {"labels": []}}))
    (photos / "d.png").unlink()
    assert main(["embed", str(encoder), str(photos), "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "out/features.npy"), features, atol=1e-6)  # eye times the mean colour
    assert (
        main(["embed", str(encoder), str(tmp_path / "out"), "--out", str(tmp_path / "two")]) == 0
    )  # neighbours.png alone
    assert main(["embed", str(encoder), str(tmp_path / "gone")]) == 2
    assert "gone is not a folder" in capsys.readouterr().err
    assert main(["embed", str(encoder), str(encoder)]) == 2
    assert "encoder has no images that can be read" in capsys.readouterr().err


def test_an_encoder_is_exported_from_uint8_images_to_features(run, tmp_path, capsys):
    encoder = tmp_path / "encoder"
    shutil.copytree(run, encoder)
    (encoder / "record.json").write_text(json.dumps({"data": {"labels": []}}))
    assert main(["export", str(encoder), str(tmp_path / "saved")]) == 0
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    red = np.zeros((2, 9, 7, 3), "uint8")
    red[..., 0] = 255
    answer = saved.signatures["serving_default"](images=tf.constant(red))
    assert set(answer) == {"features"} and answer["features"].dtype == tf.float32
    np.testing.assert_allclose(answer["features"], [[1, 0, 0]] * 2, atol=1e-6)
    files = [(run / name).read_bytes() for name in ("r.png", "b.jpg")]
    by_bytes = saved.signatures["bytes"](bytes=tf.constant(files))["features"]
    np.testing.assert_allclose(by_bytes, [[1, 0, 0], [0, 0, 1]], atol=0.01)
    assert main(["predict", str(tmp_path / "saved"), str(run / "r.png")]) == 2
    assert "it gives features, and no classes" in capsys.readouterr().err
    assert main(["export", str(encoder), str(tmp_path / "one.onnx"), "--format", "onnx"]) == 2
    assert "colours has no labels; features can be exported as a SavedModel alone" in capsys.readouterr().err


def test_sample_draws_a_grid_and_single_images(run, tmp_path, capsys):
    """From z of 4 to 2x2 pixels of the same values: the picture is enlarged, lines between the images."""
    z = keras.Input((4,))
    keras.Model(z, keras.layers.Reshape((2, 2, 1))(z), name="copier").save(tmp_path / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(2, mean=127.5, scale=1 / 127.5))
    (tmp_path / "preprocessing.json").write_text(json.dumps(preprocessing))
    (tmp_path / "record.json").write_text(json.dumps({"data": {"labels": ["all"]}}))
    words = ["sample", str(tmp_path), "--n", "10", "--seed", "3", "--out", str(tmp_path / "new/grid.png")]
    assert main([*words, "--single", str(tmp_path / "each")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "new/grid.png"), str(tmp_path / "each")]
    values = np.random.default_rng([3, 4]).uniform(-1, 1, (10, 4)).astype("float32") * 127.5 + 127.5
    singles = [np.asarray(Image.open(tmp_path / f"each/{number}.png")).ravel() for number in range(10)]
    np.testing.assert_allclose(singles, values, atol=0.51)
    grid = np.asarray(Image.open(tmp_path / "new/grid.png"))
    times = 500 // 23  # eight images of two pixels and seven lines
    assert grid.shape == (5 * times, 23 * times, 3)
    assert (
        grid[0, 3 * times, 0] == singles[1][0]
        and grid[3 * times, 0, 0] == singles[8][0]
        and grid[0, 2 * times, 0] == 255
    )
    assert main([*words[:2], "--n", "0"]) == 2
    assert "--n is 0; it must be a whole number of at least 1" in capsys.readouterr().err
    assert main(["sample", str(run)]) == 2
    assert "is no run of a generator" in capsys.readouterr().err


def test_predict_as_json(run, saved, capsys):
    capsys.readouterr()
    assert main(["predict", str(saved), str(run / "r.png"), str(run / "b.jpg"), "--json"]) == 0
    first, second = answers(capsys)
    assert first["image"] == str(run / "r.png") and first["labels"] == ["red", "green", "blue"]
    np.testing.assert_allclose(first["probabilities"], [0.5761, 0.2119, 0.2119], atol=1e-4)  # as above
    assert second["classes"][0] == 2
