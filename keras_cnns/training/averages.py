"""Averages of the weights over the steps of a training: Polyak & Juditsky, SIAM J. Control Optim. 30, 1992."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Inside, a compiled model has the moving averages of its weights, if its optimizer keeps them (`use_ema=True`).

    Outside it has its own again, to the bit. Networks that share its layers change with it.
    """
    # In float16 Keras wraps the optimizer, whose averages the wrapper does not show.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    own = [variable.numpy() for variable in model.trainable_variables]
    try:
        pairs = zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
        for variable, average in pairs:
            variable.assign(average.numpy())
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)
