"""Random numbers that belong to (seed, epoch, index) and to nothing else.

Every example has a key, and a number is a hash of a key (SplitMix64: Steele et al., OOPSLA 2014). A pipeline can
therefore begin anywhere, work in any order and on whole batches, and an example meets the same numbers every time.
"""

import math

import numpy as np
import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, the step of the generator


def hash64(state):
    """SplitMix64's output function on uint64 tensors."""
    state = (state ^ right_shift(state, 30)) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    state = (state ^ right_shift(state, 27)) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return state ^ right_shift(state, 31)


def right_shift(state, bits):
    return tf.bitwise.right_shift(state, tf.constant(bits, tf.uint64))


def fold(keys, number):
    """New keys from `keys` and a whole number (or a tensor of them): the number-th output of each key's generator."""
    number = tf.cast(number, tf.uint64)
    return hash64(keys + (number + tf.constant(1, tf.uint64)) * tf.constant(GOLDEN, tf.uint64))


def example_keys(seed, epoch, indices):
    """One uint64 key for each index, of the same shape."""
    return fold(fold(fold(tf.zeros((), tf.uint64), seed), epoch), indices)


def uniform(keys, stream=0, low=0.0, high=1.0):
    """A float32 in [low, high) for each key. Each `stream` of a key is independent of the others."""
    bits = right_shift(fold(keys, stream), 40)  # 24, as many as a float32 holds
    return low + (high - low) * tf.cast(bits, tf.float32) * 2.0**-24


def integers(keys, stream=0, *, count):
    """An int32 in [0, count) for each key."""
    return tf.minimum(tf.cast(uniform(keys, stream) * tf.cast(count, tf.float32), tf.int32), count - 1)


def normal(keys, stream=0):
    """A standard normal float32 for each key (Box & Muller)."""
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - uniform(keys, 2 * stream)))
    return radius * tf.cos(2.0 * math.pi * uniform(keys, 2 * stream + 1))


def permutation(size, seed, epoch):
    """The order of `size` examples in an epoch, an int64 array."""
    return np.random.default_rng([seed, epoch]).permutation(size)
