"""No loop over batches waits for tf.data's tuner: that it is off wherever an option reaches it."""

import tensorflow as tf

from keras_cnns.data import digits
from keras_cnns.iteration import distributed, untuned
from keras_cnns.training import mirrored

NUMBERS = tf.data.Dataset.range(10).batch(4).prefetch(tf.data.AUTOTUNE)


def is_tuned(batches):
    return batches.options().autotune.enabled is not False


def test_batches_are_the_same_without_the_tuner():
    assert is_tuned(NUMBERS)
    assert not is_tuned(untuned(NUMBERS))
    assert [each.numpy().tolist() for each in untuned(NUMBERS)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_images_come_untuned_in_batches():
    assert not is_tuned(digits("test").batches(8))


def test_one_replica_on_the_host_takes_whole_batches_without_the_strategy_s_iterator():
    batches = distributed(NUMBERS, mirrored(1))
    assert isinstance(batches, tf.data.Dataset)
    assert not is_tuned(batches)
    assert not is_tuned(distributed(NUMBERS, tf.distribute.get_strategy()))


def test_two_replicas_take_halves_of_every_batch(two_replicas):
    batches = [two_replicas.experimental_local_results(each) for each in distributed(NUMBERS, two_replicas)]
    assert [[half.numpy().tolist() for half in each] for each in batches] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7]],
        [[8], [9]],
    ]
