"""The papers' constants in every classification network: initial weights and biases, dropout, LRN, BN, loss weights.

Typed from the papers, or from the modules' docstrings where a paper is silent; layers are found by what stands before
them. Inputs and numbers of classes are small, which none of the constants depends on.
"""

import functools
import math

import keras
import numpy as np
import pytest

import keras_cnns
from keras_cnns.classification.googlenet import AUXILIARY_LOSS_WEIGHT
from keras_cnns.layers import OriginalDropout

# The builder, its arguments, and the side of the input.
NETWORKS = {
    "alexnet": ("alexnet", {}, 64),
    "alexnet, joined towers": ("alexnet", {"two_towers": False}, 64),
    "zfnet": ("zfnet", {}, 47),
    "vgg A-LRN": ("vgg", {"configuration": "A-LRN"}, 32),
    "vgg D": ("vgg", {"configuration": "D"}, 32),
    "googlenet": ("googlenet", {}, 79),
    "overfeat fast": ("overfeat", {"variant": "fast", "dropout": 0.5}, 71),
    "overfeat accurate": ("overfeat", {"variant": "accurate"}, 77),
    "resnet18": ("resnet18", {}, 32),
    "resnet50": ("resnet50", {}, 32),
    "plain18": ("plain18", {}, 32),
    "resnet_cifar 8": ("resnet_cifar", {"depth": 8}, 8),
    "densenet121": ("densenet121", {}, 32),
    "densenet_cifar 22": (
        "densenet_cifar",
        {"depth": 22, "growth_rate": 12, "bottleneck": True, "compression": 0.5, "dropout": 0.2},
        8,
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def network(name):
    builder, arguments, side = NETWORKS[name]
    keras.utils.set_random_seed(1)
    return getattr(keras_cnns, builder)(**arguments, input_shape=(side, side, 3), classes=10)


@pytest.fixture(scope="module", autouse=True)
def forget_the_networks():
    yield
    network.cache_clear()


def kernels(name):
    """(layer, kernel) of all convolutions and dense layers."""
    return [(layer, np.asarray(layer.kernel)) for layer in network(name).layers if hasattr(layer, "kernel")]


def after(name, kind):
    """Layers of a kind, by the name of the layer whose output they take."""
    found = [layer for layer in network(name).layers if kind in type(layer).__name__]
    return {layer.input._keras_history.operation.name: layer for layer in found}


# Convolutions and dense layers, counted by hand: of depth's layers and, in ResNets, their projections.
KERNELS = {
    "alexnet": 5 + 3,
    "alexnet, joined towers": 5 + 3,
    "zfnet": 5 + 3,
    "vgg A-LRN": 8 + 3,
    "vgg D": 13 + 3,
    "googlenet": 3 + 9 * 6 + 1 + 2 * 3,
    "overfeat fast": 5 + 3,
    "overfeat accurate": 6 + 3,
    "resnet18": 18 + 3,
    "resnet50": 50 + 4,
    "plain18": 18,
    "resnet_cifar 8": 8,
    "densenet121": 121,
    "densenet_cifar 22": 22,
}

# Gaussians of standard deviation 0.01, and of He et al., ICCV 2015.
FIXED = ["alexnet", "alexnet, joined towers", "zfnet", "overfeat fast", "overfeat accurate"]
HE = ["resnet18", "resnet50", "plain18", "resnet_cifar 8", "densenet121", "densenet_cifar 22"]
# Uniform up to a bound: Glorot & Bengio, 2010, and Caffe's "xavier", of variance 1 / fan_in.
UNIFORM = {
    "vgg A-LRN": lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out)),
    "vgg D": lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out)),
    "googlenet": lambda fan_in, fan_out: math.sqrt(3 / fan_in),
}


@pytest.mark.slow
@every_network
def test_all_kernels_are_seen(name):
    assert len(kernels(name)) == KERNELS[name]


@pytest.mark.parametrize("name", FIXED + HE)
def test_gaussian_kernels(name):
    """Within five standard errors: mean, standard deviation, kurtosis (truncated 2.4, uniform 1.8) and tails."""
    for layer, kernel in kernels(name):
        deviation = 0.01 if name in FIXED else math.sqrt(2 / math.prod(kernel.shape[:-1]))
        z, n = kernel / deviation, kernel.size
        assert abs(z.mean()) < 5 / math.sqrt(n), layer.name
        assert abs(z.std() - 1) < 5 / math.sqrt(2 * n), layer.name
        if n >= 4_000:  # fewer tell too little
            assert abs(np.square(z * z).mean() - 3) < 5 * math.sqrt(96 / n), layer.name  # z^4: mean 3, variance 96
            beyond = 0.01242  # of a normal distribution, outside 2.5 standard deviations
            assert abs((abs(z) > 2.5).mean() - beyond) < 5 * math.sqrt(beyond / n), layer.name


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_kernels(name):
    """The kurtosis of a uniform distribution is 1.8, and the largest of n values falls short of the bound by 1 / n."""
    for layer, kernel in kernels(name):
        *field, channels, filters = kernel.shape
        bound = UNIFORM[name](math.prod(field) * channels, math.prod(field) * filters)
        z, n = kernel / bound, kernel.size
        assert 1 - 20 / n < abs(z).max() < 1 + 1e-6, layer.name
        assert abs(z.mean()) < 5 / math.sqrt(3 * n), layer.name
        assert abs(np.square(z).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n), layer.name  # z^2: variance 1/5 - 1/9


