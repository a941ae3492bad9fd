"""The deconvnet: by hand, written out in NumPy, and on every kind of network here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_cnns
from keras_cnns.inspection import project_back, receptive_field
from keras_cnns.layers import LocalResponseNormalization


def stack(*parts, side=8, channels=2):
    image = x = keras.Input((side, side, channels), name="image")
    for part in parts:
        x = part(x)
    return keras.Model(image, x)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_a_6x6_case_by_hand():
    """A filter that sees a pixel and, twice, the pixel down to the right of it; then the maximum of four."""
    model = stack(
        layers.Conv2D(1, 3, use_bias=False, activation="relu", name="conv"), layers.MaxPooling2D(2), side=6, channels=1
    )
    model.get_layer("conv").set_weights([np.float32([[0, 0, 0], [0, 1, 0], [0, 0, 2]]).reshape(3, 3, 1, 1)])
    image = np.float32(
        [
            [9, 9, 9, 9, 9, 9],
            [9, 1, 0, 2, 0, 9],
            [9, 0, 3, 0, 1, 4],
            [9, 0, 1, 0, 0, 2],
            [9, 1, 0, 0, 0, 0],
            [9, 9, 9, 9, 0, 5],
        ]
    ).reshape(1, 6, 6, 1)
    # conv, at the pixels (1..4, 1..4): 1 + 2*3 = 7, 0, 2 + 2*1 = 4, 0 + 2*4 = 8; 0 + 2*1 = 2, 3, 0, 1 + 2*2 = 5;
    # 0, 1, 0, 0; 1 + 2*9 = 19, 2*9 = 18, 0, 2*5 = 10. Pooled: 7 from (1, 1), 8 from (1, 4); 19 from (4, 1), 10 from
    # (4, 4).
    for place, value, at in (((0, 0), 7, (1, 1)), ((0, 1), 8, (1, 4)), ((1, 0), 19, (4, 1)), ((1, 1), 10, (4, 4))):
        expected = np.zeros((6, 6))
        expected[at], expected[at[0] + 1, at[1] + 1] = value, 2 * value
        projected = project_back(model, model.layers[-1], image, 0, [place])
        np.testing.assert_array_equal(projected[0, :, :, 0], expected)
    strongest = project_back(model, model.layers[-1], image, 0)
    np.testing.assert_array_equal(strongest, project_back(model, model.layers[-1], image, 0, [(1, 0)]))


def test_on_a_linear_network_it_is_the_activation_times_its_gradient():
    model = stack(
        layers.ZeroPadding2D(1),
        layers.Conv2D(3, 3, strides=2, padding="same", name="conv"),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(5, name="fc"),
    )
    model.layers[3].set_weights([noise(3), noise(3), noise(3), np.abs(noise(3))])
    images = tf.constant(noise(4, 8, 8, 2))
    features = [0, 3, 4, 1]
    with tf.GradientTape() as tape:
        tape.watch(images)
        units = tf.gather(model(images), features, axis=1, batch_dims=1)
    expected = units[:, None, None, None] * tape.gradient(units, images)
    np.testing.assert_allclose(project_back(model, "fc", images, features), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("window", [(2, 2, "valid"), (3, 2, "valid"), (3, 2, "same"), (3, 1, "same")])
def test_switches_put_each_maximum_back_in_its_place(window):
    size, stride, padding = window
    model = stack(layers.MaxPooling2D(size, stride, padding, name="pool"), side=7)
    images = np.random.default_rng(1).permutation(7 * 7 * 2).reshape(1, 7, 7, 2).astype("float32") + 1
    pooled = model(images)[0].numpy()
    for row, column, feature in np.ndindex(pooled.shape):
        projected = project_back(model, "pool", images, feature, [(row, column)])
        here = images == pooled[row, column, feature]
        np.testing.assert_array_equal(projected, np.where(here, images, 0))


# The deconvnet of section 2.1, written out.


def convolve(x, kernel, bias):
    height, width = (side - len(kernel) + 1 for side in x.shape[:2])
    out = np.zeros((height, width, kernel.shape[-1]))
    for i, j in np.ndindex(height, width):
        out[i, j] = np.einsum("hwc,hwcf->f", x[i : i + len(kernel), j : j + len(kernel)], kernel) + bias
    return out


def filter_back(signal, kernel):
    size = len(kernel)
    out = np.zeros((signal.shape[0] + size - 1, signal.shape[1] + size - 1, kernel.shape[2]))
    for i, j in np.ndindex(signal.shape[:2]):
        out[i : i + size, j : j + size] += np.einsum("f,hwcf->hwc", signal[i, j], kernel)
    return out


def pool(x):
    """2x2 maxima, and their positions."""
    height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    windows = x.reshape(height, 2, width, 2, channels).transpose(0, 2, 4, 1, 3).reshape(height, width, channels, 4)
    return windows.max(-1), windows.argmax(-1)


def unpool(signal, switches):
    out = np.zeros((signal.shape[0] * 2, signal.shape[1] * 2, signal.shape[2]))
    for i, j, c in np.ndindex(signal.shape):
        out[2 * i + switches[i, j, c] // 2, 2 * j + switches[i, j, c] % 2, c] = signal[i, j, c]
    return out


def normalise(x):
    """Across 3 neighbouring maps: Krizhevsky's formula."""
    squares = np.pad(x**2, [(0, 0), (0, 0), (1, 1)])
    return x / (2 + 0.5 * (squares[..., :-2] + squares[..., 1:-1] + squares[..., 2:])) ** 0.75


