"""The training of a generator against a discriminator: Goodfellow et al., NIPS 2014, algorithm 1."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_cnns.losses.gan import discriminator_loss, minimax_value, non_saturating_generator_loss


class AdversarialModel(keras.Model):
    """A generator and a discriminator that are trained by turns: `k` steps of the one, then a step of the other.

    A training step takes (images, labels), `k` times the paper's minibatch: one for each of the discriminator's steps;
    the labels are not used. z is uniform in -1 to 1, a function of `seed`, the step and the replica alone. Compile it
    under a strategy's scope with both optimizers; `variables` are both networks', and `Checkpoints` keeps both
    optimizers too.

    Metrics are means over the epoch: `loss`, the generator's; `discriminator_loss`; `value`, V(D, G), -1.386 where the
    discriminator cannot tell (its logits are 0); `real` and `fake`, the mean of D(x) and of D(G(z)).

    Args:
        generator: from z `(batch, latent)` to images.
        discriminator: from images to logits `(batch, 1)`.
        k: the discriminator's steps for each of the generator's.
        generator_loss: function from the logits of generated images to a scalar.
        seed: of z.

    Raises:
        ValueError: k below 1, or images that the discriminator does not take.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        k: int = 1,
        generator_loss: Callable = non_saturating_generator_loss,
        seed: int = 0,
        name: str = "adversarial",
    ):
        super().__init__(name=name)
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1.")
        if generator.output_shape != discriminator.input_shape:
            made, taken = generator.output_shape[1:], discriminator.input_shape[1:]
            raise ValueError(f"the generator makes images of {made}; the discriminator takes {taken}.")
        self.generator, self.discriminator = generator, discriminator
        self.k, self.generator_loss, self.seed = k, generator_loss, seed
        self.trackers = {
            name: keras.metrics.Mean(name=name) for name in ("loss", "discriminator_loss", "value", "real", "fake")
        }
        self.built = True

    def compile(self, generator_optimizer, discriminator_optimizer):
        super().compile(optimizer=discriminator_optimizer, jit_compile=False)
        self.generator_optimizer = generator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def optimizers(self):
        return [self.optimizer, self.generator_optimizer]

    @property
    def metrics(self):
        return list(self.trackers.values())

    def call(self, z, training=False):
        return self.generator(z, training=training)

    def latent(self, batch, turn):
        """z `(batch, latent)` of one of a step's turns: 0 to k - 1 are the discriminator's, k is the generator's."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = tf.cast(self.generator_optimizer.iterations, tf.int32)
        number = step * (self.k + 1) + turn
        seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, number]), replica)
        return tf.random.stateless_uniform((batch, self.generator.input_shape[-1]), seed, -1.0, 1.0)

    def train_step(self, data):
        images, _ = data
        parts = tf.split(images, self.k)
        for turn, real in enumerate(parts):
            fake = self.generator(self.latent(tf.shape(real)[0], turn), training=True)
            with tf.GradientTape() as tape:
                on_real = self.discriminator(real, training=True)
                on_fake = self.discriminator(fake, training=True)
                loss = discriminator_loss(on_real, on_fake)
            self.descend(self.optimizer, tape, loss, self.discriminator.trainable_variables)
            self.trackers["discriminator_loss"].update_state(loss)
            self.trackers["value"].update_state(minimax_value(on_real, on_fake))
            self.trackers["real"].update_state(tf.sigmoid(on_real))
            self.trackers["fake"].update_state(tf.sigmoid(on_fake))
        z = self.latent(tf.shape(parts[0])[0], self.k)
        with tf.GradientTape() as tape:
            loss = self.generator_loss(self.discriminator(self.generator(z, training=True), training=True))
        self.descend(self.generator_optimizer, tape, loss, self.generator.trainable_variables)
        self.trackers["loss"].update_state(loss)
        return self.get_metrics_result()

    def descend(self, optimizer, tape, loss, variables):
        """Apply the gradient of the mean over all replicas' losses: an optimizer adds the replicas' up."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply([each / replicas for each in gradients], variables)
