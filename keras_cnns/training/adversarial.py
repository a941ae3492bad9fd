"""The training of a generator against a discriminator: Goodfellow et al., NIPS 2014, algorithm 1."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_count
from keras_cnns.descent import descend
from keras_cnns.losses.gan import discriminator_loss, minimax_value, non_saturating_generator_loss


class AdversarialModel(keras.Model):
    """A generator and a discriminator that are trained by turns: `k` steps of the one, then a step of the other.

    A training step takes images or (images, labels), `k` times the paper's minibatch: one for each of the
    discriminator's steps. Only a discriminator of pairs uses the labels: it gets real images with theirs, as one-hot
    vectors, and generated ones with those that a joint generator made, or that a conditional one was given, the
    batch's own. z is uniform in -1 to 1, a function of `seed`, the step and the replica alone. Compile it under a
    strategy's scope with both optimizers; `variables` are both networks', and `Checkpoints` keeps both optimizers too.

    Metrics are means over the epoch: `loss`, the generator's; `discriminator_loss`; `value`, V(D, G), -1.386 where the
    discriminator cannot tell (its logits are 0); `real` and `fake`, the mean of D(x) and of D(G(z)).

    Args:
        generator: from z `(batch, latent)`, or z and labels `(batch, classes)`, to images, or images and labels.
        discriminator: from images, or images and labels, to logits `(batch, 1)`.
        k: the discriminator's steps for each of the generator's.
        generator_loss: function from the logits of generated images to a scalar.
        seed: of z.

    Raises:
        ValueError: k below 1, images that the discriminator does not take, a discriminator with other outputs, or, of
            `compile`, float16 arithmetic.
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
        check_count("k", k)
        made = [each.shape[1:] for each in (*generator.outputs, *generator.inputs[1:])]
        taken = [each.shape[1:] for each in discriminator.inputs]
        if made != taken:
            made, taken = (" and ".join(map(str, shapes)) for shapes in (made, taken))
            raise ValueError(f"the generator makes images of {made}; the discriminator takes {taken}.")
        given = [tuple(each.shape[1:]) for each in discriminator.outputs]
        if given != [(1,)]:
            raise ValueError(f"{discriminator.name} gives {' and '.join(map(str, given))}; a discriminator gives (1,).")
        self.generator, self.discriminator = generator, discriminator
        self.k, self.generator_loss, self.seed = k, generator_loss, seed
        self.trackers = {
            name: keras.metrics.Mean(name=name) for name in ("loss", "discriminator_loss", "value", "real", "fake")
        }
        self.built = True

    def compile(self, generator_optimizer, discriminator_optimizer):
        if self.compute_dtype == "float16":
            raise ValueError("the precision is float16; it must be float32 or bfloat16: these losses are not scaled.")
        super().compile(optimizer=discriminator_optimizer, jit_compile=False)
        self.generator_optimizer = generator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def optimizers(self):
        """Both, the discriminator's first: `Checkpoints` keeps them."""
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
        return tf.random.stateless_uniform((batch, self.generator.inputs[0].shape[-1]), seed, -1.0, 1.0)

    def real(self, images, labels):
        """What the discriminator is shown of real images: a list of them and, where it takes labels, theirs."""
        if len(self.discriminator.inputs) == 1:
            return [images]
        return [images, tf.one_hot(labels, self.discriminator.inputs[1].shape[-1])]

    def fake(self, z, labels):
        """What it is shown of generated ones. labels: a list of what the generator takes beside z, nothing or one."""
        made = self.generator(only([z, *labels]), training=True)
        return [*tf.nest.flatten(made), *labels]

    def logits(self, shown):
        """The discriminator's, of a list that `real` or `fake` gave."""
        return self.discriminator(only(shown), training=True)

    def train_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        parts = zip(*(tf.split(each, self.k) for each in self.real(images, labels)), strict=True)
        batch, beside_z = tf.shape(images)[0] // self.k, len(self.generator.inputs) - 1
        for turn, real in enumerate(parts):
            given = real[1 : 1 + beside_z]
            fake = self.fake(self.latent(batch, turn), given)
            with tf.GradientTape() as tape:
                on_real, on_fake = self.logits(real), self.logits(fake)
                loss = discriminator_loss(on_real, on_fake)
            descend(self.optimizer, tape, loss, self.discriminator.trainable_variables)
            self.trackers["discriminator_loss"].update_state(loss)
            self.trackers["value"].update_state(minimax_value(on_real, on_fake))
            self.trackers["real"].update_state(tf.sigmoid(on_real))
            self.trackers["fake"].update_state(tf.sigmoid(on_fake))
        z = self.latent(batch, self.k)
        with tf.GradientTape() as tape:
            loss = self.generator_loss(self.logits(self.fake(z, given)))
        descend(self.generator_optimizer, tape, loss, self.generator.trainable_variables)
        self.trackers["loss"].update_state(loss)
        return self.get_metrics_result()

    def figures(self, batches):
        """Return how the game stands on images that it was not trained on: a dict of `loss`, `value`, `real`, `fake`.

        They are the training's metrics, on z that no step has seen. As in a step, batch normalisation has the batch's
        statistics and dropout leaves out; but nothing moves, and a resumed run is not changed by the test.

        batches: a `tf.data.Dataset` of (images, labels), without k minibatches for one.

        Raises:
            ValueError: there are no images.
        """
        sums, count = np.zeros(4), 0
        for number, (images, labels) in enumerate(batches):
            size, shown = len(images), self.real(images, labels)
            latent, given = self.generator.inputs[0].shape[-1], shown[1 : len(self.generator.inputs)]
            z = tf.random.stateless_uniform((size, latent), (self.seed, -1 - number), -1.0, 1.0)
            made = [*tf.nest.flatten(as_trained(self.generator, only([z, *given]))), *given]
            real, fake = (as_trained(self.discriminator, only(each)) for each in (shown, made))
            scores = [self.generator_loss(fake), minimax_value(real, fake), *map(mean_sigmoid, (real, fake))]
            sums += size * np.array([float(each) for each in scores])
            count += size
        if not count:
            raise ValueError("there are no images to test on.")
        return dict(zip(("loss", "value", "real", "fake"), map(float, sums / count), strict=True))


def only(inputs):
    """What a network takes of a list of inputs: the one, or the list."""
    return inputs if len(inputs) > 1 else inputs[0]


def mean_sigmoid(logits):
    return tf.reduce_mean(tf.sigmoid(logits))


def as_trained(network, inputs):
    """What a network gives while it is trained; its statistics and its dropout's seeds stay as they are."""
    variables = [
        [tf.convert_to_tensor(each) for each in part]
        for part in (network.trainable_variables, network.non_trainable_variables)
    ]
    return network.stateless_call(*variables, inputs, training=True)[0]
