"""Fast R-CNN: its other trunk's counts, what a box sees, and where the cells of its maps lie."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.detection import fast_rcnn, truncated_svd, with_deltas
from keras_cnns.inspection import layer_table, receptive_field
from keras_cnns.layers import RoIPooling


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


@pytest.mark.slow
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


def small_head():
    """A dense head on boxes' colours: fc6 of 12 x 10 and fc7 of 10 x 8."""
    image, boxes = keras.Input((None, None, 3), name="image"), keras.Input((None, 4), name="boxes")
    x = keras.layers.Reshape((-1, 12))(RoIPooling(2, 1.0)(image, boxes))
    x = keras.layers.Dense(10, activation="relu", bias_initializer="ones", name="fc6")(x)
    x = keras.layers.Dense(8, activation="relu", name="fc7")(x)
    return keras.Model([image, boxes], [keras.layers.Dense(3)(x), keras.layers.Dense(12)(x)], name="head")


@pytest.fixture
def head_inputs():
    image = np.random.default_rng(0).normal(size=(1, 12, 12, 3)).astype("float32")
    return [image, np.float32([[[0, 0, 6, 6], [3, 4, 11, 9]]])]


def test_truncated_svd_of_full_rank_changes_nothing(head_inputs):
    model = small_head()
    outputs = truncated_svd(model, (("fc6", 10), ("fc7", 8)))(head_inputs)
    for ours, theirs in zip(outputs, model(head_inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_truncated_svd_is_the_best_approximation(head_inputs, save_and_load):
    """Eckart & Young: what is left is the root of the sum of the squares of the singular values that are left out."""
    model = small_head()
    smaller = truncated_svd(model, (("fc6", 4),))
    first, second, bias = smaller.get_layer("fc6").get_weights()
    kernel, own_bias = model.get_layer("fc6").get_weights()
    assert first.shape == (12, 4) and second.shape == (4, 10)
    left_out = np.linalg.svd(kernel.astype("float64"), compute_uv=False)[4:]
    assert np.linalg.norm(kernel - first @ second) == pytest.approx(np.sqrt(np.sum(left_out**2)), rel=1e-5)
    np.testing.assert_array_equal(bias, own_bias)
    np.testing.assert_array_equal(smaller.get_layer("fc7").kernel, model.get_layer("fc7").kernel)
    assert smaller.count_params() == model.count_params() - 12 * 10 + 12 * 4 + 4 * 10
    again = save_and_load(smaller)
    np.testing.assert_array_equal(again(head_inputs)[0], smaller(head_inputs)[0])


def test_a_layer_that_cannot_be_truncated_is_told():
    with pytest.raises(ValueError, match="head has no dense layer 'fc8'"):
        truncated_svd(small_head(), (("fc8", 2),))
    with pytest.raises(ValueError, match="the rank of fc6 is 11; it must be from 1 to 10"):
        truncated_svd(small_head(), (("fc6", 11),))


def test_truncated_svd_leaves_the_papers_weights():
    """Section 4.4: 1,024 and 256 values leave 29,884,416 of 102,760,448 weights and 2,097,152 of 16,777,216."""
    (name6, t6), (name7, t7) = inspect.signature(truncated_svd).parameters["ranks"].default
    assert (name6, name7) == ("fc6", "fc7")
    assert t6 * (7 * 7 * 512 + 4096) == 29_884_416 and t7 * (4096 + 4096) == 2_097_152


def test_normalised_deltas_become_those_of_the_boxes(head_inputs):
    """d = deviation x d' + mean, for every class, with the weights of the network that is trained."""
    model = small_head()
    means, deviations = (0.1, 0.0, -0.2, 0.3), (0.1, 0.1, 0.2, 0.5)
    detector = with_deltas(model, means, deviations)
    logits, deltas = model(head_inputs)
    ours = detector(head_inputs)
    np.testing.assert_array_equal(ours[0], logits)
    for label in range(3):
        own = slice(4 * label, 4 * label + 4)
        np.testing.assert_allclose(ours[1][..., own], deltas[..., own] * deviations + means, rtol=1e-5, atol=1e-6)
    assert detector.count_params() == model.count_params() and detector.get_layer("fc6") is model.get_layer("fc6")
