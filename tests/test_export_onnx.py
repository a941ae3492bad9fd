"""Exported ONNX files: what ONNX Runtime alone gets from them."""

import sys

import keras
import numpy as np
import pytest

import keras_cnns
from keras_cnns.layers import Preprocessing
from tests.test_export import NAMES, linear, noise, softmax


def test_onnx_without_its_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"pip install keras_cnns\[onnx\]"):
        keras_cnns.export(linear(), tmp_path / "linear.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def run_onnx(path, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [put.name for put in session.get_inputs()] == ["images"]
    return dict(zip([out.name for out in session.get_outputs()], session.run(None, {"images": images}), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["alexnet", "resnet_cifar", "mixed"])
def test_onnx_gives_the_networks_probabilities(family, tmp_path):
    pytest.importorskip("tf2onnx")
    keras.utils.set_random_seed(1)
    if family == "alexnet":
        model = keras_cnns.alexnet((64, 64, 3), classes=7)
        preprocessing = Preprocessing(64, shorter_side=70, mean=(9, 8, 7))
    else:
        keras.config.set_dtype_policy("mixed_bfloat16" if family == "mixed" else "float32")
        model = keras_cnns.resnet_cifar(20, classes=7)
        keras.config.set_dtype_policy("float32")
        preprocessing = Preprocessing(32, mean=noise(32, 32, 3), scale=0.01)
    keras_cnns.export(model, tmp_path / "model.onnx", preprocessing, NAMES, format="onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    images = noise(3, *preprocessing.size, 3)
    outputs = run_onnx(tmp_path / "model.onnx", images)
    expected = softmax(np.array(model((images - preprocessing.mean) * np.float32(preprocessing.scale))))
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0.2 if family == "mixed" else 1e-4)
    best = np.argsort(-outputs["probabilities"])[:, :5]
    np.testing.assert_array_equal(outputs["classes"], best)
    assert outputs["labels"].tolist() == [[NAMES[i] for i in row] for row in best]


@pytest.mark.slow
def test_an_onnx_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")
    resize = Preprocessing.resize
    monkeypatch.setattr(Preprocessing, "resize", lambda self, images: 0.9 * resize(self, images))
    with pytest.raises(ValueError, match=r"differ from the SavedModel's by .*, more than 1e-4"):
        keras_cnns.export(linear(), tmp_path / "linear.onnx", Preprocessing(4, scale=0.01), format="onnx")
    assert not list(tmp_path.iterdir())
