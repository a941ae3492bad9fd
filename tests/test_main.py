"""The command line: what it prints, and its exit codes."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_cnns
from keras_cnns.__main__ import EXAMPLES, command_line, main
from keras_cnns.layers import Preprocessing
from tests.detection.small import (
    BOXES,
    FOUND,
    IN_THE_CELL,
    LABELS,
    PROPOSED,
    SCORES,
    colour_detector,
    one_cell_detector,
    proposing_detector,
    red_and_blue,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder: a network that names the strongest of red, green and blue."""
    folder = tmp_path_factory.mktemp("run")
    image = keras.Input((4, 4, 3))
    colours = keras.layers.Dense(3, use_bias=False, name="fc")
    model = keras.Model(image, colours(keras.layers.GlobalAveragePooling2D()(image)), name="colours")
    colours.set_weights([np.eye(3)])
    model.save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(4, scale=1 / 255))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    (folder / "record.json").write_text(json.dumps({"data": {"labels": ["red", "green", "blue"]}}))
    for name, colour in {"r.png": (255, 0, 0), "b.jpg": (0, 0, 255)}.items():
        Image.new("RGB", (9, 7), colour).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def saved(run):
    assert main(["export", str(run), str(run / "saved")]) == 0
    return run / "saved"


def test_list_names_every_builder(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}(" in printed for name in keras_cnns.builders())
    assert "export(" not in printed
    assert "cifar_resnet20" in printed


def test_describe_counts_and_compares(capsys):
    assert main(["describe", "cifar_resnet20"]) == 0
    printed = capsys.readouterr().out
    assert "269,722 trainable parameters, 271,098 with moving statistics" in printed  # the paper folder's
    assert "equals the paper's" in printed


def test_describe_a_variant_that_no_paper_prints(capsys):
    assert main(["describe", "resnet_cifar", "depth=14", "classes=5"]) == 0
    assert "No paper prints this variant" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet_cifra"], "there is no network 'resnet_cifra'; did you mean .*resnet_cifar"),
        (["export"], "there is no network 'export'"),
        (["resnet_cifar", "depth"], "'depth' is not of the form key=value"),
        (["alexnet", "deep=20"], "alexnet: .*'deep'; its arguments are"),
        (["resnet_cifar", "depth=21"], "depth is 21; it must be 6n"),
    ],
)
def test_describe_tells_what_was_wrong(arguments, message, capsys):
    assert main(["describe", *arguments]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert re.match(f"error: .*{message}", printed.err) and len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["fly"], ["export"], ["predict", "saved"]])
def test_a_call_that_is_no_call(arguments):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


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


def test_predict_by_a_saved_model_of_another_kind(run, capsys, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    assert main(["predict", str(tmp_path / "other"), str(run / "r.png")]) == 2
    assert "was not written by `export`" in capsys.readouterr().err


def test_predict_by_what_labels_pixels(labelling_run, run, capsys, tmp_path):
    assert main(["export", str(labelling_run), str(tmp_path / "colours")]) == 0
    assert main(["predict", str(tmp_path / "colours"), str(run / "r.png")]) == 2
    assert "colours is no classifier: it gives labels, names, and no classes of whole images" in capsys.readouterr().err


@pytest.fixture(scope="module")
def labelling_run(tmp_path_factory):
    """A run's folder: a network that calls every pixel by the strongest of red, green and blue, at any size."""
    folder = tmp_path_factory.mktemp("labelling")
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Identity()(image), name="colours").save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(None, mean=1.0))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    (folder / "record.json").write_text(json.dumps({"data": {"labels": ["sky", "road", "car"]}}))
    return folder


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


@pytest.fixture(scope="module")
def detector_run(tmp_path_factory):
    """A run's folder: a detector of red and blue boxes, which sees photographs twice as large."""
    folder = tmp_path_factory.mktemp("detector")
    colour_detector().save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(None, shorter_side=80, longest_side=200))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    (folder / "record.json").write_text(json.dumps({"data": {"labels": LABELS}}))
    return folder


