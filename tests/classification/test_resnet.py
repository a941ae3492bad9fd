"""ResNet-18 to 152 and the plain networks: what the rows of Table 1 do not tell."""

import keras
import numpy as np
import pytest

from keras_cnns import plain18, resnet18, resnet34, resnet50, resnet101
from keras_cnns.classification.resnet import pair
from keras_cnns.inspection import layer_table


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def weights_of(model, block):
    return sum(row.weights for row in layer_table(model) if row.name.startswith(f"res{block}_branch2"))


@pytest.mark.slow
def test_other_classes_change_the_last_layer_only():
    assert trainable(resnet34(classes=100)) == 21_335_972  # 21,797,672 - 900 * (512 + 1)
    assert trainable(resnet50(classes=100)) == 23_712_932  # 25,557,032 - 900 * (2,048 + 1)


@pytest.mark.slow
def test_projections_everywhere_are_counted():
    # Of the blocks without a projection in option B, each gets width^2 weights and 2 * width of batch normalisation.
    # ResNet-34: 3 * 4,224 + 3 * 16,640 + 5 * 66,048 + 2 * 263,168 = 919,168
    assert trainable(resnet34("C")) == 22_716_840  # 21,797,672 + 919,168
    # ResNet-50: 2 * 66,048 + 3 * 263,168 + 5 * 1,050,624 + 2 * 4,198,400 = 14,571,520
    assert trainable(resnet50("C")) == 40_128_552  # 25,557,032 + 14,571,520


def test_option_a_has_no_parameters_in_its_shortcuts():
    assert trainable(resnet34("A")) == 21_623_848  # the plain network's
    assert trainable(resnet18("A", classes=10, input_shape=(64, 64, 1))) == 11_001_546  # - 990 * 513 - 2 * 49 * 64


@pytest.mark.slow
def test_the_stride_in_the_3x3_costs_time_but_no_parameters():
    first, second = resnet50(), resnet50(stride_in="3x3")
    assert trainable(second) == 25_557_032
    for stage in (3, 4, 5):
        assert first.get_layer(f"res{stage}a_branch2a").strides == (2, 2)
        assert second.get_layer(f"res{stage}a_branch2a").strides == (1, 1)
        assert second.get_layer(f"res{stage}a_branch2b").strides == (2, 2)
    # The first 1x1 of stages 3, 4 and 5 sees maps of twice the side: 3 * 25,690,112 multiply-adds on each of 3 more.
    assert sum(row.multiply_adds for row in layer_table(first)) == 3_857_973_248
    assert sum(row.multiply_adds for row in layer_table(second)) == 4_089_184_256


@pytest.mark.slow
def test_a_bottleneck_is_as_cheap_as_a_quarter_as_wide_pair():
    assert weights_of(resnet50(), "2b") == 69_632  # 256 * 64 + 9 * 64 * 64 + 64 * 256, between 256 maps
    assert weights_of(resnet34(), "2b") == 73_728  # 2 * 9 * 64 * 64, between 64 maps
    maps = keras.Input((8, 8, 256))
    assert weights_of(keras.Model(maps, pair(maps, 256, 1, "2b")), "2b") == 1_179_648  # 2 * 9 * 256 * 256: 17 times


@pytest.mark.slow
@pytest.mark.parametrize(
    ("input_shape", "shapes"),
    [
        ((17, 17, 3), [(9, 9), (5, 5), (5, 5), (3, 3), (2, 2), (1, 1)]),
        ((64, 96, 3), [(32, 48), (16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]),
        ((225, 225, 3), [(113, 113), (57, 57), (57, 57), (29, 29), (15, 15), (8, 8)]),
        ((None, None, 3), [(None, None)] * 6),
    ],
)
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_maps_at_other_inputs(input_shape, shapes, shortcut):
    model = resnet18(shortcut, input_shape=input_shape, classes=10)
    names = ["conv1", "pool1", "res2b", "res3b", "res4b", "res5b"]
    assert [model.get_layer(name).output.shape[1:3] for name in names] == shapes


@pytest.mark.parametrize("build", [resnet18, plain18])
def test_a_network_without_a_size_takes_any(build):
    free = build(input_shape=(None, None, 3), classes=10)
    sized = build(input_shape=(33, 65, 3), classes=10)
    sized.set_weights(free.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 33, 65, 3)).astype("float32")
    np.testing.assert_allclose(free(images), sized(images), rtol=1e-5, atol=1e-5)
    assert free(images[:, :20, :17]).shape == (2, 10)


def test_padding_is_the_same_on_both_sides():
    padding = {row.name: row.padding for row in layer_table(resnet50(input_shape=(64, 64, 3), stride_in="3x3"))}
    assert (padding["conv1"], padding["pool1"], padding["res3a_branch2b"], padding["res3a_branch1"]) == (3, 1, 1, 0)


@pytest.mark.slow
def test_names_are_the_released_ones():
    shallow = {layer.name for layer in resnet50(input_shape=(32, 32, 3)).layers}
    assert {"bn_conv1", "res2a_branch1", "bn2a_branch1", "res3d_branch2c", "res4f", "res5c", "fc1000"} <= shallow
    deep = {layer.name for layer in resnet101(input_shape=(32, 32, 3)).layers}
    assert {"res2c", "res3a", "res3b3", "res4b22_branch2c", "bn4b22_branch2c", "res5c", "pool5"} <= deep


def test_option_a_is_refused_for_bottlenecks():
    with pytest.raises(ValueError, match="'A', which the paper does not define for bottlenecks; it must be 'B' or 'C'"):
        resnet50(shortcut="A")


def test_unknown_choices_are_refused_with_those_allowed():
    with pytest.raises(ValueError, match="shortcut is 'D'; it must be one of 'A', 'B', 'C'"):
        resnet18(shortcut="D")
    with pytest.raises(ValueError, match="shortcut is None; it must be one of 'B', 'C'"):
        resnet50(shortcut=None)
    with pytest.raises(ValueError, match="stride_in is '7x7'; it must be one of '1x1', '3x3'"):
        resnet101(stride_in="7x7")
