"""Exported networks: what a process that has TensorFlow alone gets from them."""

import io
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

import keras_cnns
from keras_cnns.export import load_source
from keras_cnns.files import replacing
from keras_cnns.layers import Preprocessing
from tests.detection.small import colour_detector
from tests.zoo import SMALLEST

ONE_EACH = ("alexnet", "zfnet", "overfeat", "vgg11", "googlenet", "resnet18", "resnet_cifar", "densenet_cifar")
FAMILIES = [row for row in SMALLEST if row[0] in ONE_EACH]
NAMES = ["ant", "bée", "cat", "dog", "eel", "fox", "gnu"]


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def linear(channels=3, classes=7, size=4):
    """Logits that NumPy computes as easily: the mean colour times a matrix."""
    keras.utils.set_random_seed(1)
    image = keras.Input((size, size, channels))
    x = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(classes, name="fc")(x), name="linear")


def logits_by_hand(model, images):
    kernel, bias = model.get_layer("fc").get_weights()
    return images.mean(axis=(1, 2)) @ kernel + bias


def encoded(image, format, mode=None, **options):
    file = io.BytesIO()
    picture = Image.fromarray(image)
    (picture.convert(mode) if mode else picture).save(file, format, **options)
    return file.getvalue()


def call(path, signature, images):
    saved = tf.saved_model.load(str(path))
    outputs = saved.signatures[signature](tf.constant(images))
    return {name: value.numpy() for name, value in outputs.items()}


def operations(path):
    """The kinds of all operations in a SavedModel, of every signature."""
    graph = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    return [node.op for function in graph.library.function for node in function.node_def]


def test_images_in_names_out(tmp_path):
    model = linear()
    keras_cnns.export(model, tmp_path / "saved", Preprocessing(4, mean=(9, 8, 7), scale=0.01), NAMES)
    images = noise(3, 4, 4, 3)
    expected = softmax(logits_by_hand(model, (images - np.float32([9, 8, 7])) * 0.01))
    outputs = call(tmp_path / "saved", "serving_default", images)
    assert set(outputs) == {"probabilities", "classes", "labels"}
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5)
    best = np.argsort(-expected)[:, :5]
    np.testing.assert_array_equal(outputs["classes"], best)
    assert [[name.decode() for name in row] for row in outputs["labels"]] == [[NAMES[i] for i in row] for row in best]


def test_two_signatures_of_any_batch_and_size(tmp_path):
    keras_cnns.export(linear(), tmp_path / "saved")
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    assert set(saved.signatures) == {"serving_default", "bytes"}
    images = saved.signatures["serving_default"].structured_input_signature[1]["images"]
    strings = saved.signatures["bytes"].structured_input_signature[1]["bytes"]
    assert (images.dtype, images.shape.as_list()) == (tf.uint8, [None, None, None, 3])
    assert (strings.dtype, strings.shape.as_list()) == (tf.string, [None])
    for shape in [(1, 4, 4, 3), (5, 30, 17, 3), (0, 4, 4, 3)]:
        assert saved.signatures["serving_default"](tf.constant(noise(*shape)))["classes"].shape == (shape[0], 5)


def test_bytes_of_several_sizes_and_formats_are_the_images(tmp_path):
    keras_cnns.export(linear(), tmp_path / "saved", Preprocessing(4, shorter_side=6, scale=0.01), NAMES)
    images = [noise(9, 7, 3), noise(5, 30, 3), noise(6, 6, 3)]
    files = [encoded(images[0], "PNG"), encoded(images[1], "BMP"), encoded(images[2], "JPEG", quality=95)]
    images[2] = tf.io.decode_jpeg(files[2]).numpy()
    together = call(tmp_path / "saved", "bytes", files)
    for i, image in enumerate(images):
        alone = call(tmp_path / "saved", "serving_default", image[None])
        np.testing.assert_allclose(together["probabilities"][i], alone["probabilities"][0], rtol=1e-5)


