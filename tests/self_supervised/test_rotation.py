"""RotNet: the release's network, its classifier on frozen maps, any encoder, two replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cnns
from keras_cnns.data import digits
from keras_cnns.data.pretext import ANGLES, rotations
from keras_cnns.self_supervised import encoder_of, rotation
from keras_cnns.self_supervised.rotation import network_in_network, on_second_block
from keras_cnns.training import mirrored


def test_the_papers_network_has_its_parameters_and_maps():
    model = keras_cnns.rotation()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 1_411_140
    names = ("Block1_MaxPool", "Block2_AvgPool", "rotation_logits")
    shapes = [model.get_layer(name).output.shape[1:] for name in names]
    assert shapes == [(16, 16, 96), (8, 8, 192), (4,)]
    # 192 * 192 * 9 + 2 * 192 * 192 and three times gamma and beta: a block more.
    more = network_in_network(5).count_params() - network_in_network(4).count_params()
    assert more == 331_776 + 2 * 36_864 + 3 * 4 * 192


def test_the_average_counts_the_zeros_around_it_as_torch_does():
    model = network_in_network(3, (8, 8, 3))
    pool = keras.Model(model.get_layer("Block2_AvgPool_pad").input, model.get_layer("Block2_AvgPool").output)
    means = pool(np.ones((1, 4, 4, 192), "float32"))[0, ..., 0]
    np.testing.assert_allclose(means, [[4 / 9, 6 / 9], [6 / 9, 1]], rtol=1e-6)


def test_any_encoder_gets_the_head():
    encoder = encoder_of(keras_cnns.resnet_cifar(8, input_shape=(8, 8, 1)))
    model = rotation(encoder)
    assert model.output_shape == (None, 4) and model.count_params() == encoder.count_params() + 4 * 64 + 4
    assert encoder_of(model).output_shape == (None, 64)
    assert np.abs(model.get_layer("rotation_logits").kernel).max() <= 1 / 8  # 1 / sqrt(64)
    with pytest.raises(ValueError, match="it must end in"):
        rotation(keras_cnns.fcn32s(fc_filters=8))
    with pytest.raises(ValueError, match="blocks is 2; it must be at least 3"):
        network_in_network(2)


@pytest.mark.slow
def test_the_classifier_leaves_the_maps_as_they_are():
    model = rotation(network_in_network(3, (8, 8, 3)))
    classifier = on_second_block(model, classes=5)
    # Convolutions of 192 x 192 x (9 + 1 + 1), gamma and beta of three, and a linear layer.
    trainable = sum(int(np.prod(weight.shape)) for weight in classifier.trainable_weights)
    assert trainable == 192 * 192 * 11 + 6 * 192 + 192 * 5 + 5
    maps = keras.Model(model.input, model.get_layer("Block2_AvgPool").output)
    before = [weight.numpy() for weight in maps.weights]
    assert len(before) == 30  # six convolutions without bias, each with four weights of batch normalisation
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    classifier.train_on_batch(images, np.arange(4))
    for old, new in zip(before, maps.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="has no layer Block2_AvgPool"):
        on_second_block(keras_cnns.resnet_cifar(8))


def test_two_replicas_get_all_four_copies_of_their_images():
    strategy = mirrored(2)
    images = digits("train").task(rotations, ANGLES)
    batch = next(iter(strategy.experimental_distribute_dataset(images.batches(4, drop_remainder=True))))
    for number, (inputs, labels) in enumerate(
        zip(*(strategy.experimental_local_results(each) for each in batch), strict=True)
    ):
        np.testing.assert_array_equal(labels, [0, 1, 2, 3] * 2)
        np.testing.assert_array_equal(inputs[::4], images.arrays[0][2 * number : 2 * number + 2])
    assert tf.reduce_sum(tf.cast(inputs[1] != inputs[0], tf.int32)) > 0