@pytest.mark.slow
def test_detect_draws_boxes_and_goes_on_after_a_file_that_is_no_image(detector_run, run, tmp_path, capsys):
    Image.fromarray(red_and_blue()).save(tmp_path / "photo.png")
    photos = [str(tmp_path / "photo.png"), str(tmp_path / "none.png")]
    assert main(["detect", str(detector_run), *photos, "--out", str(tmp_path / "out"), "--score", "0.9"]) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == f"{photos[0]}: {tmp_path / 'out/photo_boxes.png'}"
    assert any("99.33%  red  " in line for line in lines)  # 1 / (1 + e^-5 + e^-10)
    assert any("blue" in line for line in lines)
    assert "there is no image" in printed.err and "none.png" in printed.err
    drawn = np.asarray(Image.open(tmp_path / "out/photo_boxes.png"))
    assert drawn.shape == (40, 60, 3) and (drawn != red_and_blue()).any()
    assert main(["detect", str(run), photos[0]]) == 2
    assert "detect, as fast_rcnn, yolo_detector, faster_rcnn_detector and mask_rcnn do" in capsys.readouterr().err


@pytest.mark.slow
def test_a_detector_is_exported_with_its_boxes(detector_run, tmp_path):
    """The answer is that of `detect` on the same photograph and boxes, and an image's with few boxes ends in zeros."""
    assert main(["export", str(detector_run), str(tmp_path / "saved")]) == 0
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    photo = red_and_blue()
    Image.fromarray(photo).save(tmp_path / "photo.png")
    by_image = saved.signatures["serving_default"](
        images=tf.constant(np.stack([photo, photo])), boxes=tf.constant([BOXES] * 2)
    )
    encoded = tf.constant([(tmp_path / "photo.png").read_bytes()])
    for answer in (by_image, saved.signatures["bytes"](bytes=encoded, boxes=tf.constant(BOXES[None]))):
        assert (
            answer["count"][0] == 2
            and answer["boxes"].shape[1:] == (100, 4)
            and not answer["boxes"][0, 2:].numpy().any()
        )
        np.testing.assert_allclose(answer["boxes"][0, :2], FOUND, rtol=1e-5)
        np.testing.assert_allclose(answer["scores"][0, :2], SCORES, rtol=1e-5)
        assert answer["classes"][0, :2].numpy().tolist() == [0, 1]
        assert answer["labels"][0, :3].numpy().tolist() == [b"red", b"blue", b""]
    none = saved.signatures["bytes"](bytes=encoded, boxes=tf.zeros((1, 0, 4)))
    assert none["count"].numpy().tolist() == [0] and not none["scores"].numpy().any()