@pytest.mark.slow
def test_grey_transparent_deep_and_printed_images(tmp_path):
    grey, smooth = noise(8, 8), np.repeat(np.arange(0, 256, 4, "uint8").reshape(8, 8, 1), 3, axis=-1) // (1, 2, 3)
    three = np.repeat(grey[..., None], 3, axis=-1)
    colour = smooth.astype("uint8")
    few = np.uint8(three // 100 * (51, 102, 0))  # of the palette that Pillow brings images to
    files = {
        "grey PNG": (encoded(grey, "PNG"), three),
        "grey and alpha PNG": (encoded(grey, "PNG", "LA"), three),
        "palette PNG": (encoded(grey, "PNG", "P"), three),
        "RGBA PNG": (encoded(colour, "PNG", "RGBA"), colour),
        "16-bit PNG": (encoded(grey.astype("uint16") * 256, "PNG"), three),
        "GIF": (encoded(grey, "GIF"), three),
        "BMP": (encoded(colour, "BMP"), colour),
        "BMP with a table": (encoded(few, "BMP", "P"), few),
        "grey JPEG": (encoded(colour[..., 0], "JPEG", quality=90), np.repeat(colour[..., :1], 3, axis=-1)),
        "CMYK JPEG": (encoded(colour, "JPEG", "CMYK", quality=90), colour),
    }
    image = keras.Input((8, 8, 3))
    pixel = keras.Model(image, keras.layers.Flatten()(image))  # each value a class: all of them are seen
    keras_cnns.export(pixel, tmp_path / "rgb", Preprocessing(8, scale=0.02))
    keras_cnns.export(linear(channels=1, size=8), tmp_path / "grey", Preprocessing(8, scale=0.01))
    for kind, (file, image) in files.items():
        seen = np.log(call(tmp_path / "rgb", "bytes", [file])["probabilities"][0]) / 0.02
        expected = image.reshape(-1).astype("float64")
        tolerance = 8 if "JPEG" in kind else 0.01  # grey levels
        np.testing.assert_allclose(seen - seen.mean(), expected - expected.mean(), atol=tolerance, err_msg=kind)
        from_grey = call(tmp_path / "grey", "bytes", [file])["probabilities"]
        levels = np.array(Image.fromarray(image).convert("L"))[None, ..., None]
        expected = call(tmp_path / "grey", "serving_default", levels)["probabilities"]
        np.testing.assert_allclose(from_grey, expected, atol=0.01, err_msg=kind)


ALONE = """
import numpy as np, tensorflow as tf
saved = tf.saved_model.load("saved")
by_image = saved.signatures["serving_default"](tf.constant(np.load("images.npy")))
by_file = saved.signatures["bytes"](tf.constant([open("image.png", "rb").read()]))
np.save("by_image.npy", by_image["probabilities"])
np.save("by_file.npy", by_file["probabilities"])
print(by_file["labels"][0, 0].numpy().decode())
"""


@pytest.mark.slow
def test_a_process_without_this_library(tmp_path, without_library):
    keras.utils.set_random_seed(1)
    model = keras_cnns.resnet_cifar(8)
    images = noise(2, 32, 32, 3)
    (tmp_path / "image.png").write_bytes(encoded(images[0], "PNG"))
    np.save(tmp_path / "images.npy", images)
    labels = [f"class {i}" for i in range(10)]
    keras_cnns.export(model, tmp_path / "saved", Preprocessing(32, mean=120, scale=0.01), labels)
    printed = without_library(ALONE, folder=tmp_path)
    expected = softmax(np.array(model((images - np.float32(120)) * 0.01)))
    np.testing.assert_allclose(np.load(tmp_path / "by_image.npy"), expected, rtol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "by_file.npy"), expected[:1], rtol=1e-4)
    assert printed == f"class {expected[0].argmax()}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("builder", "arguments", "input_shape"), FAMILIES, ids=[row[0] for row in FAMILIES])
def test_families(builder, arguments, input_shape, tmp_path):
    keras.utils.set_random_seed(1)
    model = getattr(keras_cnns, builder)(input_shape=input_shape, classes=10, **arguments)
    keras_cnns.export(model, tmp_path / "saved", Preprocessing(input_shape[:2], scale=0.01))
    images = noise(2, *input_shape)
    logits = tf.nest.flatten(model(np.float32(images) * np.float32(0.01)))[0]
    outputs = call(tmp_path / "saved", "serving_default", images)
    np.testing.assert_allclose(outputs["probabilities"], softmax(logits.numpy()), rtol=1e-3, atol=1e-6)


