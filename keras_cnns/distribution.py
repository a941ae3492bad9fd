"""Batches for the replicas of a strategy."""

import tensorflow as tf


def distributed(batches: tf.data.Dataset, strategy: tf.distribute.Strategy):
    """The parts of global batches that the replicas of a strategy get, for one loop over them.

    tf.data's tuner sleeps for as long as it has run already, a minute at most, and the end of a loop may wait for it: a
    third of an epoch. So batches are not tuned. The strategy's own iterator, which copies them to devices ahead of
    time, has a tuner that no option reaches; one replica on the host needs no copies.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = batches.with_options(options)
    if strategy.num_replicas_in_sync == 1 and not tf.config.list_logical_devices("GPU"):
        return batches
    return strategy.experimental_distribute_dataset(batches)
