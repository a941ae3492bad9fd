"""Loops over a `tf.data.Dataset`, and over the parts of its batches that replicas get."""

import tensorflow as tf


def untuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches without tf.data's tuner: AUTOTUNE is then as many threads as there are cores, 16 at most.

    The tuner sleeps for as long as it has run already, a minute at most, and the end of a loop may wait until it wakes:
    a third of an epoch.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def distributed(batches: tf.data.Dataset, strategy: tf.distribute.Strategy):
    """The parts of global batches that the replicas of a strategy get, for one loop over them, untuned.

    The strategy's own iterator, which copies batches to devices ahead of time, has a tuner that no option reaches; one
    replica on the host needs no copies.
    """
    batches = untuned(batches)
    if strategy.num_replicas_in_sync == 1 and not tf.config.list_logical_devices("GPU"):
        return batches
    return strategy.experimental_distribute_dataset(batches)
