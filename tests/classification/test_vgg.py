"""VGG: its six configurations, what its dense layers weigh, and its convolutions beside Keras's."""

import keras
import numpy as np
import pytest

import keras_cnns
from keras_cnns import vgg
from keras_cnns.inspection import layer_table

# Weights and biases of the convolutions, added up by hand from Table 1.
CONVOLUTIONS = {
    "A": 9_220_480,
    "A-LRN": 9_220_480,
    "B": 9_404_992,
    "C": 9_996_096,
    "D": 14_714_688,
    "E": 20_024_384,
}


@pytest.mark.parametrize("configuration", CONVOLUTIONS)
def test_counts_at_32_pixels_and_ten_classes(configuration):
    dense = (512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 10
    model = vgg(configuration, input_shape=(32, 32, 3), classes=10)
    assert model.count_params() == CONVOLUTIONS[configuration] + dense


@pytest.mark.slow
def test_hundred_classes():
    assert vgg(classes=100).count_params() == 138_357_544 - 900 * (4096 + 1)


def test_dense_layers_hold_89_percent_of_configuration_d():
    """Claim C6."""
    counts = {"conv": 0, "fc": 0}
    for row in layer_table(vgg("D")):
        if row.kind in counts:
            counts[row.kind] += row.weights + row.biases
    assert counts == {"conv": 14_714_688, "fc": 123_642_856}
    assert round(100 * counts["fc"] / 138_357_544, 1) == 89.4


@pytest.mark.parametrize(("shape", "maps"), [((65, 65), [65, 32, 16, 8, 4, 2]), ((47, 96), [47, 23, 11, 5, 2, 1])])
def test_poolings_take_whole_windows(shape, maps):
    model = vgg("A", input_shape=(*shape, 3), classes=2)
    names = ("conv1_1", "pool1", "pool2", "pool3", "pool4", "pool5")
    assert [model.get_layer(name).output.shape[1] for name in names] == maps


@pytest.mark.parametrize(("alias", "configuration"), [("vgg11", "A"), ("vgg13", "B"), ("vgg16", "D"), ("vgg19", "E")])
def test_aliases(alias, configuration):
    aliased = getattr(keras_cnns, alias)(input_shape=(32, 32, 3), classes=2)
    assert aliased.name == alias
    assert layer_table(aliased) == layer_table(vgg(configuration, input_shape=(32, 32, 3), classes=2))


def test_an_unknown_configuration_is_told_the_six():
    with pytest.raises(ValueError, match="configuration is 'F'; it must be one of 'A', 'A-LRN', 'B', 'C', 'D', 'E'"):
        vgg(configuration="F")


def test_normalisation_has_alexnets_constants():
    layer = vgg("A-LRN", input_shape=(32, 32, 3), classes=2).get_layer("lrn1")
    assert (layer.n, layer.k, layer.alpha, layer.beta) == (5, 2, 1e-4, 0.75)


@pytest.mark.parametrize(("configuration", "theirs"), [("D", "VGG16"), ("E", "VGG19")])
def test_maps_equal_those_of_keras_applications(configuration, theirs):
    ours = vgg(configuration, input_shape=(64, 64, 3), classes=2)
    trunk = getattr(keras.applications, theirs)(weights=None, include_top=False, input_shape=(64, 64, 3))
    trunk.set_weights(ours.get_weights()[:-6])  # all but the three dense layers'
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
    maps = keras.Model(ours.input, ours.get_layer("pool5").output)(images)
    np.testing.assert_allclose(maps, trunk(images), rtol=1e-5, atol=1e-6)
