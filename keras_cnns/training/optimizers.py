"""The papers' optimizers."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_cnns")
class SGD(keras.optimizers.SGD):
    """Momentum with weight decay inside the gradient, as AlexNet's section 5 prints it and Caffe computes it:

        v = momentum * v - learning_rate * (g + l2 * w),    w = w + v

    Keras's own `weight_decay` acts outside the momentum. The decay does not show in the reported loss.

    Args:
        learning_rate: a number or a schedule.
        momentum, nesterov: as in `keras.optimizers.SGD`; a momentum may be a schedule, as GAN's.
        l2: the papers' "weight decay".
        undecayed: names of variables without decay; ("bias",) leaves out biases, ("bias", "gamma", "beta") batch
            normalisation too.
        doubled: names of variables that learn at twice the rate, as biases do in Caffe's networks.

    Raises:
        ValueError: `weight_decay` is given.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        nesterov: bool = False,
        l2: float = 0.0,
        undecayed: Sequence[str] = (),
        doubled: Sequence[str] = (),
        name: str = "sgd",
        **kwargs,
    ):
        if kwargs.get("weight_decay"):
            raise ValueError(f"weight_decay is {kwargs['weight_decay']}; the papers' decay is l2, inside the momentum.")
        if isinstance(momentum, dict):  # a schedule, from a configuration
            momentum = keras.optimizers.schedules.deserialize(momentum)
        changes = isinstance(momentum, keras.optimizers.schedules.LearningRateSchedule)
        super().__init__(learning_rate, 0.0 if changes else momentum, nesterov, name=name, **kwargs)
        self.momentum = momentum
        self.l2, self.undecayed, self.doubled = l2, tuple(undecayed), tuple(doubled)

    def build(self, variables):
        if not self.built:
            self._decayed = [variable.name not in self.undecayed for variable in variables]
            self._rates = [2.0 if variable.name in self.doubled else 1.0 for variable in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        learning_rate = learning_rate * self._rates[index]
        if self.l2 and self._decayed[index]:
            gradient = gradient + self.l2 * tf.convert_to_tensor(variable)
        if not self.momentum:
            self.assign_sub(variable, learning_rate * gradient)
            return
        momentum = self.momentum(self.iterations) if callable(self.momentum) else self.momentum
        # One fused kernel in place of four passes over the weights.
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=resource(variable),
            accum=resource(self.momentums[index]),
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        config = {**super().get_config(), "l2": self.l2, "undecayed": self.undecayed, "doubled": self.doubled}
        del config["weight_decay"]
        if callable(self.momentum):
            config["momentum"] = keras.optimizers.schedules.serialize(self.momentum)
        return config


@keras.saving.register_keras_serializable(package="keras_cnns")
class Adam(keras.optimizers.Adam):
    """Adam with weight decay inside the gradient, g + l2 * w, as Caffe computes it; Keras's own acts outside.

    Args:
        learning_rate, beta_1, beta_2: as in `keras.optimizers.Adam`.
        l2: the "weight decay", of all variables.

    Raises:
        ValueError: `weight_decay` is given.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        l2: float = 0.0,
        name: str = "adam",
        **kwargs,
    ):
        if kwargs.get("weight_decay"):
            raise ValueError(f"weight_decay is {kwargs['weight_decay']}; Caffe's decay is l2, inside the gradient.")
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        decay = self.l2 * tf.cast(tf.convert_to_tensor(variable), gradient.dtype)
        super().update_step(gradient + decay, variable, learning_rate)

    def get_config(self):
        config = {**super().get_config(), "l2": self.l2}
        del config["weight_decay"]
        return config


def resource(variable):
    """The handle of a variable's copy on this device."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
