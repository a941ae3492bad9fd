"""Recomputation: the same training step to the bit, with less memory, and where the graph is cut."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.classification import densenet_cifar, googlenet, resnet_cifar, vgg16
from keras_cnns.layers import BatchNormalization, OriginalDropout, PaddedIdentity
from keras_cnns.training import SGD, mirrored, small_memory_step
from keras_cnns.training.recomputation import segments_of

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.normal(size=(2, 16, 8, 8, 3)).astype("float32")
LABELS = GENERATOR.integers(0, 10, (2, 16))


def network(heads=False):
    """Residual blocks with all that has state: batch normalisation, and dropout of both kinds."""
    image = x = keras.Input((8, 8, 3))
    outputs = []
    for number, filters in enumerate((4, 4, 8), start=1):
        y = keras.layers.Conv2D(filters, 3, padding="same", kernel_regularizer="l2")(x)
        y = keras.layers.ReLU()(BatchNormalization()(y))
        y = OriginalDropout(0.3, seed=number)(y)
        y = keras.layers.Dropout(0.2, seed=number)(y)
        x = keras.layers.Add()([y, PaddedIdentity(filters)(x)])
        if heads and number == 2:
            outputs.append(keras.layers.Dense(10, dtype="float32", name="head")(keras.layers.Flatten()(y)))
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs.insert(0, keras.layers.Dense(10, dtype="float32", name="logits")(x))
    return keras.Model(image, outputs if heads else outputs[0])


def trained(strategy, policy="float32", heads=False, **step):
    """All variables and the metrics after two steps: weights, statistics, seeds, momenta, averages."""
    keras.config.set_dtype_policy(policy)
    try:
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = network(heads)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            optimizer = SGD(0.05, l2=0.01, use_ema=True)
            if heads:
                model.compile(optimizer, [loss, loss], [1.0, 0.3], [["accuracy"], []])
            else:
                model.compile(optimizer, loss, metrics=["accuracy"])
            labels = (tf.zeros(2, tf.int64),) * 2 if heads else tf.zeros(2, tf.int64)
            model._symbolic_build(data_batch=(tf.zeros((2, 8, 8, 3)), labels))
    finally:
        keras.config.set_dtype_policy("float32")
    before = [variable.numpy() for variable in model.variables]
    train_step = small_memory_step(model, **step) if step else model.train_step
    run = tf.function(lambda batch: strategy.run(train_step, args=(batch,)))
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    if heads:
        batches = batches.map(lambda images, labels: (images, (labels, labels)))
    for batch in strategy.experimental_distribute_dataset(batches):
        run(batch)
    values = [variable.numpy() for variable in model.variables + model.optimizer.variables]
    for variable, old, new in zip(model.variables, before, values, strict=False):
        assert (old != new).any(), f"{variable.path} did not move"
    return values, {name: float(value) for name, value in model.get_metrics_result().items()}


def assert_same(ours, theirs):
    for our, their in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-6)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-5)


@pytest.mark.parametrize(
    ("policy", "heads"),
    [("float32", False), pytest.param("mixed_bfloat16", True, marks=pytest.mark.slow)],
)
def test_a_step_is_the_same(policy, heads):
    assert_same(trained(mirrored(1), policy, heads, recompute=True), trained(mirrored(1), policy, heads))


@pytest.mark.slow
def test_micro_batches_on_two_replicas_are_recomputed_too(two_replicas):
    both = trained(two_replicas, heads=True, accumulate=2, recompute=True)
    assert_same(both, trained(two_replicas, heads=True, accumulate=2))


def test_sixteen_equal_layers_are_four_segments_of_four():
    # Three tensors between four segments and four inside the last: seven. Three segments are 2 + 6, five 4 + 4.
    model = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(16))])
    assert [len(segment.nodes) for segment in segments_of(model)] == [4, 4, 4, 4]


def test_a_residual_network_is_cut_between_blocks():
    model = resnet_cifar(56)
    segments = segments_of(model)
    ends = [segment.results[0]._keras_history.operation.name for segment in segments[:-1]]
    assert len(ends) > 3
    assert all(name.endswith(("_add", "_relu")) and not name.endswith("_a_relu") for name in ends), ends


@pytest.mark.parametrize(
    "build",
    [
        lambda: resnet_cifar(20),
        lambda: vgg16((32, 32, 3), 10),
        lambda: densenet_cifar(22, 12),
        pytest.param(lambda: googlenet(classes=10), marks=pytest.mark.slow),
    ],
)
def test_segments_hold_every_call_once_and_pass_one_tensor_on(build):
    model = build()
    segments = segments_of(model)
    assert len(segments) > 2
    names = [node.operation.name for segment in segments for node in segment.nodes]
    assert sorted(names) == sorted(layer.name for layer in model.layers if layer.name != "image")
    assert segments[0].source is model.inputs[0]
    for segment, after in zip(segments, [*segments[1:], None], strict=True):
        known = {id(segment.source)}
        for node in segment.nodes:  # auxiliary heads too have all that they need here
            assert {id(each) for each in node.input_tensors} <= known
            known |= {id(each) for each in node.outputs}
        results = {id(each) for each in segment.results} - {id(each) for each in model.outputs}
        assert results == ({id(after.source)} if after else set())
    results = [id(each) for segment in segments for each in segment.results]
    assert all(results.count(id(each)) == 1 for each in model.outputs)


def test_a_model_that_cannot_be_taken_apart_is_refused():
    class Subclass(keras.Model):
        def call(self, images):
            return images

    pair = [keras.Input((1,)), keras.Input((1,))]
    for model in (Subclass(), keras.Model(pair, keras.layers.Add()(pair))):
        with pytest.raises(ValueError, match="cannot be taken apart; it must be a functional model of one input"):
            small_memory_step(model, recompute=True)


PEAKS = """
import ctypes, keras, tensorflow as tf
from keras_cnns import resnet_cifar
from keras_cnns.training import SGD, small_memory_step

def resident(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

model = resnet_cifar(38)
model.compile(SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
batch = tf.zeros((128, 32, 32, 3)), tf.zeros(128, tf.int64)
model._symbolic_build(data_batch=batch)
for train_step in (small_memory_step(model, recompute=True), model.train_step):  # the larger peak comes last
    step = tf.function(lambda: train_step(batch)).get_concrete_function()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    step()
    print(resident("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_memory_falls():
    done = subprocess.run([sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True)
    recompute, keep = map(int, done.stdout.split())
    assert recompute < 0.6 * keep
