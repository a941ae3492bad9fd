"""ResNet-1202 on CIFAR-10: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    python -m reproductions.resnet1202_cifar10 --data-dir DIR

Paper: 1,202 layers still train, to less than 0.1 % training error, and test worse (7.93 %) than 110 (6.43 %). Here it
is built and takes ten steps with the paper's batch of 128; its activations are computed twice instead of kept. The
whole training is `resnet_cifar10 --depth 1202 --recompute`.
"""

import resource
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns import resnet_cifar
from keras_cnns.data import statistics, tfds_images
from keras_cnns.data.augmentation import pad_and_crop, random_flip, subtract_mean
from keras_cnns.training import JIT_COMPILE, SGD, small_memory_step
from reproductions.record import PREPARED, measured, parser_of, publish

SCRIPT, BATCH, STEPS, LIMIT_GB = "resnet1202_cifar10", 128, 10, 20


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__)
    parser.add_argument("--data-dir", help=PREPARED)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(0)
    train = tfds_images("cifar10", "train", options.data_dir)
    mean, _ = statistics(train)
    train = train.map(pad_and_crop(4), random_flip, subtract_mean(mean))
    started = time.monotonic()
    model = resnet_cifar(1202)
    # The first 400 steps go at 0.01 for 110 layers, which start slowly at 0.1; the paper does not say it for 1,202.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGD(0.01, momentum=0.9, l2=1e-4), loss, jit_compile=JIT_COMPILE)
    model.optimizer.build(model.trainable_variables)
    step = tf.function(small_memory_step(model, accumulate=1, recompute=True))
    built, losses, seconds = time.monotonic() - started, [], []
    for batch in tqdm(train.batches(BATCH, shuffle=True, count=STEPS), total=STEPS, unit="step"):
        started = time.monotonic()
        losses.append(float(step(batch)["loss"]))
        seconds.append(time.monotonic() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # kB on Linux
    fits, trains = peak <= LIMIT_GB, bool(np.isfinite(losses).all())
    claim = lambda statement, ours, rule, holds: {
        "id": "R4",
        "statement": statement,
        "paper": None,
        "ours": ours,
        "rule": rule,
        "verdict": "holds" if holds else "does not hold",
    }
    record = measured(
        SCRIPT,
        data=train.description,
        seconds=seconds,
        losses=losses,
        claims=[
            claim(
                f"ResNet-1202 takes {STEPS} training steps of {BATCH} images, recomputed: peak memory, GB",
                peak,
                f"at most {LIMIT_GB}",
                fits,
            ),
            claim("the same: loss of the last step", losses[-1], "every step's is finite", trains),
        ],
        notes=[
            f"built in {built:.0f} s; the first step, in which TensorFlow traces and optimizes the graph, took "
            f"{seconds[0]:.0f} s, a later one {np.median(seconds[1:]):.1f} s; {model.count_params():,} parameters",
        ],
    )
    publish(record, options.out)
    return int(not (fits and trains))


if __name__ == "__main__":
    sys.exit(main())
