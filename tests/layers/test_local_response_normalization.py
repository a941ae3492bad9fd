"""LocalResponseNormalization against the paper's formula in loops, and against TensorFlow's own operation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import LocalResponseNormalization


def activations(channels, scale=60, shape=(2, 3, 4)):
    """Large enough that the paper's alpha = 1e-4 changes them by far more than rounding."""
    return np.float32(scale * np.random.default_rng(channels).normal(size=(*shape, channels)))


def formula(a, n, k, alpha, beta, groups=1):
    """Section 3.3, one channel i after the other; a window ends where the tower ends."""
    b = np.zeros(a.shape)
    size = a.shape[-1] // groups
    for i in range(a.shape[-1]):
        tower = i // size
        first, last = max(tower * size, i - n // 2), min((tower + 1) * size - 1, i + n // 2)
        total = sum(np.float64(a[..., j]) ** 2 for j in range(first, last + 1))
        b[..., i] = a[..., i] / (k + alpha * total) ** beta
    return b


@pytest.mark.parametrize(
    ("channels", "constants"),
    [
        (12, {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}),
        (12, {"n": 5, "k": 1.0, "alpha": 2e-5, "beta": 0.75}),
        (12, {"n": 3, "k": 0.5, "alpha": 1e-2, "beta": 0.5}),
        (12, {"n": 1, "k": 1.0, "alpha": 1e-3, "beta": 1.0}),
        (4, {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}),
        (3, {"n": 11, "k": 2.0, "alpha": 1e-4, "beta": 0.75}),  # wider than the channels
        (1, {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}),
        (12, {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, "groups": 2}),
        (12, {"n": 9, "k": 2.0, "alpha": 1e-4, "beta": 0.6, "groups": 4}),  # wider than a tower
    ],
    ids=str,
)
def test_it_is_the_papers_formula(channels, constants):
    a = activations(channels)
    expected = formula(a, **constants)
    assert np.abs(expected - a / constants["k"] ** constants["beta"]).max() > 0.1  # the sum matters in this test
    np.testing.assert_allclose(LocalResponseNormalization(**constants)(a), expected, rtol=4e-6)


def test_its_defaults_are_the_papers():
    a = activations(16)
    np.testing.assert_allclose(LocalResponseNormalization()(a), formula(a, 5, 2, 1e-4, 0.75), rtol=4e-6)


@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_output_and_gradient_equal_tensorflows(beta):
    a = tf.constant(activations(16))
    upstream = activations(16, scale=1)[::-1]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(a)
        ours = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=beta)(a)
        theirs = tf.nn.local_response_normalization(a, depth_radius=2, bias=2, alpha=1e-4, beta=beta)
    np.testing.assert_allclose(ours, theirs, rtol=4e-6)
    gradients = [tape.gradient(b, a, output_gradients=upstream) for b in (ours, theirs)]
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-6)


def test_each_tower_is_normalised_alone():
    """AlexNet: 96 channels in two towers of 48."""
    a = activations(96)
    towers = [tf.nn.local_response_normalization(half, 2, 2, 1e-4, 0.75) for half in np.split(a, 2, axis=-1)]
    np.testing.assert_allclose(LocalResponseNormalization(groups=2)(a), np.concatenate(towers, axis=-1), rtol=4e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_the_float32_result_rounded(dtype):
    a = tf.cast(activations(8), dtype)
    b = LocalResponseNormalization(dtype=f"mixed_{dtype}")(a)
    assert b.dtype == dtype
    expected = formula(np.float32(a), 5, 2, 1e-4, 0.75)
    np.testing.assert_allclose(np.float32(b), expected, rtol=2**-8 if dtype == "bfloat16" else 2**-10)


def test_saved_and_loaded_it_is_the_same(save_and_load):
    image = keras.Input((None, None, 8))
    constants = {"n": 3, "k": 1.5, "alpha": 1e-3, "beta": 0.6, "groups": 2}
    model = keras.Model(image, LocalResponseNormalization(**constants, name="norm")(image))
    again = save_and_load(model)
    np.testing.assert_array_equal(model(activations(8)), again(activations(8)))
    config = again.get_layer("norm").get_config()
    assert {key: config[key] for key in constants} == constants
    assert model.output_shape == (None, None, None, 8) and not model.weights


def test_xla_compiles_it():
    a = activations(8)
    layer = LocalResponseNormalization(groups=2)
    np.testing.assert_allclose(tf.function(layer, jit_compile=True)(a), layer(a), rtol=4e-6)


@pytest.mark.parametrize("n", [0, 2, 4, -1, 4.5])
def test_a_window_without_a_middle_is_refused(n):
    with pytest.raises(ValueError, match=f"n is {n}; the window must be odd"):
        LocalResponseNormalization(n=n)


@pytest.mark.parametrize("groups", [3, 0, -2])
def test_towers_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match=f"groups is {groups}; it must divide the 8 channels of the input"):
        LocalResponseNormalization(groups=groups)(activations(8))


def test_another_rank_is_refused():
    """TensorFlow's kernel would end the process."""
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=2"):
        LocalResponseNormalization()(activations(8, shape=(2,)))
