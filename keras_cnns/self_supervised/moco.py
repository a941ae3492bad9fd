"""MoCo: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020.

Batch normalisation gives a network away: if a query and its key are normalised with the same images, their statistics
tell which key belongs to it. The paper's replicas each normalise their own part of the batch, and keys are shuffled
among the replicas before they are encoded. On one device `groups` stand for replicas: queries are encoded group by
group, keys in groups of a shuffled batch. The moving averages then move once a group.
"""

import keras
import tensorflow as tf

from keras_cnns.arguments import check_count
from keras_cnns.descent import descend
from keras_cnns.losses.contrastive import info_nce, unit
from keras_cnns.self_supervised.encoder import check_encoder


def moco(
    encoder: keras.Model,
    dimensions: int = 128,
    queue: int = 65_536,
    momentum: float = 0.999,
    temperature: float = 0.07,
    groups: int = 1,
    seed: int = 0,
    name: str = "moco",
) -> keras.Model:
    """Return MoCo's model: a query encoder, a key encoder that follows it, and a queue of keys.

    The model maps images to queries `(batch, dimensions)`; `model.encoder` is what is kept after the training.

    Args:
        encoder: from images to features, such as `encoder_of(resnet50())`; the query encoder. A copy is the key's.
        dimensions: of queries and keys: one dense layer on the features.
        queue: number of keys kept, a multiple of the batch size (of all replicas).
        momentum: m of the key encoder: theta_k = m theta_k + (1 - m) theta_q.
        temperature: what cosines are divided by.
        groups: parts of a replica's batch with batch statistics of their own; must divide it.
        seed: of the queue's first, random keys, and of the shuffling.

    Raises:
        ValueError: an encoder that does not end in features, no dimension, queue or group, a momentum outside [0, 1),
            or a temperature not above 0; or, in a step, a batch of which `queue` is no multiple or that `groups` does
            not divide.

    Source: section 3.2 and 3.3 (shuffling BN), algorithm 1.
    """
    check_encoder(encoder)
    for argument, value in {"dimensions": dimensions, "queue": queue, "groups": groups}.items():
        check_count(argument, value)
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; it must be at least 0 and less than 1.")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    x = keras.layers.Dense(dimensions, dtype="float32", name="fc")(encoder.output)
    query = keras.Model(encoder.input, x, name="query")
    key = keras.models.clone_model(query)
    key.name = "key"
    key.set_weights(query.get_weights())
    for weight in key.weights:  # not its layers: frozen batch normalisation would leave the batch's statistics
        weight.trainable = False
    return MoCo(encoder, query, key, queue, momentum, temperature, groups, seed, name=name)


class MoCo(keras.Model):
    """What `moco` returns. A step takes (views, labels), views `(batch, 2, height, width, channels)`.

    The labels are not used. The queue and its position are weights, so that a checkpoint keeps them; under a strategy
    every replica has the same queue, of all replicas' keys.
    """

    def __init__(self, encoder, query, key, queue, momentum, temperature, groups, seed, name="moco"):
        super().__init__(name=name)
        self.encoder, self.query, self.key = encoder, query, key
        self.momentum, self.temperature, self.groups, self.seed = momentum, temperature, groups, seed
        width = query.output_shape[-1]
        first = unit(tf.random.stateless_normal((queue, width), (seed, 0)))
        same = {"trainable": False, "aggregation": "only_first_replica"}
        self.queue = self.add_weight(shape=(queue, width), initializer="zeros", name="queue", **same)
        self.queue.assign(first)
        self.position = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="position", **same)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, images, training=False):
        return self.query(images, training=training)

    def train_step(self, data):
        views, _ = data
        context = tf.distribute.get_replica_context()
        self.check_batch(views.shape[0], context.num_replicas_in_sync)
        self.follow()
        keys, all_keys = self.encode_keys(views[:, 1], context)
        with tf.GradientTape() as tape:
            loss = info_nce(self.in_groups(self.query, views[:, 0]), keys, self.queue, self.temperature)
        descend(self.optimizer, tape, loss, self.query.trainable_variables)
        self.enqueue(all_keys)
        self.loss_tracker.update_state(loss)
        return self.get_metrics_result()

    def check_batch(self, size, replicas):
        """size: of a replica's batch, or None where it is not known before it comes."""
        if size and size % self.groups:
            raise ValueError(f"groups is {self.groups}; it must divide a replica's {size} images of a batch.")
        if size and self.queue.shape[0] % (size * replicas):
            raise ValueError(f"queue is {self.queue.shape[0]}; it must be a multiple of a batch's {size * replicas}.")

    def follow(self):
        """theta_k = m theta_k + (1 - m) theta_q, before the keys are encoded, as in the release."""
        m = self.momentum
        for ours, theirs in zip(self.key.weights, self.query.weights, strict=True):
            if theirs.trainable:
                ours.assign(m * ours + (1 - m) * theirs)

    def encode_keys(self, images, context):
        """(this replica's keys in the images' order, the keys of all replicas), of unit length."""
        replicas, count = context.num_replicas_in_sync, tf.shape(images)[0]
        if replicas > 1:
            images = context.all_gather(images, axis=0)
        total = tf.shape(images)[0]
        # The same on every replica: a function of the seed and the step.
        order = tf.random.experimental.index_shuffle(
            tf.range(total), tf.stack([self.seed, tf.cast(self.optimizer.iterations, tf.int32)]), total - 1
        )
        start = context.replica_id_in_sync_group * count if replicas > 1 else 0
        mine = tf.gather(images, order[start : start + count])
        keys = tf.stop_gradient(unit(self.in_groups(self.key, mine)))
        if replicas > 1:
            keys = context.all_gather(keys, axis=0)
        keys = tf.gather(keys, tf.math.invert_permutation(order))
        return keys[start : start + count], keys

    def in_groups(self, network, images):
        """A network's outputs in training mode, group by group."""
        return tf.concat([network(each, training=True) for each in tf.split(images, self.groups)], axis=0)

    def enqueue(self, keys):
        """Replace the oldest keys by the newest."""
        size = self.queue.shape[0]
        places = (self.position + tf.range(tf.shape(keys)[0])) % size
        self.queue.assign(tf.tensor_scatter_nd_update(tf.convert_to_tensor(self.queue), places[:, None], keys))
        self.position.assign((self.position + tf.shape(keys)[0]) % size)
