"""LARS: You et al., "Large Batch Training of Convolutional Networks", 2017, as SimCLR trains with it."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class LARS(keras.optimizers.Optimizer):
    """Momentum with a rate for each layer's weights in proportion to their length:

        g = g + l2 * w,    v = momentum * v + learning_rate * trust * |w| / |g| * g,    w = w - v

    Where either length is 0 the quotient counts as 1 without `trust`. Excluded variables are not decayed and take the
    plain rate.

    Args:
        learning_rate: a number or a schedule. SimCLR: 0.3 * batch size / 256.
        momentum: 0.9 in both papers.
        l2: weight decay; SimCLR 1e-6.
        trust: the coefficient, 0.001 in both papers.
        excluded: names of variables: biases and batch normalisation in SimCLR.

    Source: You et al., algorithm 1; SimCLR, appendix B.6, and its release for the exclusions.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        l2: float = 0.0,
        trust: float = 0.001,
        excluded: Sequence[str] = ("bias", "gamma", "beta"),
        name: str = "lars",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum, self.l2, self.trust, self.excluded = momentum, l2, trust, tuple(excluded)

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.adapted = [each.name not in self.excluded for each in variables]
            self.velocities = [self.add_variable_from_reference(each, "velocity") for each in variables]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        velocity = self.velocities[index]
        weights = tf.convert_to_tensor(variable)
        rate = tf.cast(learning_rate, variable.dtype)
        if self.adapted[index]:
            gradient = gradient + self.l2 * weights
            length, steepness = tf.norm(weights), tf.norm(gradient)
            both = (length > 0) & (steepness > 0)
            rate *= tf.where(both, self.trust * length / tf.where(both, steepness, 1.0), 1.0)
        self.assign(velocity, self.momentum * velocity + rate * gradient)
        self.assign_sub(variable, velocity)

    def get_config(self):
        own = {"momentum": self.momentum, "l2": self.l2, "trust": self.trust, "excluded": self.excluded}
        return {**super().get_config(), **own}
