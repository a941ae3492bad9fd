"""Training images/s of one network, on real digits, under the runner's own step.

    python -m benchmarks.training_speed resnet_cifar depth=20 --batch-size 128 --precision bfloat16

The median of the timed steps, with the fastest and the slowest tenth; input and checkpoints left out.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.__main__ import find_network
from keras_cnns.data import digits
from keras_cnns.training import JIT_COMPILE, SGD, mirrored
from reproductions.runner import PRECISIONS


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("argument", nargs="*", help="of its builder, as key=value")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args(arguments)

    strategy = mirrored()
    keras.config.set_dtype_policy(PRECISIONS[options.precision])
    builder, values = find_network(options.network, options.argument)
    with strategy.scope():
        model = builder(**values)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.001, l2=1e-4), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
    images, labels = next(iter(digits("train", channels=3).batches(options.batch_size)))
    images = tf.image.resize(images, model.input_shape[1:3])
    step = tf.function(lambda: strategy.run(lambda: model.train_step((images, labels))))
    step()
    step()
    seconds = []
    for _ in range(options.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    slow, middle, fast = (options.batch_size / np.quantile(seconds, q) for q in (0.9, 0.5, 0.1))
    print(
        f"{model.name} {options.precision}, batch {options.batch_size}: {middle:.1f} images/s "
        f"(slowest tenth {slow:.1f}, fastest {fast:.1f}, {options.steps} steps, {len(os.sched_getaffinity(0))} cores)"
    )


if __name__ == "__main__":
    main()