@every_network
def test_biases(name):
    """AlexNet's 1 in conv2, 4, 5, fc6 and fc7; GoogLeNet's 0.2 but in its classifiers; no bias where BN follows."""
    for layer, _ in kernels(name):
        if name in HE and isinstance(layer, keras.layers.Conv2D):
            assert not layer.use_bias and layer.bias is None, layer.name
            continue
        expected = 0
        if name.startswith("alexnet") and layer.name in ("conv2", "conv4", "conv5", "fc6", "fc7"):
            expected = 1
        if name == "googlenet" and layer.name not in ("loss1_classifier", "loss2_classifier", "loss3_classifier"):
            expected = 0.2
        np.testing.assert_array_equal(layer.bias, np.float32(expected), layer.name)


# Of 2012 and 2013: all units times 1 - rate at test. Later ones: scaled while training, which is Keras's.
HALF_AT_TEST = (OriginalDropout, 0.5)
HALF = (keras.layers.Dropout, 0.5)
DROPOUT = {
    "alexnet": {"fc6": HALF_AT_TEST, "fc7": HALF_AT_TEST},
    "alexnet, joined towers": {"fc6": HALF_AT_TEST, "fc7": HALF_AT_TEST},
    "zfnet": {"fc6": HALF_AT_TEST, "fc7": HALF_AT_TEST},
    "vgg A-LRN": {"fc6": HALF, "fc7": HALF},
    "vgg D": {"fc6": HALF, "fc7": HALF},
    "googlenet": {
        "pool5_7x7_s1": (keras.layers.Dropout, 0.4),
        "loss1_fc": (keras.layers.Dropout, 0.7),
        "loss2_fc": (keras.layers.Dropout, 0.7),
    },
    "overfeat fast": {"fc6": HALF_AT_TEST, "fc7": HALF_AT_TEST},
    "densenet_cifar 22": {  # every convolution but the first: three blocks of three layers, two transitions
        **{f"conv{b}_{i}_{x}": (keras.layers.Dropout, 0.2) for b in (2, 3, 4) for i in (1, 2, 3) for x in ("x1", "x2")},
        **{f"conv{b}_blk": (keras.layers.Dropout, 0.2) for b in (2, 3)},
    },
}


@every_network
def test_dropout(name):
    found = {before: (type(layer), layer.rate) for before, layer in after(name, "Dropout").items()}
    assert found == DROPOUT.get(name, {})


# n, k, alpha, beta, towers. AlexNet's and VGG's follow a ReLU, ZFNet's a pooling, GoogLeNet's one of each.
NORMALISATION = {
    "alexnet": {"conv1": (5, 2, 1e-4, 0.75, 2), "conv2": (5, 2, 1e-4, 0.75, 2)},
    "alexnet, joined towers": {"conv1": (5, 2, 1e-4, 0.75, 1), "conv2": (5, 2, 1e-4, 0.75, 1)},
    "zfnet": {"pool1": (5, 2, 1e-4, 0.75, 1), "pool2": (5, 2, 1e-4, 0.75, 1)},
    "vgg A-LRN": {"conv1_1": (5, 2, 1e-4, 0.75, 1)},
    "googlenet": {"pool1_3x3_s2": (5, 1, 2e-5, 0.75, 1), "conv2_3x3": (5, 1, 2e-5, 0.75, 1)},
}


@every_network
def test_local_response_normalisation(name):
    layers = after(name, "ResponseNorm").items()
    found = {before: (layer.n, layer.k, layer.alpha, layer.beta, layer.groups) for before, layer in layers}
    assert found == NORMALISATION.get(name, {})


# After each convolution of a ResNet; in a DenseNet before each but the first, at the end, and in 121 after the first.
BATCH_NORMALISATIONS = {
    "resnet18": 17 + 3,
    "resnet50": 49 + 4,
    "plain18": 17,
    "resnet_cifar 8": 7,
    "densenet121": 119 + 1 + 1,
    "densenet_cifar 22": 20 + 1,
}


@every_network
def test_batch_normalisation(name):
    """The moving averages keep 0.9, which Torch calls a momentum of 0.1; epsilon is that of Caffe and Torch."""
    layers = [layer for layer in network(name).layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(layers) == BATCH_NORMALISATIONS.get(name, 0)
    for layer in layers:
        assert (layer.momentum, layer.epsilon) == (0.9, 1e-5), layer.name
        for weights, start in ((layer.gamma, 1), (layer.beta, 0), (layer.moving_mean, 0), (layer.moving_variance, 1)):
            np.testing.assert_array_equal(weights, np.float32(start), layer.name)


def test_weight_of_the_auxiliary_losses():
    assert AUXILIARY_LOSS_WEIGHT == 0.3
