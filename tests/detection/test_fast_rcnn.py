"""Fast R-CNN: its other trunk's counts, what a box sees, and where the cells of its maps lie."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.detection import fast_rcnn
from keras_cnns.inspection import layer_table, receptive_field


@pytest.mark.slow
def test_the_smallest_trunk_counts_as_caffenets():
    """Fast R-CNN, model S: 57,298,409 with the 21 classes of VOC and the background."""
    model = fast_rcnn(trunk="alexnet")
    assert model.count_params() == 57_298_409
    rows = {row.name: row for row in layer_table(model)}
    assert rows["roi_pool5"].output_shape == (None, 6, 6, 256)
    assert rows["fc6"].weights == 6 * 6 * 256 * 4096


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return fast_rcnn(classes=2, trunk="alexnet")


def test_a_box_sees_the_cells_that_it_pools(small):
    """A pixel beyond the receptive field of a box's cells changes nothing; one inside does."""
    random = np.random.default_rng(0)
    image = random.normal(size=(1, 200, 320, 3)).astype("float32")
    boxes = np.float32([[[0, 0, 40, 40], [240, 100, 300, 180]]])
    logits, deltas = small([image, boxes])
    assert logits.shape == (1, 2, 3) and deltas.shape == (1, 2, 12)
    other = image.copy()
    other[:, 150:, 260:] += 50
    changed, _ = small([other, boxes])
    np.testing.assert_array_equal(changed[:, 0], logits[:, 0])
    assert np.abs(changed[:, 1] - logits[:, 1]).max() > 1e-6


def test_any_number_of_boxes_and_none(small):
    image = np.random.default_rng(0).normal(size=(2, 64, 48, 3)).astype("float32")
    boxes = np.tile(np.float32([[0, 0, 48, 64], [5, 5, 20, 30]]), (2, 1, 1))
    both, _ = small([image, boxes])
    one, _ = small([image, boxes[:, 1:]])
    np.testing.assert_allclose(one[:, 0], both[:, 1], rtol=1e-4, atol=1e-6)
    assert small([image, boxes[:, :0]])[0].shape == (2, 0, 3)


def test_alexnets_cells_have_their_middles_16_pixels_apart(small):
    field = receptive_field(keras.Model(small.inputs[0], small.get_layer("conv5").output), "conv5")
    assert field.stride == 16
    image = keras.Input((600, 1000, 3))
    sizes = {"pool1": (75, 125, 96), "pool2": (38, 63, 256), "conv5": (38, 63, 256)}
    model = fast_rcnn(input_shape=image.shape[1:], classes=2, trunk="alexnet")
    assert {name: model.get_layer(name).output.shape[1:] for name in sizes} == sizes


def test_the_two_outputs_start_as_the_paper_says(small):
    """Section 2.3: standard deviations of 0.01 and 0.001, biases of 0."""
    for name, deviation in (("cls_score", 0.01), ("bbox_pred", 0.001)):
        kernel, bias = small.get_layer(name).get_weights()
        assert kernel.std() == pytest.approx(deviation, rel=0.05) and not bias.any()


def test_an_unknown_trunk_is_told():
    with pytest.raises(ValueError, match="trunk is 'vgg19'; it must be one of 'vgg16', 'alexnet'"):
        fast_rcnn(trunk="vgg19")


def test_dropout_while_training_alone(small):
    image, boxes = tf.ones((1, 64, 64, 3)), tf.constant([[[0.0, 0, 64, 64]]])
    first, second = (small([image, boxes], training=True)[0] for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(small([image, boxes])[0], small([image, boxes])[0])
