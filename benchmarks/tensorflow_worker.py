"""What TensorFlow runs in a benchmark: our networks, Keras's, and a matrix product."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.rows import MAPS, NETWORKS
from benchmarks.serving import serve

MEAN = (123.68, 116.779, 103.939)


def build(spec):
    about = {"versions": {"tensorflow": tf.__version__}, "threads": len(os.sched_getaffinity(0))}  # its default
    if spec["mode"] == "matmul":
        return matmul(spec), about
    if spec["network"] == "max-unpooling":
        return there_and_back(spec), about | {"multiply_adds": 0}
    images = np.load(spec["images"])
    if spec["mode"] == "inference" and spec["library"] == "keras_cnns":
        step, written = exported(spec, images)
        return step, about | {"multiply_adds": written["multiply_adds"]}
    import keras

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[spec["precision"]])
    about["versions"]["keras"] = keras.__version__
    if spec["mode"] == "export":
        return lambda: None, {"multiply_adds": export_ours(spec)}
    if spec["library"] == "keras_cnns":
        step, model, _ = our_training(spec)
        batch = inputs(images, len(model.outputs), model.outputs[0].shape[1:-1])
        return lambda: step(batch), about | {"multiply_adds": multiply_adds(model)}
    return keras_step(spec, images), about


def matmul(spec):
    side, dtype = spec["side"], tf.as_dtype(spec["precision"])
    matrix = tf.cast(tf.random.stateless_uniform((side, side), (0, 0)), dtype)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    return lambda: product()


def there_and_back(spec):
    """A step that pools, unpools to the positions of the maxima, and takes the gradient of both."""
    from keras_cnns.layers import MaxPoolingWithIndices, MaxUnpooling

    maps, upstream = tf.cast(tf.random.stateless_normal((2, spec["batch"], *MAPS), (0, 0)), spec["precision"])
    pool, unpool = (layer(2, dtype=spec["precision"]) for layer in (MaxPoolingWithIndices, MaxUnpooling))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(maps)
            unpooled = unpool(*pool(maps), maps)
        return tape.gradient(unpooled, maps, upstream)

    return lambda: step()[0, 0, 0, 0].numpy()


def our_network(spec):
    import keras_cnns

    network = NETWORKS[spec["network"]]
    return getattr(keras_cnns, network.builder)(**network.arguments)


def multiply_adds(model):
    from keras_cnns.inspection import layer_table

    return sum(row.multiply_adds for row in layer_table(model))


def inputs(images, outputs=1, sides=()):
    """What the pipeline gives a network: float32 images less their mean, and a label for each output, or each pixel."""
    labels = tf.range(len(images), dtype=tf.int64) % 10
    labels = tf.broadcast_to(tf.reshape(labels, (-1, *[1] * len(sides))), (len(images), *sides))
    return tf.cast(images, tf.float32) - MEAN, labels if outputs == 1 else (labels,) * outputs


def our_training(spec):
    """The runner's step, a function of a batch, with its model and strategy."""
    import keras

    from keras_cnns.classification.googlenet import AUXILIARY_LOSS_WEIGHT
    from keras_cnns.training import JIT_COMPILE, SGD, mirrored

    strategy = mirrored()
    with strategy.scope():
        model = our_network(spec)
        outputs = len(model.outputs)
        model.compile(
            SGD(0.001, l2=1e-4),
            [keras.losses.SparseCategoricalCrossentropy(from_logits=True)] * outputs,
            [1.0, AUXILIARY_LOSS_WEIGHT, AUXILIARY_LOSS_WEIGHT] if outputs > 1 else None,
            [["accuracy"]] + [[]] * (outputs - 1) if outputs > 1 else ["accuracy"],
            jit_compile=JIT_COMPILE,
        )

    @tf.function(jit_compile=JIT_COMPILE)
    def step(batch):
        strategy.run(model.train_step, args=(batch,))

    return step, model, strategy


def export_ours(spec):
    """Write the SavedModel; return its multiply-adds, those of auxiliary heads left out."""
    import keras

    from keras_cnns import export
    from keras_cnns.layers import Preprocessing

    model = our_network(spec)
    # Statistics as no training would leave them fold into biases of zero, which TensorFlow drops with all that they
    # would have been fused with.
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    classifier = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    export(classifier, spec["path"], Preprocessing(NETWORKS[spec["network"]].side, mean=MEAN))
    return multiply_adds(classifier)


def exported(spec, images):
    """The SavedModel, written by another process so that its memory is not this one's, and what that told."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "saved_model")
        command = [sys.executable, "-m", "benchmarks.tensorflow_worker"]
        spec = json.dumps({**spec, "mode": "export", "path": path})
        told = subprocess.run([*command, spec], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        loaded = tf.saved_model.load(path)
    serving, images = loaded.signatures["serving_default"], tf.constant(images)
    # `loaded` must live as long as its functions.
    return lambda loaded=loaded: serving(images=images)["probabilities"].numpy(), json.loads(told)[1]


def keras_network(spec):
    import keras

    network = NETWORKS[spec["network"]]
    if network.keras != "clone":
        return getattr(keras.applications, network.keras)(weights=None, classifier_activation=None)

    from keras_cnns.layers import BatchNormalization

    def copy(layer):
        kind = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(our_network(spec), clone_function=copy)


def keras_step(spec, images):
    """Keras's own step, with XLA or without."""
    import keras

    model, xla = keras_network(spec), spec["candidate"] == "XLA"
    if spec["mode"] == "training":
        model.compile(
            keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=1e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=xla,
        )
        batch = inputs(images)
        step = tf.function(model.train_step, jit_compile=xla)
        return lambda: step(batch)["loss"].numpy()

    @tf.function(jit_compile=xla)
    def predict(images):
        return tf.nn.softmax(tf.cast(model(tf.cast(images, tf.float32) - MEAN, training=False), tf.float32))

    images = tf.constant(images)
    return lambda: predict(images).numpy()


if __name__ == "__main__":
    serve(build)
