"""Jigsaw, context prediction and colorization: the releases' networks, any backbone, saving, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from skimage.color import lab2rgb, rgb2lab

import keras_cnns
from keras_cnns.evaluation import classification_errors
from keras_cnns.layers import Preprocessing
from keras_cnns.ops.colour import AB_BINS
from keras_cnns.self_supervised import (
    colorization,
    colorize,
    context_prediction,
    encoder_of,
    jigsaw,
    maps_of,
)
from keras_cnns.self_supervised.colorization import colorization_encoder, colorization_trunk
from keras_cnns.self_supervised.context_prediction import patch_trunk
from keras_cnns.self_supervised.encoder import from_pixels
from keras_cnns.self_supervised.jigsaw import context_free_trunk


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def small_encoder(channels=1):
    keras.utils.set_random_seed(3)
    return encoder_of(keras_cnns.resnet_cifar(8, input_shape=(8, 8, channels)))


def test_the_context_free_trunk_has_the_releases_parameters_and_maps():
    trunk = context_free_trunk()
    assert trainable(trunk) == trunk.count_params() == 4_694_400
    shapes = [trunk.get_layer(name).output.shape[1:] for name in ("conv1", "norm1", "norm2", "conv5", "flatten")]
    assert shapes == [(27, 27, 96), (13, 13, 96), (6, 6, 256), (6, 6, 256), (2304,)]
    assert trunk.output_shape == (None, 1024)
    with pytest.raises(ValueError, match="at least 25 pixels"):
        context_free_trunk((24, 25, 3))
    assert context_free_trunk((25, 25, 3)).get_layer("flatten").output.shape[1:] == (256,)


def test_the_nine_columns_meet_in_fc7():
    """Shared 4,694,400; fc7 9,216 * 4,096 + 4,096; fc8 4,096 * 1,000 + 1,000: built of a tenth of it."""
    model = jigsaw(encoder=small_encoder(), permutations=10, width=32)
    assert model.input_shape == (None, 9, 8, 8, 1) and model.output_shape == (None, 10)
    assert trainable(model) == trainable(small_encoder()) + 9 * 64 * 32 + 32 + 32 * 10 + 10


def test_every_tile_goes_through_the_encoder_by_itself():
    model = jigsaw(encoder=small_encoder(), permutations=10, width=32)
    puzzles = np.random.default_rng(0).normal(size=(2, 9, 8, 8, 1)).astype("float32")
    encoder = next(layer for layer in model.layers if layer.name == "resnet_cifar8_encoder")
    features = np.concatenate([encoder(puzzles[:, number]) for number in range(9)], axis=1)
    fc7, fc8 = model.get_layer("fc7"), model.get_layer("fc8")
    np.testing.assert_allclose(model(puzzles), fc8(fc7(features)), atol=1e-5)


def test_the_patch_trunk_is_the_releases():
    """11*11*3*96+96, 5*5*96*256+256, 3*3*256*384+384, 3*3*384*384+384, 3*3*384*256+256, 3*3*256*4096+4096."""
    trunk = patch_trunk()
    assert trainable(trunk) == 34_944 + 614_656 + 885_120 + 1_327_488 + 884_992 + 9_441_280
    assert trunk.count_params() - trainable(trunk) == 2 * (384 + 384 + 256 + 4096)
    shapes = [trunk.get_layer(name).output.shape[1:3] for name in ("conv1", "norm1", "norm2", "pool5")]
    assert shapes == [(24, 24), (12, 12), (6, 6), (3, 3)]


def test_the_two_patches_meet_in_fc7():
    model = context_prediction(small_encoder(), width=16)
    assert model.input_shape == (None, 2, 8, 8, 1) and model.output_shape == (None, 8)
    assert trainable(model) == trainable(small_encoder()) + 128 * 16 + 16 + 16 * 16 + 16 + 16 * 8 + 8
    pairs = np.random.default_rng(0).normal(size=(3, 2, 8, 8, 1)).astype("float32")
    assert np.abs(model(pairs) - model(pairs[:, ::-1])).max() > 1e-4  # the first and the second are not the same


@pytest.mark.slow
def test_the_colorization_network_is_the_releases():
    """3x3 convolutions with biases, a 4x4 transposed one, 1x1 to 313; normalised without gamma and beta."""
    convolutions = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)]
    convolutions += [(512, 512)] * 11 + [(256, 256)] * 2
    expected = sum(9 * i * o + o for i, o in convolutions) + 16 * 512 * 256 + 256 + 256 * 313 + 313
    model = colorization()
    assert trainable(model) == expected == 32_230_393
    assert model.count_params() - expected == 2 * (64 + 128 + 256 + 4 * 512)
    dilated = {layer.name for layer in model.layers if getattr(layer, "dilation_rate", None) == (2, 2)}
    assert dilated == {f"conv{stage}_{number}" for stage in (5, 6) for number in (1, 2, 3)}
    sized = colorization_trunk((64, 48, 1))
    assert sized.get_layer("conv4_3").output.shape[1:3] == (8, 6) and sized.output_shape == (None, 16, 12, 256)


def test_any_backbone_colours():
    keras.utils.set_random_seed(3)
    backbone = keras_cnns.resnet_cifar(8, input_shape=(16, 16, 1))
    model = colorization(maps_of(backbone))
    assert model.output_shape == (None, 4, 4, 313)
    model.get_layer("conv8_313").kernel.assign(np.zeros((1, 1, 64, 313)))
    bias = np.zeros(313)
    bias[100] = 100
    model.get_layer("conv8_313").bias.assign(bias)  # one colour everywhere
    grey = np.full((1, 16, 16, 3), 119, "uint8")
    lab = rgb2lab(grey)
    lab[..., 1:] = AB_BINS[100]
    np.testing.assert_allclose(colorize(model, grey), 255 * lab2rgb(lab), atol=1.0)


def test_an_encoder_of_flat_tiles_takes_pixels():
    encoder = small_encoder()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype("float32")
    flat = (pixels - pixels.mean(axis=(1, 2), keepdims=True)) / pixels.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(from_pixels(encoder)(pixels), encoder(flat), atol=1e-3)


@pytest.mark.parametrize(
    "build",
    [
        lambda: jigsaw(small_encoder(), permutations=4, tiles=4, width=8),
        lambda: context_prediction(small_encoder(), width=8),
    ],
)
def test_saved_and_loaded_it_is_the_same(build, tmp_path):
    model = build()
    inputs = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(inputs), keras.models.load_model(tmp_path / "model.keras")(inputs))


def test_what_cannot_be_built_is_told():
    for build, sentence in (
        (lambda: jigsaw(permutations=0, encoder=small_encoder()), "permutations is 0; it must be a whole number"),
        (lambda: jigsaw(maps_of(keras_cnns.resnet_cifar(8))), "it must end in"),
        (lambda: context_prediction(small_encoder(), width=0), "width is 0; it must be a whole number"),
        (lambda: colorization(maps_of(keras_cnns.resnet_cifar(8))), "it must go from"),
        (lambda: colorization_trunk((60, 64, 1)), "with multiples of 8"),
        (lambda: colorize(None, None, temperature=0), "temperature is 0; it must be above 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build()


def test_tiles_are_tested_as_one_example_and_not_as_crops():
    model = context_prediction(small_encoder(), width=8)
    pairs = np.random.default_rng(0).normal(size=(6, 2, 8, 8, 1)).astype("float32")
    right = np.argmax(model(pairs), axis=-1)
    labels = np.where(np.arange(6) < 4, right, (right + 1) % 8)
    figures = classification_errors(model, tf.data.Dataset.from_tensor_slices((pairs, labels)).batch(4))
    assert figures["top1_error"] == pytest.approx(100 * 2 / 6) and figures["images"] == 6


def test_what_coloured_is_exported_as_an_encoder_of_photographs(tmp_path):
    model = colorization(maps_of(keras_cnns.resnet_cifar(8, input_shape=(16, 16, 1))))
    encoder = colorization_encoder(model)
    photographs = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype("uint8")
    lightness = rgb2lab(photographs)[..., :1].astype("float32") - 50
    expected = np.mean(keras.Model(model.input, model.layers[-1].input)(lightness), axis=(1, 2))
    np.testing.assert_allclose(encoder(photographs.astype("float32")), expected, rtol=1e-3, atol=1e-3)
    keras_cnns.export(encoder, tmp_path / "saved", Preprocessing(16), [])
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    features = saved.signatures["serving_default"](tf.constant(photographs))["features"]
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)
