"""YOLO: its grid, its boxes, its activation, and what it takes over from its pre-training."""

import keras
import numpy as np
import pytest

from keras_cnns import load_layers
from keras_cnns.detection import yolo, yolo_classifier
from keras_cnns.detection.yolo import LAYERS, PRETRAINED, leaky


def convolutions(layers):
    return [layer for layer in layers if layer != "max"]


def test_the_paper_counts_its_layers():
    """Section 2.1: 24 convolutions and 2 fully connected layers; Fast YOLO has 9; 20 are trained first."""
    assert len(convolutions(LAYERS["paper"])) == 24 and len(convolutions(LAYERS["fast"])) == 9
    assert len(convolutions(PRETRAINED)) == 20
    assert LAYERS["paper"][: len(PRETRAINED)] == PRETRAINED


@pytest.mark.slow
def test_any_grid_boxes_and_classes():
    """S x S x (5 B + C): the paper's is 7x7x30 on VOC."""
    small = {"input_shape": (64, 96, 3), "variant": "fast"}
    assert yolo(**small).output.shape == (None, 7, 7, 30)
    assert yolo(**small, classes=3, grid=5, boxes=4).output.shape == (None, 5, 5, 23)


@pytest.mark.slow
def test_the_later_release_is_normalised_and_has_three_boxes():
    model = yolo((64, 64, 3), variant="local")
    assert model.output.shape == (None, 7, 7, 35)
    normalised = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(normalised) == 24 and not any(model.get_layer(f"conv{n}").use_bias for n in range(1, 25))
    assert np.isfinite(model(np.ones((1, 64, 64, 3)))).all()


def test_leaky_by_hand():
    """Equation 2: x above 0, 0.1 x below."""
    np.testing.assert_allclose(leaky(np.float32([-2, 0, 3])), [-0.2, 0, 3], rtol=1e-6)


@pytest.mark.slow
def test_all_layers_are_leaky_but_the_last_and_fast_yolos_first_dense_one():
    model = yolo((64, 64, 3), variant="fast")
    activations = {layer.name: layer.activation for layer in model.layers if layer.weights}
    assert {name for name, each in activations.items() if each is not leaky} == {"fc1", "fc3"}


@pytest.mark.slow
def test_the_first_20_convolutions_are_taken_over():
    keras.utils.set_random_seed(0)
    first = yolo_classifier((32, 32, 3), classes=5)
    detector = yolo((64, 64, 3), classes=2, grid=1)
    taken = load_layers(detector, first)
    assert taken == [f"conv{number}" for number in range(1, 21)]
    np.testing.assert_array_equal(detector.get_layer("conv20").kernel, first.get_layer("conv20").kernel)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "tiny"}, "variant is 'tiny'; it must be one of 'paper', 'fast', 'local'"),
        ({"grid": 0}, "grid is 0; it must be a whole number of at least 1"),
        ({"boxes": 1.5}, "boxes is 1.5; it must be a whole number of at least 1"),
        ({"input_shape": (63, 64, 3)}, "at least 64 pixels"),
    ],
)
def test_bad_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        yolo(**arguments)