def test_two_layers_written_out():
    """conv, ReLU, pool, contrast normalisation; conv, ReLU: back without the normalisation, the signal rectified."""
    model = stack(
        layers.Conv2D(4, 3, activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool1"),
        LocalResponseNormalization(n=3, k=2, alpha=0.5, beta=0.75, name="norm1"),
        layers.Conv2D(3, 2, activation="relu", name="conv2"),
        side=10,
    )
    first, second = (noise(3, 3, 2, 4, seed=1), noise(4, seed=2)), (noise(2, 2, 4, 3, seed=3), np.ones(3, "float32"))
    model.get_layer("conv1").set_weights(first)
    model.get_layer("conv2").set_weights(second)
    image = noise(10, 10, 2, seed=5)

    pooled, switches = pool(np.maximum(convolve(image, *first), 0))
    maps = np.maximum(convolve(normalise(pooled), *second), 0)
    assert (maps > 0).any(axis=(0, 1)).all()
    for feature in range(3):
        strongest = np.unravel_index(maps[..., feature].argmax(), maps.shape[:2])
        signal = np.zeros_like(maps)
        signal[(*strongest, feature)] = maps[(*strongest, feature)]
        signal = unpool(filter_back(np.maximum(signal, 0), second[0]), switches)
        assert (signal < 0).any()  # else the rectification would not be seen
        expected = filter_back(np.maximum(signal, 0), first[0])
        projected = project_back(model, "conv2", image[None], feature)[0]
        np.testing.assert_allclose(projected, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "relu",
    [
        *(layers.ReLU(), layers.Activation("relu"), layers.Activation(tf.nn.relu), layers.Activation(keras.ops.relu)),
        *(lambda x: keras.ops.relu(x), lambda x: keras.activations.relu(x)),
    ],
)
def test_the_signal_is_rectified_whether_or_not_the_unit_was_active(relu):
    """y = -relu(a) + relu(b), a and b shut: the gradient is zero, the deconvnet's signal -1 is cut and 1 goes on."""
    model = stack(
        layers.Dense(2, use_bias=False, name="first"), relu, layers.Dense(1, name="second"), side=1, channels=2
    )
    model.get_layer("first").set_weights([-np.eye(2, dtype="float32")])
    model.get_layer("second").set_weights([np.float32([[-1], [1]]), np.float32([5])])
    projected = project_back(model, "second", np.ones((1, 1, 1, 2), "float32"), 0)
    np.testing.assert_array_equal(projected, np.float32([0, -5]).reshape(1, 1, 1, 2))


def test_branches_go_back_each_by_itself_and_are_summed():
    image = keras.Input((6, 6, 1))
    straight = layers.Conv2D(2, 3, padding="same", name="a")(image)
    joined = layers.Concatenate(name="joined")([layers.ReLU()(straight), layers.MaxPooling2D(3, 1, "same")(image)])
    model = keras.Model(image, layers.Add(name="sum")([joined, layers.Conv2D(3, 1, name="b")(image)]))
    images = np.abs(noise(1, 6, 6, 1))
    value = model(images)[0, 2, 3, 0].numpy()
    kernel = model.get_layer("a").get_weights()[0][..., 0, 0]
    expected = np.zeros((6, 6))
    expected[1:4, 2:5] = max(value, 0) * kernel  # the signal is rectified at the ReLU of branch a
    expected[2, 3] += value * model.get_layer("b").get_weights()[0][0, 0, 0, 0]
    projected = project_back(model, "sum", images, 0, [(2, 3)])
    np.testing.assert_allclose(projected[0, ..., 0], expected, rtol=1e-5, atol=1e-6)


NETWORKS = [
    (lambda: keras_cnns.zfnet((63, 63, 3), 5), "conv2"),
    (lambda: keras_cnns.alexnet((67, 67, 3), 5), "conv2"),
    (lambda: keras_cnns.vgg("A-LRN", (32, 32, 3), 5), "conv2_1"),
    (lambda: keras_cnns.resnet_cifar(14), "s2_b1_b"),
    (lambda: keras_cnns.resnet_cifar(8), "s2_b1_relu"),
    (lambda: keras_cnns.densenet_cifar(10, 4, bottleneck=True), None),
    pytest.param(lambda: keras_cnns.googlenet(classes=5), "inception_3b_output", marks=pytest.mark.slow),
    pytest.param(lambda: keras_cnns.resnet50(input_shape=(64, 64, 3), classes=5), "res3a", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("builder", "layer"), NETWORKS)
def test_every_network_shows_what_lies_in_the_receptive_field(builder, layer):
    keras.utils.set_random_seed(0)
    model = builder()
    name = layer or next(each.name for each in reversed(model.layers) if isinstance(each, layers.Concatenate))
    images = 100 * np.abs(noise(2, *model.input_shape[1:]))
    output = keras.Model(model.input, model.get_layer(name).output)(images).numpy()
    features = output.max(axis=(0, 1, 2)).argsort()[-3:]
    field = receptive_field(model, name)
    for feature in features:
        row, column = np.unravel_index(output[0, ..., feature].argmax(), output.shape[1:3])
        projected = project_back(model, name, images[:1], feature)[0]
        top, left = (max(field.offset + place * field.stride, 0) for place in (row, column))
        bottom, right = (field.offset + place * field.stride + field.size for place in (row, column))
        assert np.isfinite(projected).all() and projected[top:bottom, left:right].any()
        projected[top:bottom, left:right] = 0
        assert not projected.any()
    for logits in (model.layers[-1].name,):
        assert np.isfinite(project_back(model, logits, images, 1)).all()


def test_nested_models_and_mixed_precision():
    trunk = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(2, 3, activation="relu", name="inner")])
    model = keras.Sequential([keras.Input((8, 8, 2)), trunk, layers.MaxPooling2D(2, name="outer")])
    images = noise(3, 8, 8, 2)
    assert project_back(model, "inner", images, [0, 1, 0]).shape == images.shape
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = stack(layers.Conv2D(2, 3, activation="relu"), layers.MaxPooling2D(2))
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    expected = project_back(model, "outer", images, 1)
    projected = project_back(half, half.layers[-1], images, 1)
    assert projected.dtype == np.float32
    # The strongest unit may be another one after rounding: of most images it is not.
    close = [np.allclose(ours, theirs, rtol=0.05, atol=0.05) for ours, theirs in zip(projected, expected, strict=True)]
    assert sum(close) >= 2


