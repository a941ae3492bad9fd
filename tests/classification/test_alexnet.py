"""AlexNet against Krizhevsky et al., NIPS 2012; its totals and rows are in test_zoo.py."""

import keras
import numpy as np
import pytest

from keras_cnns import alexnet
from keras_cnns.inspection import layer_table


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return alexnet(classes=10)


def image(*shape):
    return np.random.default_rng(0).normal(scale=50, size=shape).astype("float32")


def part(model, first, last):
    """The network from the input of one layer to the output of another, as a function."""
    return keras.Model(model.get_layer(first).input, model.get_layer(last).output)


# A1, and section 3.5: "5x5x48", "3x3x256", "3x3x192", "3x3x192".
@pytest.mark.parametrize(
    ("name", "kernel_shape", "weights"),
    [
        ("conv1", (11, 11, 3, 96), 34_848),
        ("conv2", (5, 5, 48, 256), 307_200),
        ("conv3", (3, 3, 256, 384), 884_736),
        ("conv4", (3, 3, 192, 384), 663_552),
        ("conv5", (3, 3, 192, 256), 442_368),
    ],
)
def test_weights_of_each_convolution(network, name, kernel_shape, weights):
    kernel = network.get_layer(name).kernel
    assert kernel.shape == kernel_shape and np.prod(kernel.shape) == weights
    assert next(row.weights for row in layer_table(network) if row.name == name) == weights


def test_multiply_adds_of_each_layer(network):
    expected = {
        "conv1": 55 * 55 * 96 * 11 * 11 * 3,  # 105,415,200
        "conv2": 27 * 27 * 256 * 5 * 5 * 48,  # 223,948,800
        "conv3": 13 * 13 * 384 * 3 * 3 * 256,  # 149,520,384
        "conv4": 13 * 13 * 384 * 3 * 3 * 192,  # 112,140,288
        "conv5": 13 * 13 * 256 * 3 * 3 * 192,  # 74,760,192
        "fc6": 6 * 6 * 256 * 4096,
        "fc7": 4096 * 4096,
        "fc8": 4096 * 10,
    }
    assert {row.name: row.multiply_adds for row in layer_table(network) if row.multiply_adds} == expected
    assert sum(expected.values()) == 724_406_816 - 4096 * 990  # with 1000 classes 724,406,816


def test_ten_classes_by_hand(network):
    convolutions = 34_848 + 96 + 307_200 + 256 + 884_736 + 384 + 663_552 + 384 + 442_368 + 256
    dense = 9_216 * 4_096 + 4_096 + 4_096 * 4_096 + 4_096 + 4_096 * 10 + 10
    assert network.count_params() == convolutions + dense == 60_965_224 - 990 * 4_097


def test_neurons_of_each_layer(network):
    """Section 3.5 prints 253,440 for the first layer, which is 55 x 48 x 96; the maps it describes hold 290,400."""
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    neurons = [np.prod(network.get_layer(name).output.shape[1:]) for name in layers]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4_096, 4_096]


def test_initial_weights_and_biases(network):
    """Section 5: weights from N(0, 0.01^2); biases 1 in conv2, 4, 5 and the hidden dense layers, else 0."""
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for layer in network.layers:
        if layer.weights and layer.name.startswith(("conv", "fc")):
            kernel, bias = layer.get_weights()
            np.testing.assert_array_equal(bias, float(layer.name in ones))
            error = 0.01 / np.sqrt(2 * kernel.size)  # standard error of a standard deviation
            assert abs(kernel.std() - 0.01) < 5 * error and abs(kernel.mean()) < 5 * 0.01 / np.sqrt(kernel.size)
            assert abs(kernel).max() > 0.03  # not truncated


