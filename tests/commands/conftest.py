"""What the commands are tried on: runs' folders, with networks that say what colour they see."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.__main__ import main
from keras_cnns.layers import Preprocessing
from tests.detection.small import LABELS, colour_detector


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


@pytest.fixture(scope="module")
def detector_run(tmp_path_factory):
    """A run's folder: a detector of red and blue boxes, which sees photographs twice as large."""
    folder = tmp_path_factory.mktemp("detector")
    colour_detector().save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(None, shorter_side=80, longest_side=200))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    (folder / "record.json").write_text(json.dumps({"data": {"labels": LABELS}}))
    return folder
