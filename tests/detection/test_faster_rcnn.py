"""Faster R-CNN: what it proposes, images of different sizes in a batch, and its two ways of training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data.boxes import pad_objects, size_among_objects
from keras_cnns.detection import FasterRCNNTraining, alternating_steps, faster_rcnn
from keras_cnns.detection.faster_rcnn_training import detector_loss, ground_truth, of_step, trunk
from keras_cnns.training import mirrored
from tests.detection.small import small_faster_rcnn

SMALL = {"classes": 2, "trunk": "zf", "scales": (2, 4)}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return faster_rcnn(**SMALL, proposals=20)


@pytest.mark.slow
@pytest.mark.parametrize(("trunk_name", "expected"), [("zf", 603_958), ("vgg16", 2_387_510)])
def test_the_proposal_networks_count(trunk_name, expected):
    """With 2k = 18 and 4k = 36 outputs."""
    model = faster_rcnn((32, 32, 3), trunk=trunk_name)
    layers = [model.get_layer(name) for name in ("rpn_conv_3x3", "rpn_cls_score", "rpn_bbox_pred")]
    assert sum(layer.count_params() for layer in layers) == expected
    assert [layer.filters for layer in layers[1:]] == [18, 36]


@pytest.mark.slow
def test_proposals_lie_in_each_image(network):
    images = np.random.default_rng(0).normal(size=(2, 128, 160, 3)).astype("float32") * 50
    logits, deltas, boxes, scores, moves = network([images, np.float32([[128, 160], [96, 64]])])
    assert logits.shape == (2, 20, 3) and deltas.shape == (2, 20, 12) and boxes.shape == (2, 20, 4)
    assert scores.shape[-1] == 12 and moves.shape[-1] == 24
    boxes = boxes.numpy()
    there = boxes[..., 2] > 0
    assert there.any(axis=1).all()
    assert (boxes[0] <= [160, 128] * 2).all() and (boxes[1] <= [64, 96] * 2).all() and boxes.min() >= 0
    assert (boxes[there][:, 2:] - boxes[there][:, :2] >= 16).all()


def test_an_image_of_one_pixel_has_no_proposals(network):
    _, _, boxes, *_ = network([np.zeros((1, 1, 1, 3), "float32"), np.float32([[1, 1]])])
    assert not boxes.numpy().any()


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="trunk is 'alexnet'; it must be one of 'vgg16', 'zf'"):
        faster_rcnn(trunk="alexnet")
    with pytest.raises(ValueError, match=r"scales is .*; it must be positive"):
        faster_rcnn(scales=(0,))


def test_padding_hides_no_size_and_no_object():
    image, objects = tf.zeros((30, 40, 3), tf.uint8), tf.constant([[1.0, 2, 9, 8, 1, 0], [3.0, 3, 9, 9, 0, 1]])
    image, objects = pad_objects(64, 48)(size_among_objects((image, objects), 0), 0)
    boxes, labels, sizes = ground_truth(objects[None])
    assert image.shape == (64, 48, 3) and sizes.numpy().tolist() == [[30, 40]]
    assert boxes[0].numpy().tolist() == [[1, 2, 9, 8], [0] * 4, [0] * 4]  # the second is difficult
    assert labels[0, 0] == 1


def batch():
    """Two images of different sizes with a bright square each, the second without an object."""
    images = np.zeros((2, 96, 128, 3), "float32")
    images[0, 20:60, 30:70] = 80
    objects = np.full((2, 3, 6), -1, "float32")
    objects[0, 0] = [30, 20, 70, 60, 1, 0]
    objects[:, -1, :4] = [[0, 0, 128, 96], [0, 0, 100, 64]]
    return images, objects


def trained(training, steps, rate=1e-3):
    training.compile(keras.optimizers.SGD(rate, momentum=0.9))
    step = tf.function(training.train_step)
    return [{name: float(value) for name, value in step(batch()).items()} for _ in range(steps)]


SETTINGS = {"before": 200, "after": 50, "rois": 16}


@pytest.mark.slow
@pytest.mark.parametrize(("build", "paper_loss"), [(faster_rcnn, True), (small_faster_rcnn, False)])
def test_both_parts_learn_together(build, paper_loss):
    keras.utils.set_random_seed(1)
    network = build(**SMALL)
    before = {weight.path: weight.numpy() for weight in network.trainable_variables}
    training = FasterRCNNTraining(network, paper_loss=paper_loss, **SETTINGS)
    rows = trained(training, 4, rate=1e-2)
    assert set(rows[0]) == {"loss", "rpn_loss", "detector_loss"} and np.isfinite(list(rows[-1].values())).all()
    assert rows[0]["loss"] == pytest.approx(rows[0]["rpn_loss"] + rows[0]["detector_loss"], rel=1e-5)
    assert rows[-1]["loss"] < 0.99 * rows[0]["loss"]
    assert all(not np.array_equal(weight, before[weight.path]) for weight in network.trainable_variables)


def test_two_replicas_weigh_the_detectors_loss_as_one_and_draw_for_themselves():
    random = np.random.default_rng(0)
    labels = tf.constant(random.integers(-1, 3, (2, 8)), tf.int32)
    targets, logits, deltas = (tf.constant(random.normal(size=(2, 8, width)), tf.float32) for width in (4, 3, 12))
    alone = detector_loss(labels, targets, logits, deltas)
    strategy = mirrored(2)
    with strategy.scope():
        optimizer = keras.optimizers.SGD(0.1)
    both = strategy.run(lambda: (detector_loss(labels, targets, logits, deltas), of_step(optimizer, 3, (4,), 1)))
    losses, drawn = (strategy.experimental_local_results(each) for each in both)
    np.testing.assert_allclose(losses, [alone] * 2, rtol=1e-6)
    np.testing.assert_array_equal(drawn[0], of_step(optimizer, 3, (4,), 1))
    assert not np.any(drawn[0] == drawn[1])


@pytest.mark.slow
def test_a_scaled_loss_moves_the_weights_as_far():
    """What Keras puts around the optimizer in float16 divides each gradient by what the loss was multiplied with."""
    moved = []
    for wrap in (lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer):
        keras.utils.set_random_seed(1)
        training = FasterRCNNTraining(small_faster_rcnn(**SMALL), **SETTINGS)
        training.compile(wrap(keras.optimizers.SGD(1e-3)))
        before = [weight.numpy() for weight in training.network.trainable_variables]
        training.train_step(batch())
        after = training.network.trainable_variables
        moved.append(np.array([np.abs(new - old).max() for new, old in zip(after, before, strict=True)]))
    assert moved[0].max() > 0
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-2, atol=1e-7)


@pytest.mark.slow
def test_the_four_steps_move_what_they_should():
    keras.utils.set_random_seed(1)
    first, second = small_faster_rcnn(**SMALL), small_faster_rcnn(**SMALL)
    shared = {layer.name for layer in trunk(first).layers}

    def part(layer):
        return "trunk" if layer.name in shared else "rpn" if layer.name.startswith("rpn") else "detector"

    def moved(network, before):
        return {
            part(layer)
            for layer in network.layers
            for old, new in zip(before[layer.name], layer.get_weights(), strict=True)
            if not np.array_equal(old, new)
        }

    def weights(network):
        return {layer.name: layer.get_weights() for layer in network.layers}

    found = []
    for training in alternating_steps(first, second, **SETTINGS):
        before = weights(first), weights(second)
        trained(training, 1)
        found.append(tuple(moved(network, old) for network, old in zip((first, second), before, strict=True)))
    assert found == [
        ({"trunk", "rpn"}, set()),
        (set(), {"trunk", "detector"}),
        (set(), {"rpn"}),
        (set(), {"detector"}),
    ]