def test_the_model_is_left_as_it_was():
    model = stack(layers.Conv2D(2, 3, activation="relu", name="conv"))
    before, images = model.get_weights(), noise(1, 8, 8, 2)
    outputs = model(images).numpy()
    project_back(model, "conv", images, 0)
    assert model.get_layer("conv").activation is keras.activations.relu
    np.testing.assert_array_equal(model(images), outputs)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_cannot_go_back_is_refused():
    images = noise(2, 8, 8, 2)
    convolution = layers.Conv2D(2, 3, activation="relu", name="conv3")
    model = stack(convolution, layers.Conv2D(3, 3, activation="tanh", name="conv4"), layers.Reshape((48,), name="flat"))
    for arguments, message in (
        (("conv5", images, 0), "has no layer 'conv5'; the nearest are conv"),
        (("conv4", images, 0), "layer 'conv4' of class Conv2D has the activation tanh; a deconvnet undoes ReLU alone"),
        (("conv3", images, 2), "features is 2; layer 'conv3' has 0 to 1"),
        (("conv3", images, [0, -1]), r"features is \[0, -1\]; layer 'conv3' has 0 to 1"),
        (("conv3", images, 0.5), "features is 0.5"),
        (("conv3", images, 0, [(0, 0), (6, 0)]), "layer 'conv3' has 6x6"),
        (("conv3", images, 0, (0, 0)), "places has the shape"),
        (("flat", images, 0, [(0, 0), (0, 0)]), "places has the shape"),
        (("conv3", images[:, :7], 0), r"images have the shape \(2, 7, 8, 2\); the network takes \(None, 8, 8, 2\)"),
        (("conv3", images[0], 0), "images have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            project_back(model, *arguments)
    image = keras.Input((8, 8, 2))
    scale = layers.GlobalAveragePooling2D(keepdims=True)(image)
    model = keras.Model(image, layers.Multiply(name="product")([image, scale]))
    with pytest.raises(ValueError, match="layer 'product' of class Multiply has no transpose known here"):
        project_back(model, "product", images, 0)
    clipped = stack(layers.ReLU(max_value=6, name="relu6"))
    with pytest.raises(ValueError, match="layer 'relu6' of class ReLU has no transpose known here"):
        project_back(clipped, "relu6", images, 0)
    latent = keras.Input((4,), name="latent")
    with pytest.raises(ValueError, match=r"input 'latent' of shape \(None, 4\) is no image"):
        project_back(keras.Model(latent, layers.Dense(2, name="fc")(latent)), "fc", noise(1, 4), 0)
