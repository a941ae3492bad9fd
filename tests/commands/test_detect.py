"""`detect`, and `export` of detectors."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.__main__ import main
from keras_cnns.layers import Preprocessing
from tests.commands.answers import answers
from tests.detection.small import (
    BOXES,
    FOUND,
    IN_THE_CELL,
    LABELS,
    PROPOSED,
    SCORES,
    one_cell_detector,
    proposing_detector,
    red_and_blue,
)


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


def test_detect_as_json(detector_run, tmp_path, capsys):
    Image.fromarray(red_and_blue()).save(tmp_path / "photo.png")
    arguments = ["detect", str(detector_run), str(tmp_path / "photo.png"), "--out", str(tmp_path), "--score", "0.9"]
    assert main([*arguments, "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["picture"] == str(tmp_path / "photo_boxes.png") and (tmp_path / "photo_boxes.png").exists()
    assert set(answer["labels"]) == {"red", "blue"} and len(answer["boxes"]) == len(answer["scores"])
    assert max(answer["scores"]) == pytest.approx(0.9933, abs=1e-4)  # 1 / (1 + e^-5 + e^-10)
