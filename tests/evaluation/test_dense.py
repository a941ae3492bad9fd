"""Dense evaluation over whole images at several scales: VGG, section 3.2; ResNet, section 3.4."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import Images
from keras_cnns.data.augmentation import resize_shorter_side, subtract_mean, with_mirror
from keras_cnns.evaluation import at_scales, classification_errors
from keras_cnns.segmentation import convolutionalize
from keras_cnns.training import mirrored

skimage_data = pytest.importorskip("skimage.data")


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def network():
    """Windows of 17x17 pixels every 4 pixels, no padding."""
    return keras.Sequential(
        [
            keras.Input((17, 17, 3)),
            keras.layers.Conv2D(6, 5, strides=2, activation="relu"),  # 7x7
            keras.layers.MaxPooling2D(3, strides=2),  # 3x3
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(3),
        ]
    )


def photographs():
    """Five images of different shapes."""
    pictures = [skimage_data.coffee()[: 60 + 8 * number, 40:110] for number in range(5)]
    labels = np.arange(5) % 3

    def records(seed):
        encoded = [tf.io.encode_png(picture) for picture in pictures]
        names = [str(number) for number in range(5)]
        return tf.data.Dataset.from_tensor_slices((np.arange(5), names, encoded, np.int64(labels)))

    return Images("photographs", "", "abc", 5, records), pictures, labels


@pytest.mark.slow
@pytest.mark.parametrize(("replicas", "scales"), [(1, (22, 30)), (2, (22, 30)), (1, (25,))])
def test_scales_and_mirrors_equal_every_window_one_by_one(replicas, scales):
    keras.utils.set_random_seed(0)
    images, pictures, labels = photographs()
    strategy = mirrored(replicas)
    with strategy.scope():
        model = network()
        dense = convolutionalize(model)
    views = [images.each(resize_shorter_side(q)).map(subtract_mean(120.0, deviation=60.0), with_mirror) for q in scales]
    errors = classification_errors(dense, at_scales([each.batches(1) for each in views]), strategy)

    posteriors = []
    for picture in pictures:
        views = []
        for q in scales:
            whole = resize_shorter_side(q)(tf.constant(picture), None).numpy() / 60.0 - 2.0
            for view in (whole, whole[:, ::-1]):
                windows = [
                    view[top : top + 17, left : left + 17]
                    for top in range(0, view.shape[0] - 16, 4)
                    for left in range(0, view.shape[1] - 16, 4)
                ]
                assert len(windows) >= 2
                views.append(softmax(model(np.stack(windows)).numpy().mean(axis=0)))  # scores averaged, then softmax
        posteriors.append(np.mean(views, axis=0))  # posteriors of mirrors and scales averaged
    posteriors = np.array(posteriors)
    assert errors["images"] == 5
    assert errors["loss"] == pytest.approx(-np.log(posteriors[np.arange(5), labels]).mean(), rel=1e-4)
    assert errors["top1_error"] == pytest.approx(100 * (posteriors.argmax(axis=1) != labels).mean())
