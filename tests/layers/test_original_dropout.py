"""OriginalDropout: the masks of section 4.2, the scaling at test, and that their expectations agree (A5)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import OriginalDropout


def units(shape, dtype="float32"):
    return tf.cast(np.random.default_rng(0).uniform(1, 2, size=shape), dtype)  # none of them zero


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_at_test_every_unit_is_kept_and_scaled(rate):
    x = units((4, 10))
    np.testing.assert_array_equal(OriginalDropout(rate)(x), x * np.float32(1 - rate))
    np.testing.assert_array_equal(OriginalDropout(rate)(x, training=False), x * np.float32(1 - rate))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_while_training_units_are_zero_or_unscaled(rate):
    x = units((100, 1000)).numpy()
    y = OriginalDropout(rate, seed=1)(x, training=True).numpy()
    assert np.all((y == 0) | (y == x))
    bound = 5 * np.sqrt(rate * (1 - rate) / x.size)  # five standard deviations of a binomial fraction
    assert abs(np.mean(y == 0) - rate) <= bound
    assert np.all(
        abs(np.mean(y == 0, axis=0) - rate) <= 10 * bound * np.sqrt(10)
    )  # no unit is favoured: 100 draws each


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_the_mean_over_masks_is_the_output_at_test(rate):
    x = units((50,)).numpy()
    layer = OriginalDropout(rate, seed=2)
    masks = 4000
    mean = np.mean(layer(np.tile(x, (masks, 1)), training=True), axis=0)
    bound = 5 * x * np.sqrt(rate * (1 - rate) / masks)
    assert np.all(abs(mean - layer(x)) <= bound)


def test_every_call_draws_a_fresh_mask_and_the_seed_repeats_them():
    x = units((8, 32))
    first, again, other = OriginalDropout(seed=3), OriginalDropout(seed=3), OriginalDropout(seed=4)
    masks = [first(x, training=True) != 0 for _ in range(3)]
    assert not np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[1], masks[2])
    compiled = tf.function(again)
    for mask in masks:
        np.testing.assert_array_equal(compiled(x, training=True) != 0, mask)
    assert not np.array_equal(other(x, training=True) != 0, masks[0])


def test_without_a_seed_the_global_one_repeats_it():
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        results.append(OriginalDropout()(units((8, 32)), training=True))
    np.testing.assert_array_equal(*results)


def test_the_gradient_passes_the_kept_units_alone():
    x = units((8, 32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = OriginalDropout(seed=6)(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y != 0)


@pytest.mark.parametrize("training", [True, False])
def test_dtype_is_the_precisions(training):
    x = units((8, 32), "bfloat16")
    y = OriginalDropout(seed=7, dtype="mixed_bfloat16")(x, training=training)
    assert y.dtype == "bfloat16"
    np.testing.assert_array_equal(y, tf.where(y == 0, tf.zeros_like(x), x) if training else x / 2)


def test_xla_compiles_it():
    """XLA has a random generator of its own, so the masks are others than without it; Keras's Dropout is the same."""
    x = units((8, 1000))
    y = tf.function(OriginalDropout(seed=8), jit_compile=True)(x, training=True)
    assert np.all((y == 0) | (y == x)) and abs(np.mean(y == 0) - 0.5) < 0.03  # five standard deviations


def test_replicas_draw_masks_of_their_own_and_the_seed_repeats_them(two_replicas):
    def masks():
        with two_replicas.scope():
            layer = OriginalDropout(seed=9)
            layer.build((None, 1000))
        step = tf.function(lambda: two_replicas.run(layer, (tf.ones((1, 1000)),), {"training": True}))
        return [[mask.numpy() for mask in two_replicas.experimental_local_results(step())] for _ in range(2)]

    drawn = [mask for step in masks() for mask in step]
    for i, one in enumerate(drawn):
        for two in drawn[:i]:  # any two masks agree in half of their places: five standard deviations are 0.08
            assert abs(np.mean(one == two) - 0.5) < 0.08
    np.testing.assert_array_equal(masks(), masks())


def test_saved_and_loaded_it_is_the_same(save_and_load):
    x = units((8, 32))
    image = keras.Input((32,))
    model = keras.Model(image, OriginalDropout(0.3, seed=10, name="drop")(image))
    again = save_and_load(model)
    np.testing.assert_array_equal(model(x), again(x))
    np.testing.assert_array_equal(model(x, training=True), again(x, training=True))
    assert again.get_layer("drop").rate == 0.3


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match=f"rate is {rate}; it must be at least 0 and less than 1"):
        OriginalDropout(rate)