ALONE = """
import json, sys, tensorflow as tf
saved = tf.saved_model.load(sys.argv[1])
encoded = tf.constant([open(sys.argv[2], "rb").read()])
answer = saved.signatures["bytes"](bytes=encoded)
photo = tf.io.decode_image(encoded[0])[None]
two = saved.signatures["serving_default"](images=tf.repeat(photo, 2, axis=0))
for name in ("boxes", "scores", "count"):
    tf.debugging.assert_near(tf.cast(two[name][1:], tf.float32), tf.cast(answer[name], tf.float32), atol=1e-3)
found = {name: value.numpy()[0] for name, value in answer.items()}
print(json.dumps({**{name: value.tolist() for name, value in found.items() if name != "labels"},
                  "labels": [each.decode() for each in found["labels"]]}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "preprocessing", "expected"),
    [
        (one_cell_detector, Preprocessing((20, 30)), IN_THE_CELL),
        (
            proposing_detector,
            Preprocessing(None, shorter_side=80, longest_side=200),
            list(zip(SCORES, PROPOSED, [0, 1], strict=True)),
        ),
    ],
)
def test_a_detector_that_needs_no_boxes_detects_and_is_exported(
    build, preprocessing, expected, tmp_path, capsys, without_library
):
    """The SavedModel answers in a process without this library; behind what is found are zeros."""
    run = tmp_path / "run"
    run.mkdir()
    build().save(run / "model.keras")
    (run / "preprocessing.json").write_text(json.dumps(keras.saving.serialize_keras_object(preprocessing)))
    (run / "record.json").write_text(json.dumps({"data": {"labels": LABELS}}))
    photo = str(tmp_path / "photo.png")
    Image.fromarray(red_and_blue()).save(photo)
    assert main(["detect", str(run), photo, "--out", str(tmp_path / "out"), "--score", "0.3"]) == 0
    printed = capsys.readouterr().out.splitlines()[1:]
    shown = [(score, box, label) for score, box, label in expected if score > 0.3]
    for line, (score, box, label) in zip(printed, shown, strict=True):
        share, name, *corners = line.split()
        assert (share, name) == (f"{score:.2%}", LABELS[label])
        assert np.abs(np.float32(corners) - box).max() <= 0.51
    assert np.asarray(Image.open(tmp_path / "out/photo_boxes.png")).shape == (40, 60, 3)

    assert main(["export", str(run), str(tmp_path / "saved")]) == 0
    answer, count = json.loads(without_library(ALONE, tmp_path / "saved", photo, folder=tmp_path)), len(expected)
    assert answer["count"] == count and len(answer["scores"]) == 100 and not any(answer["scores"][count:])
    np.testing.assert_allclose(answer["scores"][:count], [score for score, _, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(answer["boxes"][:count], [box for _, box, _ in expected], rtol=1e-4, atol=1e-3)
    assert answer["classes"][:count] == [label for _, _, label in expected]
    assert answer["labels"] == [LABELS[label] for _, _, label in expected] + [""] * (100 - count)


@pytest.mark.slow
def test_visualize_draws_what_is_asked_for(run, tmp_path, capsys):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="conv1")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv2")(x), name="two")
    model.save(tmp_path / "two.keras")
    arguments = ["visualize", str(tmp_path / "two.keras"), "--images", str(run), "--layer", "conv1", "--figure", "2"]
    assert main([*arguments, "--feature", "1", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(tmp_path / "out" / "index.html") and "fig2_conv1.png" in printed.out
    assert "images" in printed.err  # the progress
    assert main([*arguments[:-3], "conv3"]) == 2
    assert "error: two has no layer 'conv3'; the nearest are conv" in capsys.readouterr().err
    assert main(["visualize", str(run), "--images", str(tmp_path / "gone")]) == 2
    assert f"error: {tmp_path / 'gone'} is no folder of images." in capsys.readouterr().err


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
    assert "d.png is no whole image" in printed.err and "3 images, 3 features each" in printed.out
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
    words = ["sample", str(tmp_path), "--n", "10", "--seed", "3", "--out", str(tmp_path / "grid.png")]
    assert main([*words, "--single", str(tmp_path / "each")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "grid.png"), str(tmp_path / "each")]
    values = np.random.default_rng([3, 4]).uniform(-1, 1, (10, 4)).astype("float32") * 127.5 + 127.5
    singles = [np.asarray(Image.open(tmp_path / f"each/{number}.png")).ravel() for number in range(10)]
    np.testing.assert_allclose(singles, values, atol=0.51)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
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


@pytest.fixture(scope="module")
def commands():
    """Every command's parser by its name."""
    return command_line("keras-cnns")._subparsers._group_actions[0].choices


