"""R-CNN's network, the features of a photo's boxes, and what is found by scores."""

import keras
import numpy as np
import pytest

from keras_cnns.detection import rcnn, svm_detections, window_features
from keras_cnns.ops import warp_boxes


def small(side=12):
    image = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv1")(image)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(7, activation="relu", name="fc7")(x)
    return keras.Model(image, keras.layers.Dense(3, name="fc8_pascal")(x))


def test_features_of_more_boxes_than_go_through_at_once():
    keras.utils.set_random_seed(0)
    network, random = small(), np.random.default_rng(0)
    photo, corner = random.normal(size=(40, 50, 3)).astype("float32"), random.uniform(0, 30, (150, 2))
    boxes = np.concatenate([corner, corner + random.uniform(3, 20, (150, 2))], axis=1).astype("float32")
    pooled, fc7 = window_features(network, context=2)(photo, boxes)
    windows = warp_boxes(photo, boxes, 12, 2)
    expected = keras.Model(network.input, [network.get_layer(name).output for name in ("flatten", "fc7")])(windows)
    np.testing.assert_allclose(pooled, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fc7, expected[1], rtol=1e-4, atol=1e-5)
    (alone,) = window_features(network, 2, names=("flatten",))(photo, boxes[:3])
    np.testing.assert_allclose(alone, pooled[:3], rtol=1e-4, atol=1e-5)
    none = window_features(network, context=2)(photo, boxes[:0])
    assert [each.shape for each in none] == [(0, 100), (0, 7)]


def test_best_boxes_of_each_class_stay():
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [-5, 0, 8, 50]])
    scores = np.float32([[1, -2], [2, -1], [0, 3], [-3, -4]])
    found = svm_detections(scores, boxes, (40, 40))
    # Class 0: 1 drops 0 (IoU 0.9), 2 stays, 3 (cut to 8x40; IoU with 1: 72 / 338) stays.
    assert found["scores"].tolist() == [3, 2, 0, -1, -3, -4] and found["labels"].tolist() == [1, 0, 0, 1, 0, 1]
    assert found["boxes"][4].tolist() == [0, 0, 8, 40] and found["labels"].dtype == "int32"
    assert len(svm_detections(scores, boxes, (40, 40), most=1)["scores"]) == 2


def test_each_class_may_have_its_own_boxes():
    boxes = np.float32([[[0, 0, 5, 5], [1, 1, 6, 6]]])
    found = svm_detections(np.float32([[1, 2]]), boxes, (40, 40))
    assert found["boxes"].tolist() == [[1, 1, 6, 6], [0, 0, 5, 5]]
    assert svm_detections(np.zeros((0, 2), "float32"), np.zeros((0, 4), "float32"), (9, 9))["boxes"].shape == (0, 4)


def test_bad_arguments():
    with pytest.raises(ValueError, match="trunk is 'resnet'; it must be one of 'alexnet', 'vgg16'"):
        rcnn(trunk="resnet")
    with pytest.raises(ValueError, match="classes is 0"):
        rcnn(classes=0)
