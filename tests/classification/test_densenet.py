"""The DenseNets: what their tables do not tell."""

import keras
import numpy as np
import pytest

from keras_cnns import densenet121, densenet_cifar
from keras_cnns.inspection import layer_table


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.slow
def test_other_classes_and_channels_change_one_layer_each():
    assert trainable(densenet121(classes=100)) == 7_056_356  # 7,978,856 - 900 * (1,024 + 1)
    assert trainable(densenet121(input_shape=(64, 64, 1))) == 7_972_584  # 7,978,856 - 2 * 49 * 64
    assert trainable(densenet_cifar(40, 12, classes=100)) == 1_060_132  # 1,019,722 + 90 * (448 + 1)


def test_small_networks_are_counted():
    # conv1 216; layers of 8, 6, 5 maps: 16 + 288, 12 + 216, 10 + 180; transitions 12 to 6, 10 to 5 maps: 24 + 72,
    # 20 + 50; 18 and 100 behind the 9 maps of the last block
    assert trainable(densenet_cifar(7, 4, compression=0.5, initial_filters=8)) == 1_222
    # conv1 216; layers of 8, 12, 16 maps to 16 and from there to 4: 16 + 128, 24 + 192, 32 + 256, each + 32 + 576;
    # transitions of 12, 16 maps: 24 + 144, 32 + 256; 40 and 210 behind the 20 maps of the last block
    assert trainable(densenet_cifar(10, 4, bottleneck=True, initial_filters=8)) == 3_394


def test_maps_grow_by_k_a_layer_and_a_transition_halves_them():
    widths = {row.name: row.output_shape[-1] for row in layer_table(densenet121(input_shape=(32, 32, 3)))}
    assert [widths[f"concat_2_{layer}"] for layer in range(1, 7)] == [96, 128, 160, 192, 224, 256]  # 64 + 32 a layer
    assert [widths[f"conv{stage}_blk"] for stage in (2, 3, 4)] == [128, 256, 512]  # of 256, 512, 1,024
    assert widths["concat_5_16"] == 1024  # 512 + 16 * 32


def test_a_layer_sees_all_before_it_unchanged():
    model = densenet_cifar(10, 4)
    names = ("conv1", "conv2_1_x2", "conv2_2_x2", "concat_2_2")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    *parts, joined = keras.Model(model.input, [model.get_layer(name).output for name in names])(images)
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), joined)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("input_shape", "shapes"),
    [
        ((29, 29, 3), [(15, 15), (8, 8), (4, 4), (2, 2), (1, 1)]),
        ((100, 70, 3), [(50, 35), (25, 18), (12, 9), (6, 4), (3, 2)]),
        ((None, None, 3), [(None, None)] * 5),
    ],
)
def test_maps_at_other_inputs(input_shape, shapes):
    model = densenet121(input_shape=input_shape, classes=10)
    names = ["conv1", "pool1", "pool2", "pool3", "pool4"]
    assert [model.get_layer(name).output.shape[1:3] for name in names] == shapes


def test_a_network_without_a_size_takes_any():
    free = densenet_cifar(10, 4, input_shape=(None, None, 3))
    sized = densenet_cifar(10, 4, input_shape=(9, 14, 3))
    sized.set_weights(free.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 9, 14, 3)).astype("float32")
    np.testing.assert_allclose(free(images), sized(images), rtol=1e-5, atol=1e-5)
    assert free(images[:, :4, :5]).shape == (2, 10)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_dropout_follows_every_convolution_but_the_first(bottleneck):
    rows = layer_table(densenet_cifar(16, 4, bottleneck, dropout=0.2))
    after = [rows[i + 1].kind for i, row in enumerate(rows) if row.kind == "conv"]
    assert after == ["bn"] + 14 * ["dropout"]  # 16 less the first and the classifier
    assert all(row.kind != "dropout" for row in layer_table(densenet_cifar(16, 4, bottleneck)))
    rates = [layer.rate for layer in densenet_cifar(10, 4, dropout=0.2).layers if hasattr(layer, "rate")]
    assert rates == 8 * [0.2]


def test_names_are_those_of_the_caffe_models():
    names = {layer.name for layer in densenet121(input_shape=(32, 32, 3)).layers}
    assert {"conv1_bn", "conv2_1_x1_bn", "conv2_1_x2", "concat_5_16", "conv4_blk", "conv5_blk_bn", "fc6"} <= names


@pytest.mark.parametrize("depth", [4, 41, 40.0])
def test_a_depth_off_the_rule_is_refused(depth):
    with pytest.raises(ValueError, match=r"without bottlenecks it must be 3n \+ 4 with n of at least 1: 7, 10, 13"):
        densenet_cifar(depth, 12)


@pytest.mark.parametrize("depth", [7, 37])
def test_a_depth_off_the_rule_of_bottlenecks_is_refused(depth):
    with pytest.raises(ValueError, match=r"with bottlenecks it must be 6n \+ 4 with n of at least 1: 10, 16, 22"):
        densenet_cifar(depth, 12, bottleneck=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"growth_rate": 0}, "growth_rate is 0; it must be a whole number of at least 1"),
        ({"initial_filters": 2.5}, "initial_filters is 2.5; it must be a whole number of at least 1"),
        ({"compression": 0}, "compression is 0; it must be at most 1 and leave at least 1"),
        ({"compression": 1.5}, "compression is 1.5; it must be at most 1"),
        ({"dropout": 1}, "dropout is 1; it must be at least 0 and less than 1"),
    ],
)
def test_what_makes_no_network_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        densenet_cifar(**{"depth": 40, "growth_rate": 12, **arguments})