def test_help_tells_the_commands_and_the_exit_status(commands, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and "exit status:\n  0  all" in printed and "`python -m keras_cnns COMMAND" in printed
    assert all(f"\n    {name}" in printed for name in commands)


def test_every_command_has_examples_that_its_parser_takes(commands):
    assert set(EXAMPLES) == set(commands)
    for name, examples in EXAMPLES.items():
        for words in examples:
            options = command_line("keras-cnns").parse_args([name, *shlex.split(words.partition(">")[0])])
            assert options.command == name and not options.debug
            assert f"\n  keras-cnns {name} {words}".rstrip() in commands[name].format_help()


@pytest.mark.parametrize("arguments", [["--debug", "list"], ["list", "--debug"]])
def test_debug_stands_before_or_behind_the_command(arguments):
    assert command_line("keras-cnns").parse_args(arguments).debug


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("depth is 21; it must be 6n + 2."), "depth is 21; it must be 6n + 2."),
        (FileNotFoundError(2, "No such file or directory", "a.jpg"), "a.jpg: No such file or directory."),
        (OSError(28, "No space left on device"), "No space left on device."),
        (RuntimeError("out of memory\nNode: conv1"), "RuntimeError: out of memory (--debug shows more)"),
        (ValueError("bad file\n\nFull trace:"), "bad file (--debug shows more)"),
        (MemoryError(), "MemoryError:  (--debug shows more)"),
    ],
)
def test_an_error_is_one_sentence_and_with_debug_a_traceback(error, told, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr("keras_cnns.__main__.list_networks", fail)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"
    assert main(["list", "--debug"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last)") and "in fail\n" in printed


def test_interrupted(monkeypatch, capsys):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_cnns.__main__.list_networks", interrupt)
    assert main(["list"]) == 130  # as a shell has it: 128 and the number of the signal
    assert not capsys.readouterr().err


def answers(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list_as_json(capsys):
    assert main(["list", "--json"]) == 0
    (answer,) = answers(capsys)
    assert list(answer["builders"]) == keras_cnns.builders()
    assert answer["builders"]["alexnet"].startswith("(input_shape=(227, 227, 3), classes=1000")  # no types, no builder
    assert answer["papers"]["cifar_resnet20"] == ["resnet_cifar(depth=20)"]


def test_describe_as_json(capsys):
    assert main(["describe", "cifar_resnet20", "--json"]) == 0
    (answer,) = answers(capsys)
    assert (answer["trainable"], answer["parameters"]) == (269_722, 271_098)  # the paper folder's
    assert answer["paper_table"] == "cifar_resnet20" and not any(row["differ"] for row in answer["rows"])
    first = answer["rows"][0]
    assert first["ours"]["output_shape"] == [32, 32, 16] and first["paper"]["weights"] == "432"  # 3 * 3 * 3 * 16
    assert main(["describe", "resnet_cifar", "depth=14", "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["paper_table"] is None and {row["paper"] for row in answer["rows"]} == {None}


def test_receptive_field_as_json(capsys):
    assert main(["receptive-field", "resnet_cifar", "depth=8", "--json"]) == 0
    (rows,) = answers(capsys)
    # two 3x3 convolutions behind one another see 5x5 pixels, two of them before the first
    assert [(row["size"], row["stride"], row["offset"]) for row in rows if row["kind"] == "conv"][:2] == [
        (3, 1, -1),
        (5, 1, -2),
    ]
    assert main(["receptive-field", "resnet_cifar", rows[0]["name"], "depth=8", "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["arithmetic"] == {"size": 3, "stride": 1, "offset": -1} and answer["gradient"]["size"] == 3


def test_predict_as_json(run, saved, capsys):
    capsys.readouterr()
    assert main(["predict", str(saved), str(run / "r.png"), str(run / "b.jpg"), "--json"]) == 0
    first, second = answers(capsys)
    assert first["image"] == str(run / "r.png") and first["labels"] == ["red", "green", "blue"]
    np.testing.assert_allclose(first["probabilities"], [0.5761, 0.2119, 0.2119], atol=1e-4)  # as above
    assert second["classes"][0] == 2


def test_detect_as_json(detector_run, tmp_path, capsys):
    Image.fromarray(red_and_blue()).save(tmp_path / "photo.png")
    arguments = ["detect", str(detector_run), str(tmp_path / "photo.png"), "--out", str(tmp_path), "--score", "0.9"]
    assert main([*arguments, "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["picture"] == str(tmp_path / "photo_boxes.png") and (tmp_path / "photo_boxes.png").exists()
    assert set(answer["labels"]) == {"red", "blue"} and len(answer["boxes"]) == len(answer["scores"])
    assert max(answer["scores"]) == pytest.approx(0.9933, abs=1e-4)  # 1 / (1 + e^-5 + e^-10)


def test_bash_completes_commands_names_and_flags(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "keras-cnns"
    script.write_text(capsys.readouterr().out)

    def completed(*words):
        line = f'source {script}; COMP_WORDS=({" ".join(words)} ""); COMP_CWORD=$(({len(words)} - 1)); '
        line += f'_shtab_keras_cnns keras-cnns "{words[-1]}" {words[-2]}; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split()

    assert completed("keras-cnns", "rec") == ["receptive-field"]
    assert completed("keras-cnns", "describe", "resnet50") == ["resnet50", "resnet50_B"]
    assert "--json" in completed("keras-cnns", "detect", "--")


def test_completion_without_its_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == 'error: shtab is not installed: pip install "keras-cnns[completion]"\n'
