"""Classifiers as convolutions: the same numbers at their own size, a map of windows at larger ones."""

import keras
import numpy as np
import pytest

from keras_cnns import alexnet, densenet_cifar, googlenet, overfeat, resnet18, resnet_cifar, vgg, zfnet
from keras_cnns.layers import LocalResponseNormalization, OriginalDropout
from keras_cnns.segmentation import convolutionalize


def photograph(height, width, channels=3):
    return np.random.default_rng(0).normal(0, 40, (2, height, width, channels)).astype("float32")


def randomised(model):
    """Weights that hide nothing: Keras's biases of 0 and gammas of 1 would."""
    generator = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights(
            [value + generator.uniform(0, 0.1, value.shape) * value.std() for value in layer.get_weights()]
        )
    return model


@pytest.mark.parametrize(
    ("model", "larger"),
    [
        (lambda: resnet_cifar(8), (40, 52)),
        (lambda: densenet_cifar(10, 4, dropout=0.2), (36, 48)),
        (lambda: resnet18(input_shape=(64, 64, 3), classes=10), (96, 128)),
        (lambda: googlenet(input_shape=(96, 96, 3), classes=10), (128, 192)),
        pytest.param(lambda: vgg("A", input_shape=(64, 96, 3), classes=10), (96, 160), marks=pytest.mark.slow),
        pytest.param(lambda: alexnet(input_shape=(224, 224, 3)), (256, 320), marks=pytest.mark.slow),
        pytest.param(lambda: alexnet(two_towers=False), (259, 323), marks=pytest.mark.slow),
        pytest.param(lambda: zfnet(input_shape=(112, 144, 3), classes=10), (160, 208), marks=pytest.mark.slow),
        pytest.param(lambda: overfeat(input_shape=(103, 135, 3), classes=10), (139, 207), marks=pytest.mark.slow),
    ],
)
def test_same_weights_same_output_at_its_own_size_and_a_map_at_larger_ones(model, larger):
    model = randomised(model())
    dense = convolutionalize(model)
    assert dense.count_params() == model.count_params()
    assert [layer.name for layer in dense.layers] == [layer.name for layer in model.layers]
    image = photograph(*model.inputs[0].shape[1:])
    for ours, theirs in zip(outputs(dense, image), outputs(model, image), strict=True):
        assert ours.shape == (2, 1, 1, theirs.shape[-1])
        np.testing.assert_allclose(ours[:, 0, 0], theirs, atol=1e-5 * abs(theirs).max())
    rows, columns = outputs(dense, photograph(*larger))[0].shape[1:3]
    assert rows > 1 and columns > 1


def outputs(model, image):
    result = model(image)
    return [each.numpy() for each in (result if isinstance(result, list) else [result])]


def test_vgg_at_384x512_gives_the_papers_map():
    """Five poolings by 2 leave 12x16 maps; fc6's 7x7 window has 6x10 places on them. Weights need not be run."""
    dense = convolutionalize(small_vgg())
    assert dense.compute_output_shape((1, 384, 512, 3)) == (1, 6, 10, 5)
    assert dense.get_layer("fc6").kernel.shape == (7, 7, 8, 6)


def small_vgg():
    """VGG's plan with few filters: five poolings, then 7x7 maps."""
    layers = [keras.Input((224, 224, 3))]
    for _ in range(5):
        layers += [keras.layers.Conv2D(8, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(6, activation="relu", name="fc6"), keras.layers.Dropout(0.5)]
    return keras.Sequential([*layers, keras.layers.Dense(5, name="fc7")])


def windowed():
    """Without padding, so that a window computes the same wherever it lies: 18 pixels, a stride of 4, 2x3 maps."""
    return keras.Sequential(
        [
            keras.Input((18, 22, 3)),
            keras.layers.Conv2D(6, 5, strides=2, activation="relu"),  # 7x9
            LocalResponseNormalization(name="norm"),
            keras.layers.MaxPooling2D(3, strides=2, name="pool"),  # 3x4
            keras.layers.Conv2D(7, 2, name="conv"),  # 2x3
            OriginalDropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(9, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(4, use_bias=False),
        ]
    )


def test_the_map_is_the_classifier_window_by_window():
    model = randomised(windowed())
    image = photograph(30, 42)
    dense = convolutionalize(model)(image).numpy()
    assert dense.shape == (2, 4, 6, 4)  # 1 + (30 - 18) / 4 and 1 + (42 - 22) / 4
    for row in range(4):
        for column in range(6):
            window = image[:, 4 * row : 4 * row + 18, 4 * column : 4 * column + 22]
            np.testing.assert_allclose(dense[:, row, column], model(window), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [(keras.layers.GlobalAveragePooling2D, [4, 7]), (keras.layers.GlobalMaxPooling2D, [8, 11])],
)
def test_global_pooling_becomes_a_pooling_of_its_window(pooling, expected):
    """Maps of 3x3, then of 4x3: the mean (the maximum) of the first three rows and of the last three, by hand."""
    model = keras.Sequential(
        [
            keras.Input((3, 3, 1)),
            pooling(),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    image = np.arange(12, dtype="float32").reshape(1, 4, 3, 1)
    np.testing.assert_allclose(convolutionalize(model)(image)[0, :, 0, 0], expected)


def with_an_operation():
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image * 2.0)))


def sequential(*layers, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *layers], name="net")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: resnet_cifar(8, input_shape=(None, None, 3)), "it must have one"),
        (lambda: sequential(keras.layers.Dense(2), shape=(8,)), "it must have one"),
        (lambda: keras.Sequential([keras.layers.Dense(2)], name="net"), "it must have one"),
        (lambda: sequential(keras.layers.Conv2D(2, 3)), "has no dense layer"),
        (lambda: sequential(keras.layers.Dense(2), keras.layers.Flatten()), "ends in flattened maps"),
        (
            lambda: sequential(
                keras.layers.Flatten(), keras.layers.BatchNormalization(name="bn"), keras.layers.Dense(2)
            ),
            "bn, a BatchNormalization on flattened maps, is not known to do the same at every position",
        ),
        (
            lambda: sequential(
                keras.layers.Reshape((64, 3), name="rows"), keras.layers.Flatten(), keras.layers.Dense(2)
            ),
            "rows, a Reshape, is not known to do the same at every position",
        ),
        (
            lambda: sequential(
                keras.layers.LayerNormalization(name="ln"), keras.layers.Flatten(), keras.layers.Dense(2)
            ),
            "ln, a LayerNormalization, is not known to do the same at every position, and is not supported",
        ),
        (lambda: "alexnet", "model is a str; it must be a Keras model"),
        (lambda: with_an_operation(), "an operation and no layer, is not supported"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_the_reason(model, reason):
    with pytest.raises(ValueError, match=reason):
        convolutionalize(model())
