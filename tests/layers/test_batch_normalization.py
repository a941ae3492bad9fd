"""BatchNormalization beside `keras.layers.BatchNormalization`, of which it is the fast twin."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import BatchNormalization

IMAGES = (8, 5, 6, 7)

# What the fused kernel serves, and what Keras's own code serves. The kernel is held to Keras in float64, since
# Keras's float32 gradient of gamma is the less exact of the two.
FUSED = {
    "defaults": (IMAGES, {}),
    "the papers' constants": (IMAGES, {"momentum": 0.9, "epsilon": 1e-5}),
    "axis 3": (IMAGES, {"axis": 3}),
    "no scale": (IMAGES, {"scale": False}),
    "no offset": (IMAGES, {"center": False}),
    "neither": (IMAGES, {"scale": False, "center": False}),
    "one pixel": ((1, 1, 1, 7), {}),
    "two pixels": ((2, 1, 1, 7), {}),
    "one channel": ((4, 3, 3, 1), {}),
}
FALLBACK = {
    "a matrix": ((16, 7), {}),
    "a sequence": ((4, 5, 7), {}),
    "channels first": (IMAGES, {"axis": 1}),
    "renormalised": (IMAGES, {"renorm": True, "renorm_clipping": {"rmax": 3, "rmin": 0.3, "dmax": 5}}),
    "float64": (IMAGES, {"dtype": "float64"}),
    "synchronised": (IMAGES, {"synchronized": True}),
}
CASES = [(*case, "float64") for case in FUSED.values()] + [(*case, None) for case in FALLBACK.values()]
cases = pytest.mark.parametrize(("shape", "arguments", "oracle"), CASES, ids=[*FUSED, *FALLBACK])


def batch(shape, seed=0):
    return np.float32(3 + 2 * np.random.default_rng(seed).normal(size=shape))


def twins(shape, oracle=None, **arguments):
    """Keras's layer (in the `oracle`'s precision) and ours with the same weights, none at its initial value."""
    precision = {"dtype": oracle} if oracle else {}
    layers = [keras.layers.BatchNormalization(**(arguments | precision)), BatchNormalization(**arguments)]
    random = np.random.default_rng(1)
    for layer in layers:
        layer.build(shape)
    values = [random.uniform(0.5, 2, size=weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(values)
    return layers


@cases
def test_training_equals_keras_in_output_gradients_and_moving_statistics(shape, arguments, oracle):
    layers = twins(shape, oracle, **arguments)
    for step in range(3):
        x, upstream = tf.constant(batch(shape, step)), tf.constant(batch(shape, 10 + step))
        results = []
        for layer in layers:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
            wanted = [x, *(weight.value for weight in layer.trainable_weights)]
            gradients = tape.gradient(y, wanted, output_gradients=tf.cast(upstream, y.dtype))
            results.append([y, *gradients])
        largest = 1e-6 * np.abs(upstream).sum((0, 1, 2)).max() if len(shape) == 4 else 1e-5
        for i, (theirs, ours) in enumerate(zip(*results, strict=True)):  # output, input's gradient, then sums of many
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=largest if i > 1 else 1e-5)
    for theirs, ours in zip(*(layer.weights for layer in layers), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6)


@cases
def test_inference_equals_keras(shape, arguments, oracle):
    theirs, ours = twins(shape, oracle, **arguments)
    x = batch(shape)
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours(x, training=False), theirs(x), rtol=1e-5, atol=1e-5)
    for then, now in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)


def test_training_is_the_papers_algorithm_1():
    x = np.float64(batch(IMAGES))
    _, layer = twins(IMAGES, momentum=0.8, epsilon=1e-3)
    gamma, beta, moving_mean, moving_variance = layer.get_weights()
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(layer(np.float32(x), training=True), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.8 * moving_mean + 0.2 * mean, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.8 * moving_variance + 0.2 * variance, rtol=1e-6)


def kernels(layer, shape, dtype="float32", **call):
    graph = tf.function(lambda x: layer(x, **call)).get_concrete_function(tf.TensorSpec(shape, dtype)).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_images_go_to_the_fused_kernel(training, precision):
    assert "FusedBatchNormV3" in kernels(BatchNormalization(dtype=precision), IMAGES, training=training)


def test_synchronised_inference_goes_to_the_fused_kernel():
    layer = BatchNormalization(synchronized=True)
    assert "FusedBatchNormV3" in kernels(layer, IMAGES, training=False)
    assert "FusedBatchNormV3" not in kernels(layer, IMAGES, training=True)


@pytest.mark.parametrize(("shape", "arguments"), [FUSED["defaults"], FALLBACK["a matrix"]], ids=["fused", "fallback"])
def test_frozen_it_infers_even_while_training(shape, arguments):
    layers = twins(shape, **arguments)
    x = tf.constant(batch(shape))
    before, gradients = layers[1].get_weights(), []
    for layer in layers:
        layer.trainable = False
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        np.testing.assert_array_equal(y, layer(x, training=False))
        gradients.append(tape.gradient(y, x))
        assert not layer.trainable_weights and len(layer.non_trainable_weights) == 4
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    for then, now in zip(before, layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)


def test_a_mask_is_kept_out_of_the_statistics_as_in_keras():
    theirs, ours = twins(IMAGES)
    mask = np.random.default_rng(2).random(IMAGES[:3]) < 0.5
    expected = theirs(batch(IMAGES), training=True, mask=mask)
    np.testing.assert_allclose(ours(batch(IMAGES), training=True, mask=mask), expected, rtol=1e-6)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-6)


def test_a_large_mean_costs_no_more_precision_than_in_keras():
    x = batch(IMAGES) + 1000
    exact = (np.float64(x) - np.float64(x).mean((0, 1, 2))) / np.sqrt(np.float64(x).var((0, 1, 2)) + 1e-3)
    error = [
        np.abs(layer(x, training=True) - exact).max()
        for layer in (keras.layers.BatchNormalization(), BatchNormalization())
    ]
    assert error[1] <= max(2 * error[0], 1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_does_what_keras_does(training):
    shape = (0, 5, 6, 7)
    theirs, ours = twins(IMAGES)
    assert ours(np.zeros(shape), training=training).shape == theirs(np.zeros(shape), training=training).shape == shape
    for expected, weight in zip(theirs.weights, ours.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("training", [True, False])
def test_mixed_bfloat16_is_keras_float32_within_rounding(training):
    x = tf.constant(np.float32(tf.cast(batch(IMAGES), "bfloat16")))
    upstream = np.float32(tf.cast(batch(IMAGES, 3), "bfloat16"))
    theirs, ours = twins(IMAGES, "float32", dtype="mixed_bfloat16")
    results = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
        wanted = [x, layer.gamma.value, layer.beta.value]
        results.append([y, *tape.gradient(y, wanted, output_gradients=tf.cast(upstream, y.dtype))])
    assert y.dtype == "bfloat16" and ours.gamma.dtype == ours.moving_mean.dtype == "float32"
    for expected, result in zip(*results, strict=True):
        np.testing.assert_allclose(np.float32(result), expected, rtol=2**-8, atol=2e-5)
    for expected, weight in zip(theirs.weights, ours.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("training", [True, False])
def test_weights_of_half_precision_work_as_in_keras(precision, training):
    theirs, ours = twins(IMAGES, dtype=precision)
    expected, result = (layer(batch(IMAGES), training=training) for layer in (theirs, ours))
    assert result.dtype == expected.dtype == precision
    np.testing.assert_allclose(np.float32(result), np.float32(expected), rtol=2**-7, atol=2**-7)
    for expected, weight in zip(theirs.weights, ours.weights, strict=True):
        np.testing.assert_allclose(np.float32(weight), np.float32(expected), rtol=2**-7)


def small_network(layer):
    image = keras.Input((6, 6, 3), name="image")
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    x = keras.layers.ReLU(name="relu")(layer(name="bn")(x))
    return keras.Model(image, keras.layers.Dense(2, name="fc")(keras.layers.Flatten(name="flatten")(x)), name="small")


def test_weights_have_keras_names_and_pass_through_a_weight_file(tmp_path):
    theirs, ours = small_network(keras.layers.BatchNormalization), small_network(BatchNormalization)
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    names = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [weight.name for weight in ours.get_layer("bn").weights] == names
    theirs.get_layer("bn").set_weights(np.random.default_rng(3).uniform(0.5, 2, size=(4, 4)))
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    images = batch((2, 6, 6, 3))
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_fitting_a_network_goes_as_with_keras():
    images, labels = batch((32, 6, 6, 3)), np.arange(32) % 2
    networks = [small_network(layer) for layer in (keras.layers.BatchNormalization, BatchNormalization)]
    networks[1].set_weights(networks[0].get_weights())
    for network in networks:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=False)
        network.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for theirs, ours in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_configuration_is_keras_and_makes_the_same_layer():
    arguments = {"momentum": 0.9, "epsilon": 1e-5, "gamma_initializer": "zeros", "synchronized": True, "name": "bn"}
    config = BatchNormalization(**arguments).get_config()
    assert config == keras.layers.BatchNormalization(**arguments).get_config()
    assert BatchNormalization.from_config(config).get_config() == config


def test_saved_and_loaded_it_is_the_same(save_and_load):
    model = small_network(BatchNormalization)
    images = batch((4, 6, 6, 3))
    model(images, training=True)
    again = save_and_load(model)
    assert type(again.get_layer("bn")) is BatchNormalization
    for training in (False, True):
        np.testing.assert_array_equal(model(images, training=training), again(images, training=training))


def test_xla_compiles_it():
    theirs, ours = twins(IMAGES)
    compiled = tf.function(ours, jit_compile=True)
    for training in (True, False):
        expected = theirs(batch(IMAGES), training=training)
        np.testing.assert_allclose(compiled(batch(IMAGES), training=training), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-6)


def on_two_replicas(strategy, layer, step):
    """A training step of `layer` with half of a batch on each replica: the two outputs, and the halves."""
    halves = np.split(batch(IMAGES, step), 2)
    halves[1] *= 3  # so that the replicas' statistics differ
    place = lambda context: tf.constant(halves[context.replica_id_in_sync_group])
    values = strategy.experimental_distribute_values_from_function(place)
    outputs = tf.function(lambda x: strategy.run(layer, (x,), {"training": True}))(values)
    return strategy.experimental_local_results(outputs), halves


def test_each_replica_has_its_own_statistics_and_the_moving_ones_are_their_mean(two_replicas):
    with two_replicas.scope():
        _, ours = twins(IMAGES)
    one, _ = twins(IMAGES)
    two, _ = twins(IMAGES)
    for step in range(2):
        outputs, halves = on_two_replicas(two_replicas, ours, step)
        for layer, half, output in zip((one, two), halves, outputs, strict=True):
            np.testing.assert_allclose(output, layer(half, training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, (one.moving_mean + two.moving_mean) / 2, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, (one.moving_variance + two.moving_variance) / 2, rtol=1e-5)


def test_synchronised_two_replicas_are_one_device_with_the_whole_batch(two_replicas):
    with two_replicas.scope():
        _, ours = twins(IMAGES, synchronized=True)
    whole, _ = twins(IMAGES)
    for step in range(2):
        outputs, halves = on_two_replicas(two_replicas, ours, step)
        expected = whole(np.concatenate(halves), training=True)
        np.testing.assert_allclose(np.concatenate(outputs), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, whole.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, whole.moving_variance, rtol=1e-5)
