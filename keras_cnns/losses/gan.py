"""The losses of the game between a generator and a discriminator: Goodfellow et al., NIPS 2014, section 3.

Arguments are the discriminator's logits, of any shape: of real images, and of generated ones. D is their sigmoid, which
is never computed: log D = -softplus(-logits) and log(1 - D) = -softplus(logits) are exact where D is 0 or 1 in float32.
"""

import tensorflow as tf


def minimax_value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return V(D, G) = E log D(x) + E log(1 - D(G(z))), equation 1: a scalar; -log 4 where D is 1/2 everywhere."""
    return -mean_softplus(-real) - mean_softplus(fake)


def discriminator_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return -V(D, G), a scalar: the discriminator maximises the value."""
    return -minimax_value(real, fake)


def minimax_generator_loss(fake: tf.Tensor) -> tf.Tensor:
    """Return E log(1 - D(G(z))), a scalar: the generator minimises the value. Its gradient vanishes where D is sure."""
    return -mean_softplus(fake)


def non_saturating_generator_loss(fake: tf.Tensor) -> tf.Tensor:
    """Return -E log D(G(z)), a scalar: the same fixed point, "much stronger gradients early in learning"."""
    return mean_softplus(-fake)


def mean_softplus(logits):
    return tf.reduce_mean(tf.math.softplus(tf.cast(logits, tf.float32)))