def test_batch_normalisation_is_folded_and_weights_are_written_once(tmp_path):
    keras.utils.set_random_seed(1)
    model = keras_cnns.resnet_cifar(8)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    keras_cnns.export(model, tmp_path / "saved", Preprocessing(32, mean=120, scale=0.01))
    images = noise(4, 32, 32, 3)
    expected = softmax(model.predict((images - np.float32(120)) * 0.01, verbose=0))
    outputs = call(tmp_path / "saved", "serving_default", images)
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-4)
    files = [encoded(image, "PNG") for image in images]
    np.testing.assert_allclose(call(tmp_path / "saved", "bytes", files)["probabilities"], expected, rtol=1e-4)

    kinds = operations(tmp_path / "saved")
    assert kinds.count("Conv2D") == 7  # of both signatures together
    assert not any("BatchNorm" in kind for kind in kinds)
    variables = tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))
    assert [shape for _, shape in variables if shape] == [[64, 10]]  # the dense layer's kernel; constants else
    kernels = sum(4 * int(np.prod(layer.kernel.shape)) for layer in model.layers if hasattr(layer, "kernel"))
    size = sum(path.stat().st_size for path in (tmp_path / "saved").rglob("*") if path.is_file())
    assert kernels < size < kernels + 300_000


def test_too_many_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["keras_cnns.export"], "LARGEST", 100)
    with pytest.raises(ValueError, match=r"linear has 112 bytes of weights; at most 100 can be exported"):
        keras_cnns.export(linear(), tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_the_first_of_several_outputs(tmp_path):
    model = linear()
    extra = keras.layers.Dense(3)(model.layers[1].output)
    keras_cnns.export(keras.Model(model.input, [model.output, extra]), tmp_path / "saved")
    assert call(tmp_path / "saved", "serving_default", noise(1, 4, 4, 3))["probabilities"].shape == (1, 7)
    assert operations(tmp_path / "saved").count("MatMul") == 1  # the other output is not in the file


def test_fewer_than_five_classes_and_numbers_for_names(tmp_path):
    keras_cnns.export(linear(classes=3), tmp_path / "saved")
    outputs = call(tmp_path / "saved", "serving_default", noise(1, 4, 4, 3))
    assert outputs["labels"].shape == (1, 3)
    assert [int(label) for label in outputs["labels"][0]] == outputs["classes"][0].tolist()


def test_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras_cnns.resnet_cifar(8)
    finally:
        keras.config.set_dtype_policy("float32")
    keras_cnns.export(model, tmp_path / "saved", Preprocessing(32, mean=120, scale=0.01))
    outputs = call(tmp_path / "saved", "serving_default", noise(2, 40, 40, 3))
    assert outputs["probabilities"].dtype == "float32"
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_a_network_of_any_input_size_needs_preprocessing(tmp_path):
    model = keras_cnns.resnet_cifar(8, input_shape=(None, None, 3))
    with pytest.raises(ValueError, match="images of any size; preprocessing must say"):
        keras_cnns.export(model, tmp_path / "saved")
    keras_cnns.export(model, tmp_path / "saved", Preprocessing((24, 40)))
    assert call(tmp_path / "saved", "serving_default", noise(1, 9, 9, 3))["classes"].shape == (1, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["ant"]}, "labels has 1 names; linear has 7 classes"),
        ({"preprocessing": Preprocessing(5)}, r"gives \(5, 5\) pixels; linear takes \(4, 4\)"),
        ({"format": "h5"}, "format is 'h5'; it must be one of 'saved_model', 'onnx'"),
        ({"model": keras.Sequential(name="empty")}, "empty must be built"),
        ({"model": linear(channels=4)}, "one input of grey or RGB images"),
        ({"model": keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Reshape((16, 3))])}, "only logits"),
    ],
)
def test_what_cannot_be_exported(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        keras_cnns.export(**{"model": linear(), "path": tmp_path / "saved", **arguments})
    assert not list(tmp_path.iterdir())


def test_an_earlier_export_stays_unless_forced(tmp_path):
    keras_cnns.export(linear(), tmp_path / "saved", labels=NAMES)
    with pytest.raises(FileExistsError, match="--force"):
        keras_cnns.export(linear(classes=3), tmp_path / "saved")
    assert call(tmp_path / "saved", "serving_default", noise(1, 4, 4, 3))["probabilities"].shape == (1, 7)
    keras_cnns.export(linear(classes=3), tmp_path / "saved", force=True)
    assert call(tmp_path / "saved", "serving_default", noise(1, 4, 4, 3))["probabilities"].shape == (1, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_force_replaces_nothing_but_exports(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "one.jpg").write_bytes(b"precious")
    (tmp_path / "model.keras").write_bytes(b"precious")
    for name in ("photographs", "model.keras"):
        with pytest.raises(FileExistsError, match=f"{name} is no SavedModel"):
            keras_cnns.export(linear(), tmp_path / name, force=True)
    assert (tmp_path / "photographs" / "one.jpg").read_bytes() == b"precious"


def test_a_failure_leaves_the_old_one(tmp_path):
    old = tmp_path / "deep" / "old.onnx"
    with replacing(old, force=False) as new:
        new.write_text("old")
    with pytest.raises(RuntimeError), replacing(old, force=True) as new:
        new.write_text("half")
        raise RuntimeError
    with pytest.raises(FileNotFoundError), replacing(old, force=True):
        pass  # nothing was written
    assert old.read_text() == "old" and len(list(old.parent.iterdir())) == 1


def test_a_run_and_a_keras_file_are_sources(tmp_path):
    model, preprocessing = linear(), Preprocessing(4, mean=3)
    model.save(tmp_path / "model.keras")
    (tmp_path / "preprocessing.json").write_text(json.dumps(keras.saving.serialize_keras_object(preprocessing)))
    (tmp_path / "record.json").write_text(json.dumps({"data": {"labels": NAMES}}))
    loaded, again, labels = load_source(tmp_path)
    images = noise(2, 4, 4, 3)
    np.testing.assert_array_equal(loaded(again(images)), model(preprocessing(images)))
    assert labels == NAMES
    with pytest.raises(ValueError, match="belongs to a run"):
        load_source(tmp_path / "model.keras")
    (tmp_path / "alone").mkdir()
    loaded, again, labels = load_source((tmp_path / "model.keras").rename(tmp_path / "alone" / "model.keras"))
    np.testing.assert_array_equal(loaded(np.float32(images)), model(np.float32(images)))
    assert again is labels is None
    with pytest.raises(ValueError, match=r"elsewhere is neither a \.keras file nor"):
        load_source(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "onnx"}, "only a detector as fast_rcnn or faster_rcnn_detector can do so, and no ONNX file"),
        ({"labels": ["red"]}, "labels has 1 names; colours has 2 classes"),
        (
            {"preprocessing": Preprocessing(30)},
            r"preprocessing gives \(30, 30\) pixels; of a detector its size must be None",
        ),
    ],
)
def test_a_detector_that_cannot_be_exported_is_told(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        keras_cnns.export(colour_detector(), tmp_path / "saved", **arguments)
    assert not list(tmp_path.iterdir())


GENERATE = """
import json, sys, tensorflow as tf
saved = tf.saved_model.load(sys.argv[1])
images = saved.signatures["serving_default"](z=tf.constant(json.loads(sys.argv[2])))["images"]
assert images.dtype == tf.uint8
print(json.dumps(images.numpy().tolist()))
"""


@pytest.mark.slow
def test_a_generator_makes_its_images_in_a_process_without_this_library(tmp_path, without_library):
    """With batch normalisation that has moved, and any number of z."""
    keras.utils.set_random_seed(0)
    generator = keras_cnns.dcgan_generator(32, 2, 4)
    z = np.random.default_rng(0).uniform(-1, 1, (3, 100)).astype("float32")
    generator(z, training=True)
    keras_cnns.export(generator, tmp_path / "saved", Preprocessing(32, mean=127.5, scale=1 / 127.5), labels=["a"])
    printed = without_library(GENERATE, tmp_path / "saved", json.dumps(z.tolist()), folder=tmp_path)
    made, expected = np.array(json.loads(printed)), generator(z).numpy() * 127.5 + 127.5
    assert made.shape == (3, 32, 32, 3) and np.abs(made - expected).max() < 0.51


def test_a_generator_needs_to_be_told_its_pixels(tmp_path):
    z = keras.Input((4,))
    generator = keras.Model(z, keras.layers.Reshape((2, 2, 1))(z), name="copier")
    for how in ({}, {"preprocessing": Preprocessing(2), "format": "onnx"}):
        with pytest.raises(ValueError, match="copier makes images; it can be exported with the preprocessing of its"):
            keras_cnns.export(generator, tmp_path / "saved", **how)
