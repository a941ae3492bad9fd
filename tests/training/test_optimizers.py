"""The papers' SGD, against the formula written out and against Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.training import SGD, Adam, step_decay


def by_hand(w, gradients, rates, momentum, l2):
    """v = m v - lr (g + l2 w), w = w + v: AlexNet, section 5."""
    v = 0.0
    for g, rate in zip(gradients, rates, strict=True):
        v = momentum * v - rate * (g + l2 * w)
        w = w + v
    return w


@pytest.mark.parametrize(("momentum", "l2"), [(0.9, 5e-2), (0.9, 0.0), (0.0, 5e-2)])
def test_is_the_papers_update(momentum, l2):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=(4, 3)).astype("float32"), generator.normal(size=(6, 4, 3))
    variable = keras.Variable(start, name="kernel")
    optimizer = SGD(step_decay(0.1, at=(3,)), momentum=momentum, l2=l2)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    # "Divided by 10 after 3 steps": the fourth is the first with the smaller rate.
    expected = by_hand(start, gradients, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01], momentum, l2)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_without_decay_is_keras_own(nesterov):
    ours, theirs = (keras.Variable(np.ones((5, 5), "float32"), name="kernel") for _ in range(2))
    generator = np.random.default_rng(0)
    a, b = SGD(0.05, 0.9, nesterov=nesterov), keras.optimizers.SGD(0.05, 0.9, nesterov=nesterov)
    for _ in range(5):
        gradient = tf.constant(generator.normal(size=(5, 5)), tf.float32)
        a.apply([gradient], [ours])
        b.apply([gradient], [theirs])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-7)


def test_decay_leaves_out_the_variables_it_is_told_to():
    variables = [keras.Variable(np.ones(3, "float32"), name=name) for name in ("kernel", "bias", "gamma")]
    optimizer = SGD(0.1, momentum=0.9, l2=0.5, undecayed=("bias", "gamma"))
    optimizer.apply([tf.zeros(3)] * 3, variables)
    assert [float(variable[0]) for variable in variables] == [pytest.approx(0.95), 1.0, 1.0]


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_the_variables_it_is_told_learn_at_twice_the_rate(momentum):
    gradients = [0.3, -1.0, 0.7]
    variables = [keras.Variable(np.ones(2, "float32"), name=name) for name in ("kernel", "bias")]
    optimizer = SGD(0.1, momentum=momentum, l2=0.5, undecayed=("bias",), doubled=("bias",))
    for gradient in gradients:
        optimizer.apply([tf.fill([2], gradient)] * 2, variables)
    expected = [by_hand(1.0, gradients, [0.1] * 3, momentum, 0.5), by_hand(1.0, gradients, [0.2] * 3, momentum, 0.0)]
    assert [float(variable[0]) for variable in variables] == pytest.approx(expected, rel=1e-5)
    assert SGD.from_config(optimizer.get_config()).doubled == ("bias",)


def test_two_replicas_sum_their_gradients_and_decay_once(two_replicas):
    with two_replicas.scope():
        variable = keras.Variable(np.ones(2, "float32"), name="kernel")
        optimizer = SGD(0.1, momentum=0.9, l2=0.5)
        optimizer.build([variable])

    @tf.function
    def step():
        def replica():
            number = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
            optimizer.apply([tf.fill([2], 1.0 + number)], [variable])

        two_replicas.run(replica)

    step()
    step()
    expected = by_hand(np.ones(2), [3.0, 3.0], [0.1, 0.1], 0.9, 0.5)
    for copy in variable.value.values:
        np.testing.assert_allclose(copy.numpy(), expected, rtol=1e-4)


def test_is_saved_with_its_model(save_and_load):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(SGD(0.1, momentum=0.8, nesterov=True, l2=1e-3, undecayed=("bias",)), "mse")
    again = save_and_load(model).optimizer
    assert (again.momentum, again.nesterov, again.l2, again.undecayed) == (0.8, True, 1e-3, ("bias",))


def test_keras_own_decay_is_refused():
    with pytest.raises(ValueError, match=r"weight_decay is 0.1; the papers' decay is l2"):
        SGD(0.1, weight_decay=0.1)


def test_step_decay_drops_where_it_says():
    schedule = step_decay(0.1, at=(32_000, 48_000), warm_up=(0.01, 400))
    rates = [float(schedule(step)) for step in (0, 399, 400, 31_999, 32_000, 47_999, 48_000, 63_999)]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_adams_decay_is_inside_the_gradient():
    """Two steps of Kingma & Ba's algorithm 1 with g + l2 w for g."""
    variable = keras.Variable(np.array([1.0, -2.0], "float32"))
    optimizer = Adam(0.1, beta_1=0.9, beta_2=0.99, l2=0.5)
    w, m, v = np.array([1.0, -2.0]), 0.0, 0.0
    for step, gradient in enumerate(([0.3, 0.1], [-0.2, 0.4]), start=1):
        optimizer.apply([tf.constant(gradient)], [variable])
        g = np.array(gradient) + 0.5 * w
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        w = w - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-7)
    np.testing.assert_allclose(variable.numpy(), w, rtol=1e-4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.l2 == 0.5
    with pytest.raises(ValueError, match="decay is l2, inside the gradient"):
        Adam(0.1, weight_decay=0.1)


def test_a_momentum_that_rises():
    """From 0.5 to 0.7 over two steps, v = m v - lr g: by 0.1, then 0.6 * 0.1 + 0.1, then 0.7 * 0.16 + 0.1."""
    rises = keras.optimizers.schedules.PolynomialDecay(0.5, 2, 0.7)
    variable = keras.Variable(np.zeros(2, "float32"), name="kernel")
    optimizer = SGD.from_config(SGD(0.1, rises).get_config())
    for _ in range(3):
        optimizer.apply([tf.ones(2)], [variable])
    assert float(variable[0]) == pytest.approx(-(0.1 + 0.16 + 0.212), rel=1e-5)
