"""SegNet and SegNet-Basic: what goes from encoder to decoder, any size, and the weights they start from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns import load_layers, segnet, segnet_basic
from keras_cnns.folding import fold_batch_normalization
from keras_cnns.inspection import measured_receptive_field, receptive_field
from keras_cnns.layers import BatchNormalization


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("builder", "eleven", "each"), [(segnet, 29_449_355, 64 * 9 + 1), (segnet_basic, 1_416_587, 65)]
)
def test_counts_for_any_number_of_classes(builder, eleven, each):
    model = builder((32, 32, 3), classes=5)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == eleven - 6 * each


@pytest.mark.slow
@pytest.mark.parametrize("builder", [segnet, segnet_basic])
def test_an_image_of_any_size_is_labelled_at_its_size(builder):
    model = builder((None, None, 3), classes=4)
    for size in ((33, 50), (47, 32)):
        assert model(random(2, *size, 3)).shape == (2, *size, 4)


def test_each_decoder_puts_its_values_where_its_own_encoders_maxima_were():
    """Looked at from outside: the unpooled map is zero but at the maxima of the map of the same size."""
    model, image = segnet_basic((36, 44, 3)), random(1, 36, 44, 3)
    for stage in (1, 2, 3, 4):
        before, unpooled = (model.get_layer(f"{kind}{stage}").output for kind in ("relu", "upsample"))
        before, unpooled = (each[0].numpy() for each in keras.Model(model.input, [before, unpooled])(image))
        assert before.shape == unpooled.shape
        height, width, channels = (side // 2 * 2 for side in before.shape)
        blocks = [
            x[:height, :width].reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 4, 1, 3).reshape(-1, 4)
            for x in (before, unpooled)
        ]
        assert ((blocks[1] != 0).sum(1) <= 1).all()
        filled = blocks[1].any(1)
        assert filled.mean() > 0.5  # the others' values are zero
        np.testing.assert_array_equal(blocks[0].argmax(1)[filled], (blocks[1] != 0).argmax(1)[filled])


def test_segnet_basic_has_no_relu_in_its_decoders():
    names = [layer.name for layer in segnet_basic((32, 32, 3)).layers]
    assert [name for name in names if name.startswith("relu")] == ["relu1", "relu2", "relu3", "relu4"]
    assert {"norm", "conv1_bn", "pool4", "upsample4", "conv_decode4", "conv_decode4_bn", "conv_classifier"} <= set(
        names
    )


def test_segnets_names_are_the_released_ones():
    model = segnet((32, 32, 3))
    names = [layer.name for layer in model.layers]
    assert names[:4] == ["image", "conv1_1", "conv1_1_bn", "relu1_1"]
    assert names[-5:] == ["upsample1", "conv1_2_D", "conv1_2_D_bn", "relu1_2_D", "conv1_1_D"]
    assert [model.get_layer(f"conv{i}_1_D").filters for i in (5, 4, 3, 2)] == [512, 256, 128, 64]


def test_an_encoder_from_a_vgg16():
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    model = segnet((32, 32, 3))
    assert len(load_layers(model, source)) == 13
    np.testing.assert_array_equal(model.get_layer("conv3_2").kernel, source.get_layer("block3_conv2").kernel)


def test_saved_loaded_and_folded_it_is_the_same(save_and_load):
    model, image = segnet_basic((None, None, 3)), random(2, 33, 47, 3)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    expected = model(image).numpy()
    np.testing.assert_array_equal(save_and_load(model)(image), expected)
    folded = fold_batch_normalization(model)
    assert not any(isinstance(layer, BatchNormalization) for layer in folded.layers)
    difference = abs(folded(image) - expected).numpy()
    assert np.median(difference) < 1e-4 * abs(expected).max()  # rounding may move the place of a maximum


def test_the_field_of_a_label_reaches_through_the_unpooling():
    """Section 3.3: a pixel of the deepest map sees 106x106. Each 7x7 convolution of a decoder adds 6 pixels of its map,
    of 8, 4, 2 and 1 of the image, less what lies in an unpooled block already: by hand 154, 186, 202, 202."""
    model = segnet_basic((None, None, 3))
    assert receptive_field(model, "pool4").size == 106
    for stage, size in ((4, 154), (3, 186), (2, 202)):
        assert receptive_field(model, f"conv_decode{stage}").size == size
    measured = measured_receptive_field(model, "upsample3")
    assert measured.size == receptive_field(model, "upsample3").size == 154


@pytest.mark.slow
def test_it_learns_a_picture():
    """Two labels by brightness: a few steps bring the loss down."""
    keras.utils.set_random_seed(1)
    model = segnet_basic((32, 32, 3), classes=2)
    image = random(2, 32, 32, 1).repeat(3, -1)
    labels = (image[..., 0] > 0).astype("int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=False)
    history = [model.train_on_batch(image, labels) for _ in range(20)]
    assert history[-1] < 0.7 * history[0]
    assert tf.as_dtype(model.output.dtype) == tf.float32
