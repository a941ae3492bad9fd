"""One step of training, for the models that have a `train_step` of their own."""

import tensorflow as tf


def descend(optimizer, tape, loss, variables):
    """Apply the gradient of the mean over all replicas' losses to Keras variables.

    An optimizer adds the replicas' gradients up. In float16 it takes them for those of a loss that it has scaled.
    """
    gradients = tape.gradient(loss, [each.value for each in variables], optimizer.scale_loss(tf.ones_like(loss)))
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    optimizer.apply([each / replicas for each in gradients], variables)
