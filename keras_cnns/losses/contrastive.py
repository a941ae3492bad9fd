"""Contrastive losses: one positive among many negatives, by the cosine of two vectors."""

import tensorflow as tf


def nt_xent(
    first: tf.Tensor,
    second: tf.Tensor,
    temperature: float = 0.1,
    all_first: tf.Tensor | None = None,
    all_second: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the normalised temperature-scaled cross entropy of two views of each image: a scalar, float32.

    Each view of an image must find the other among all others, both views of every other image; it is not compared with
    itself. The mean over the views given.

    Args:
        first, second: `(batch, dimensions)`, a projection of each view, of any length; they are normalised here.
        temperature: what the cosines are divided by.
        all_first, all_second: of the images of all replicas, of as many each, those of `first` and `second` among
            them, in the same order; by default these alone.

    Source: Chen et al., "A Simple Framework for Contrastive Learning", ICML 2020, equation 1 and algorithm 1.
    """
    ours = unit(tf.concat([first, second], axis=0))
    all_first, all_second = (first if all_first is None else all_first), (second if all_second is None else all_second)
    everyone = unit(tf.concat([all_first, all_second], axis=0))
    cosines = tf.matmul(ours, everyone, transpose_b=True)
    # Where this replica's images stand among all: the rows that are the same vectors.
    count, total = tf.shape(first)[0], tf.shape(all_first)[0]
    start = replica_number() * count
    own = start + tf.range(count)
    selves, others = tf.concat([own, total + own], axis=0), tf.concat([total + own, own], axis=0)
    logits = cosines / temperature - 1e9 * tf.one_hot(selves, 2 * total)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(others, logits))


def info_nce(queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, temperature: float = 0.07) -> tf.Tensor:
    """Return MoCo's loss: the cross entropy of each query's own key against the negatives, a scalar in float32.

    Args:
        queries, keys: `(batch, dimensions)`, two views of each image; normalised here. No gradient leads to the keys.
        negatives: `(number, dimensions)`, of unit length: the queue. No gradient leads to them.
        temperature: what the cosines are divided by.

    Source: He et al., "Momentum Contrast", CVPR 2020, equation 1 and algorithm 1.
    """
    queries, keys = unit(queries), tf.stop_gradient(unit(keys))
    positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
    negative = tf.matmul(queries, tf.stop_gradient(tf.convert_to_tensor(negatives)), transpose_b=True)
    logits = tf.concat([positive, negative], axis=1) / temperature
    first = tf.zeros(tf.shape(logits)[0], tf.int32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(first, logits))


def unit(vectors):
    """Of length 1, in float32."""
    return tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=1)


def replica_number():
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context.num_replicas_in_sync > 1 else 0
