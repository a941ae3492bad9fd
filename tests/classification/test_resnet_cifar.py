"""The CIFAR ResNets: what their tables do not tell."""

import keras
import numpy as np
import pytest

from keras_cnns import resnet_cifar


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.slow
def test_projections_are_counted():
    # Two 1x1 projections, 16 * 32 + 32 * 64 = 2,560, and their batch normalisation, 2 * (32 + 64) = 192
    assert trainable(resnet_cifar(20, shortcut="B")) == 272_474  # 269,722 + 2,752
    assert trainable(resnet_cifar(56, shortcut="B")) == 855_770  # 853,018 + 2,752


def test_other_classes_and_channels_change_one_layer_each():
    assert trainable(resnet_cifar(20, classes=100)) == 275_572  # 269,722 + 90 * (64 + 1)
    assert trainable(resnet_cifar(20, input_shape=(28, 28, 1))) == 269_434  # 269,722 - 2 * 9 * 16


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_maps_at_other_inputs(shortcut):
    for side, sides in ((4, [4, 2, 1]), (28, [28, 14, 7]), (33, [33, 17, 9]), (None, [None] * 3)):
        model = resnet_cifar(8, shortcut, input_shape=(side, side, 3))
        maps = [model.get_layer(f"s{stage}_b1_relu").output.shape[1:] for stage in (1, 2, 3)]
        assert maps == [(side, side, width) for side, width in zip(sides, (16, 32, 64), strict=True)]


def test_option_a_puts_half_of_the_zeros_before_and_half_after():
    model = resnet_cifar(8)
    ends = [model.get_layer(name).output for name in ("s1_b1_relu", "s2_b1_identity")]
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    before, after = (maps.numpy() for maps in keras.Model(model.input, ends)(images))
    np.testing.assert_array_equal(after[..., :8], 0)
    np.testing.assert_array_equal(after[..., 8:24], before[:, ::2, ::2])
    np.testing.assert_array_equal(after[..., 24:], 0)


def test_the_plain_network_has_no_shortcut():
    kinds = {type(layer).__name__ for layer in resnet_cifar(20, residual=False).layers}
    assert not kinds & {"Add", "PaddedIdentity"}


@pytest.mark.parametrize("depth", [2, 18, 21, 20.0, "20"])
def test_a_depth_off_the_rule_is_refused(depth):
    with pytest.raises(ValueError, match=r"it must be 6n \+ 2 with n of at least 1: 8, 14, 20"):
        resnet_cifar(depth)


def test_option_c_is_refused():
    with pytest.raises(ValueError, match="shortcut is 'C'; it must be one of 'A', 'B'"):
        resnet_cifar(20, shortcut="C")
