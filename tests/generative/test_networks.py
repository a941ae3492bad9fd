"""The generators and discriminators: the paper's rules on the built graphs, ranges, sizes, saving."""

import keras
import numpy as np
import pytest

import keras_cnns
from keras_cnns.layers import BatchNormalization

PAIRS = {
    "gan": (keras_cnns.gan_generator, keras_cnns.gan_discriminator, {}, (28, 28, 1)),
    "dcgan": (keras_cnns.dcgan_generator, keras_cnns.dcgan_discriminator, {"base_filters": 8}, (64, 64, 3)),
    "dcgan-torch": (
        keras_cnns.dcgan_generator,
        keras_cnns.dcgan_discriminator,
        {"base_filters": 8, "kernel_size": 4, "size": 32, "channels": 1},
        (32, 32, 1),
    ),
}
pairs = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def kinds(model):
    return [type(layer) for layer in model.layers]


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize("size", [32, 64])
def test_the_papers_five_rules(size, kernel_size):
    """Section 3: strides for pooling; batch norm in both; no hidden dense layer; ReLU and tanh; LeakyReLU of 0.2."""
    keras.utils.set_random_seed(0)  # the mean of the smallest kernel's 384 values has a standard error of 0.001
    how = {"size": size, "base_filters": 8, "kernel_size": kernel_size}
    generator, discriminator = keras_cnns.dcgan_generator(**how), keras_cnns.dcgan_discriminator(**how)
    pooling = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.UpSampling2D)
    assert not {*kinds(generator), *kinds(discriminator)} & {*pooling}
    doubling = [each for each in generator.layers if isinstance(each, keras.layers.Conv2DTranspose)]
    halving = [each for each in discriminator.layers if type(each) is keras.layers.Conv2D]
    if kernel_size == 4:  # the first of the one and the last of the other stand for dense layers
        doubling, halving = doubling[1:], halving[:-1]
    count = {32: 3, 64: 4}[size]
    assert [each.strides for each in doubling] == [each.strides for each in halving] == [(2, 2)] * count
    # Not behind the generator's output layer, nor the discriminator's input layer and its output.
    assert kinds(generator).count(BatchNormalization) == count
    assert kinds(discriminator).count(BatchNormalization) == count - 1
    assert (
        kinds(generator).count(keras.layers.Dense) == kinds(discriminator).count(keras.layers.Dense) == kernel_size - 4
    )
    assert kinds(generator).count(keras.layers.ReLU) == count
    assert generator.layers[-1].activation is keras.activations.tanh
    slopes = [each.negative_slope for each in discriminator.layers if isinstance(each, keras.layers.LeakyReLU)]
    assert slopes == [0.2] * count
    for layer in (*doubling, *halving):
        assert not layer.use_bias and abs(np.std(layer.kernel) - 0.02) < 0.002 and abs(np.mean(layer.kernel)) < 0.002


@pairs
def test_images_and_logits(pair, save_and_load):
    build_generator, build_discriminator, how, image = pair
    keras.utils.set_random_seed(0)
    generator, discriminator = build_generator(**how), build_discriminator(**how)
    z = np.random.default_rng(0).uniform(-1, 1, (3, 100)).astype("float32")
    images = generator(z, training=True).numpy()
    assert images.shape == (3, *image) and images.dtype == "float32" and len(np.unique(images)) > 100
    assert images.min() >= (0 if image[0] == 28 else -1) and images.max() <= 1
    logits = discriminator(images)
    assert logits.shape == (3, 1) and logits.dtype == "float32"
    np.testing.assert_array_equal(save_and_load(generator)(z), generator(z))
    np.testing.assert_array_equal(save_and_load(discriminator)(images), logits)


@pairs
def test_outputs_are_float32_under_mixed_precision(pair):
    build_generator, build_discriminator, how, _ = pair
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator = build_generator(**how), build_discriminator(**how)
    finally:
        keras.config.set_dtype_policy("float32")
    images = generator(np.zeros((2, 100), "float32"))
    assert images.dtype == discriminator(images).dtype == "float32"


def test_maxout_is_the_largest_of_five_pieces():
    discriminator = keras_cnns.gan_discriminator()
    h0 = discriminator.get_layer("h0")
    image = np.random.default_rng(0).uniform(size=(1, 28, 28, 1)).astype("float32")
    linear = image.reshape(1, 784) @ h0.kernel.numpy() + h0.bias.numpy()
    units = keras.Model(discriminator.input, discriminator.get_layer("h0_max").output)(image)
    np.testing.assert_allclose(units[0], [linear[0, 5 * i : 5 * i + 5].max() for i in range(240)], atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "value", "sentence"),
    [
        ("size", 48, "size is 48; it must be one of 32, 64"),
        ("kernel_size", 3, "kernel_size is 3; it must be one of 4, 5"),
        ("base_filters", 0, "base_filters is 0; it must be a whole number of at least 1"),
        ("channels", 1.0, "channels is 1.0; it must be a whole number of at least 1"),
    ],
)
def test_what_they_cannot_build_is_told(argument, value, sentence):
    for build in (keras_cnns.dcgan_generator, keras_cnns.dcgan_discriminator):
        with pytest.raises(ValueError, match=sentence):
            build(**{argument: value})
