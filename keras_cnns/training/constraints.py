"""Bounds on the weights while training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_cnns")
class MaxRMS(keras.constraints.Constraint):
    """Scale each filter whose root mean square exceeds `radius` back to it: Zeiler & Fergus, ECCV 2014, section 3.

    For kernels `(height, width, channels, filters)`: a filter is one index of the last axis.
    """

    def __init__(self, radius: float):
        self.radius = radius

    def __call__(self, kernel):
        square = ops.mean(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)), keepdims=True)
        return kernel * ops.minimum(1.0, self.radius * ops.rsqrt(square))  # a filter of zeros: times min(1, inf)

    def get_config(self):
        return {"radius": self.radius}


def limit_filters(model: keras.Model, radius: float) -> None:
    """Have the optimizer keep the root mean square of every convolution's filters at `radius` at most: `MaxRMS`."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.constraint = MaxRMS(radius)
