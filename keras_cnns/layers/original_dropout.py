"""Dropout as it was first published: Krizhevsky et al., NIPS 2012, section 4.2."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class OriginalDropout(keras.layers.Layer):
    """Zero each unit with probability `rate` while training; at test keep all and multiply by `1 - rate`.

    `keras.layers.Dropout` scales by `1 / (1 - rate)` while training instead. Both have the same expectation at test
    after the weights above are rescaled, but the initial activations, and with them the effective learning rate, are
    the paper's only here. Input and output have one shape, any. Under a `tf.distribute` strategy every replica draws
    masks of its own from the one seed.

    Args:
        rate: fraction of units dropped, in [0, 1).
        seed: integer that makes the masks repeatable.

    Raises:
        ValueError: `rate` is outside [0, 1).
    """

    def __init__(self, rate: float = 0.5, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate is {rate}; it must be at least 0 and less than 1.")
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training:
            return inputs * tf.cast(1 - self.rate, inputs.dtype)
        seed = self.seed_generator.next()
        replica = tf.distribute.get_replica_context()
        if replica:  # Keras's state is the same on all replicas: without this they would all draw one mask
            seed = tf.random.experimental.stateless_fold_in(seed, replica.replica_id_in_sync_group)
        draw = tf.random.stateless_uniform(tf.shape(inputs), seed)
        return tf.where(draw >= self.rate, inputs, tf.zeros_like(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
