"""Random numbers from (seed, epoch, index)."""

import numpy as np
import tensorflow as tf

from keras_cnns.data.random import GOLDEN, example_keys, fold, integers, normal, permutation, uniform


def test_a_key_s_numbers_are_splitmix64():
    # The first outputs of SplitMix64 from the state 1234567, as its reference implementation prints them.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    outputs = [int(fold(tf.constant(1234567, tf.uint64), number)) for number in range(4)]
    assert outputs == expected
    assert GOLDEN == 0x9E3779B97F4A7C15


def test_numbers_depend_on_seed_epoch_index_and_stream_alone():
    keys = example_keys(3, 5, tf.range(100, dtype=tf.int64))
    backwards = example_keys(3, 5, tf.range(99, -1, -1, dtype=tf.int64))
    np.testing.assert_array_equal(uniform(keys), uniform(backwards)[::-1])
    one = float(uniform(example_keys(3, 5, tf.constant(7, tf.int64))))
    assert one == float(uniform(keys)[7])
    others = [example_keys(4, 5, 7), example_keys(3, 6, 7), example_keys(3, 5, 8)]
    assert len({one, float(uniform(keys, stream=1)[7]), *(float(uniform(key)) for key in others)}) == 5


def test_uniform_normal_and_integers_have_their_distributions():
    keys = example_keys(0, 0, tf.range(200_000, dtype=tf.int64))
    values = uniform(keys, 2).numpy()
    counts = np.histogram(values, bins=50, range=(0, 1))[0]
    assert ((counts - 4000) ** 2 / 4000).sum() < 85.4  # chi-squared, 49 degrees of freedom, 0.1 %
    assert values.min() >= 0 and values.max() < 1
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(200_000)
    assert abs(np.corrcoef(values, uniform(keys, 3).numpy())[0, 1]) < 4 / np.sqrt(200_000)
    gaussian = normal(keys).numpy()
    assert abs(gaussian.mean()) < 0.01 and abs(gaussian.std() - 1) < 0.01 and abs((gaussian**4).mean() - 3) < 0.1
    counts = np.bincount(integers(keys, 4, count=33).numpy())
    assert len(counts) == 33 and ((counts - 200_000 / 33) ** 2 / (200_000 / 33)).sum() < 62.5  # 32 degrees, 0.1 %


def test_a_permutation_is_one_and_another_each_epoch():
    orders = [permutation(1000, 1, epoch) for epoch in range(2)]
    assert all(sorted(order) == list(range(1000)) for order in orders)
    assert not np.array_equal(*orders)
    np.testing.assert_array_equal(orders[1], permutation(1000, 1, 1))
