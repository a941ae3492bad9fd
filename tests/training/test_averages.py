"""Polyak averaging and the limit on filters: by hand, on two replicas, and across a resume."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.training import SGD, Checkpoints, MaxRMS, averaged_weights, limit_filters, mirrored, train


def linear(strategy, **kwargs):
    """One weight w with the gradient 1 for an input of 1: w falls by the learning rate each step."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        model.compile(SGD(1.0, momentum=0.0, **kwargs), loss=lambda y, prediction: prediction)
        model._symbolic_build(data_batch=(tf.zeros((2, 1)), tf.zeros(2)))
    return model


def batches(epoch, skip, count):
    return tf.data.Dataset.from_tensors((np.ones((4, 1), "float32"), np.zeros(4, "float32"))).repeat(count)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_average_is_that_of_the_weights_after_each_step(tmp_path, replicas):
    """w = -1, -2, -3, -4; the average starts as the first, then takes a quarter of w: -1.25, -1.6875, -2.265625."""
    model = linear(mirrored(replicas), use_ema=True, ema_momentum=0.75)
    train(model, batches, 4, 4, Checkpoints(tmp_path, model))
    with averaged_weights(model):
        assert model.get_weights()[0] == -2.265625
        assert float(model(np.ones((1, 1)))[0, 0]) == -2.265625
    assert model.get_weights()[0] == -4


def test_float16_has_the_average_too():
    """There Keras wraps the optimizer in one that scales the loss."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    inner = SGD(1.0, momentum=0.0, use_ema=True, ema_momentum=0.75)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), loss=lambda y, prediction: prediction)
    for images, labels in batches(0, 0, 4):
        model.train_on_batch(images, labels)
    with averaged_weights(model):
        assert model.get_weights()[0] == -2.265625
    assert model.get_weights()[0] == -4


def test_a_resumed_run_has_the_same_average(tmp_path):
    whole = linear(mirrored(1), use_ema=True, ema_momentum=0.75)
    train(whole, batches, 4, 2, Checkpoints(tmp_path / "whole", whole))
    train(
        half := linear(mirrored(1), use_ema=True, ema_momentum=0.75), batches, 2, 2, Checkpoints(tmp_path / "a", half)
    )
    again = linear(mirrored(1), use_ema=True, ema_momentum=0.75)
    train(again, batches, 4, 2, Checkpoints(tmp_path / "a", again))
    for model in (whole, again):
        with averaged_weights(model):
            assert model.get_weights()[0] == -2.265625


def test_own_weights_come_back_after_an_error_and_nothing_happens_without_averages(tmp_path):
    model = linear(mirrored(1), use_ema=True)
    train(model, batches, 2, 2, Checkpoints(tmp_path / "a", model))
    with pytest.raises(OSError), averaged_weights(model):
        raise OSError
    assert model.get_weights()[0] == -2
    plain = linear(mirrored(1))
    train(plain, batches, 2, 2, Checkpoints(tmp_path / "b", plain))
    with averaged_weights(plain):
        assert plain.get_weights()[0] == -2


def test_filters_above_the_radius_are_scaled_back_to_it():
    kernel = np.zeros((1, 2, 1, 4), "float32")
    kernel[0, :, 0, 0] = 3, 4  # root mean square sqrt(12.5)
    kernel[0, :, 0, 1] = 0.1, -0.1  # just the radius
    kernel[0, :, 0, 2] = 0.05, 0.05
    limited = np.array(MaxRMS(0.1)(kernel))
    np.testing.assert_allclose(limited[0, :, 0, 0], np.array([3, 4]) * 0.1 / np.sqrt(12.5), rtol=1e-6)
    np.testing.assert_allclose(limited[..., 1:], kernel[..., 1:], rtol=1e-6)  # the last one of zeros


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_limit_holds_after_each_step_for_convolutions_alone(tmp_path, replicas):
    strategy = mirrored(replicas)
    with strategy.scope():
        layers = [keras.layers.Conv2D(3, 2, name="conv"), keras.layers.Flatten(), keras.layers.Dense(2, name="fc")]
        model = keras.Sequential([keras.Input((4, 4, 1)), *layers])
        limit_filters(model, 0.1)
        model.compile(SGD(1.0), "mse")
        model._symbolic_build(data_batch=(tf.zeros((2, 4, 4, 1)), tf.zeros((2, 2))))
    data = np.random.default_rng(0).normal(size=(4, 4, 4, 1)).astype("float32"), np.full((4, 2), 5, "float32")
    train(model, lambda *_: tf.data.Dataset.from_tensors(data), 1, 1, Checkpoints(tmp_path, model))
    rms = [
        np.sqrt((layer.get_weights()[0] ** 2).reshape(-1, layer.get_weights()[0].shape[-1]).mean(0))
        for layer in layers[::2]
    ]
    assert rms[0].max() == pytest.approx(0.1, rel=1e-5)
    assert rms[1].max() > 0.11
    assert keras.models.clone_model(model).get_layer("conv").kernel.constraint is None  # of this training alone