def test_order_and_windows_of_the_layers(network):
    """Section 3.5: normalisation follows conv1 and conv2; pooling (3x3 every 2) follows both and conv5."""
    names = "conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 pool5 fc6 drop6 fc7 drop7 fc8"
    assert [row.name for row in layer_table(network)] == names.split()
    for name in ("norm1", "norm2"):
        norm = network.get_layer(name)
        assert (norm.n, norm.k, norm.alpha, norm.beta, norm.groups) == (5, 2, 1e-4, 0.75, 2)
    assert network.get_layer("drop6").rate == network.get_layer("drop7").rate == 0.5
    activations = {layer.name: layer.activation.__name__ for layer in network.layers if hasattr(layer, "activation")}
    assert activations.pop("fc8") == "linear" and set(activations.values()) == {"relu"} and len(activations) == 7


@pytest.mark.parametrize(
    ("side", "reached", "maps"), [(64, 67, 15), pytest.param(224, 227, 55, marks=pytest.mark.slow)]
)
def test_an_image_is_padded_at_the_bottom_and_right_as_by_the_authors_code(side, reached, maps):
    """Their 55 = 1 + ceil((224 - 11) / 4) windows reach three rows and columns of zeros beyond the image."""
    ours, plain = (alexnet(input_shape=(size, size, 3), classes=10) for size in (side, reached))
    assert "conv1_pad" not in {layer.name for layer in plain.layers}
    assert ours.get_layer("conv1").output.shape == (None, maps, maps, 96)
    ours.set_weights(plain.get_weights())
    x = image(1, side, side, 3)
    padded = np.zeros((1, reached, reached, 3), "float32")
    padded[:, :side, :side] = x
    np.testing.assert_allclose(ours(x), plain(padded), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("side", "maps"), [(65, 15), (66, 15), (68, 16)])
def test_the_last_windows_of_conv1_hang_over(side, maps):
    """1 + ceil((side - 11) / 4) of them; here (height, width) = (side, 64)."""
    model = alexnet(input_shape=(side, 64, 3), classes=1)
    assert model.get_layer("conv1").output.shape == (None, maps, 15, 96)


@pytest.mark.parametrize(
    ("first", "last", "shape"),
    [("norm1", "conv2", (15, 15, 96)), ("norm2", "pool2", (7, 7, 256)), ("conv4", "conv5", (3, 3, 384))],
)
def test_towers_do_not_see_each_other(first, last, shape):
    model = part(alexnet(input_shape=(64, 64, 3), classes=1), first, last)
    x = abs(image(1, *shape))
    changed = x.copy()
    changed[..., : shape[-1] // 2] += 50
    before, after = np.split(model(x), 2, axis=-1), np.split(model(changed), 2, axis=-1)
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


@pytest.mark.parametrize(("layer", "two_towers"), [("conv3", True), ("conv4", False)])
def test_elsewhere_every_map_sees_every_map(layer, two_towers):
    layer = alexnet(input_shape=(64, 64, 3), classes=1, two_towers=two_towers).get_layer(layer)
    layer.activation = keras.activations.linear
    shape = layer.input.shape[1:]
    x = image(1, *shape)
    changed = x.copy()
    changed[..., 0] += 50
    assert np.all(np.any(layer(x) != layer(changed), axis=(0, 1, 2)))


def test_dropout_leaves_the_scale_of_training_alone(network):
    """Section 4.2: at test "we use all the neurons but multiply their outputs by 0.5"."""
    hidden = part(network, "fc6", "drop6")
    x = abs(image(2, 9216)) / 50
    fc6 = network.get_layer("fc6")(x)
    np.testing.assert_array_equal(hidden(x), 0.5 * fc6)
    trained = hidden(x, training=True)
    assert np.all((trained == 0) | (trained == fc6))


@pytest.mark.parametrize("shape", [(63, 64, 3), (64, 63, 3), (None, None, 3), (64, 64), (64, 64, 0)])
def test_inputs_it_cannot_take_are_refused(shape):
    with pytest.raises(ValueError, match=r"input_shape is .* of at least 64 pixels"):
        alexnet(input_shape=shape)
