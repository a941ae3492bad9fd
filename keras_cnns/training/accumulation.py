"""The train step in parts that fit a small memory: micro-batches, and tensors computed again instead of kept."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_cnns.training.recomputation import gradients, one_segment, segments_of


def small_memory_step(model: keras.Model, accumulate: int = 1, recompute: bool = False) -> Callable:
    """Return a function to train a compiled model with in place of its `train_step`: same step, less memory.

    One step is one update by the gradient of the whole batch, so step counts and schedules stay what they are, and
    nothing is carried from step to step. Losses and metrics are those of the whole batch.

    With `accumulate` the memory for activations is divided by it. The result equals the large batch's up to rounding
    in networks whose images do not see one another. With batch normalisation they do: micro-batches are to it what
    replicas are. Each is normalised with statistics of its own, and the moving statistics move once a step, to the mean
    of where the micro-batches would move them. Dropout draws masks for each micro-batch.

    With `recompute` the result is the same in every network; most of the forward pass is made twice.

    Args:
        model: functional or `Sequential`, of one input, compiled, its metrics built.
        accumulate: number of micro-batches that a replica's part of a batch is cut into; must divide it.
        recompute: whether to keep only the tensors between segments of the model (see `segments_of`).

    Raises:
        ValueError: `accumulate` is below 1 or does not divide the batch, the model cannot be taken apart, has several
            inputs, a `train_step` of its own, or layers that call `add_loss`; or its batch normalisation is
            synchronised over several replicas, which cannot wait for one another inside the loop over micro-batches.
    """
    replicas = model.distribute_strategy.num_replicas_in_sync
    if accumulate < 1:
        raise ValueError(f"accumulate is {accumulate}; it must be at least 1.")
    if not recompute and len(getattr(model, "inputs", None) or []) > 1:  # segments_of tells it otherwise
        raise ValueError(f"{model.name} has {len(model.inputs)} inputs; it can be neither accumulated nor recomputed.")
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(f"{model.name} has a train_step of its own; it can be neither accumulated nor recomputed.")
    layers = model._flatten_layers()
    if accumulate > 1 and replicas > 1 and any(getattr(layer, "synchronized", False) for layer in layers):
        raise ValueError(f"accumulate is {accumulate}; with synchronised batch normalisation it must be 1.")
    segments = segments_of(model) if recompute else one_segment(model)
    moving = model.non_trainable_variables

    def one_part(images, labels, values):
        """Outputs and gradients of a micro-batch; the values that move are replaced."""

        def loss_of(outputs):
            # Penalties on weights must see the values that the tape watches; trackers move later, by the whole batch.
            with keras.StatelessScope([(each, values[id(each)]) for each in model.trainable_variables]):
                loss = model._compute_loss(images, labels, packed(model, outputs), None, training=True)
            return model.optimizer.scale_loss(loss / accumulate)

        outputs, parts = gradients(model, segments, images, values, loss_of)
        return outputs, [parts[id(each)] for each in model.trainable_variables]

    def train_step(data):
        images, labels = data
        values = {id(each): tf.convert_to_tensor(each) for each in model.variables}
        if accumulate == 1:
            start = dict(values)
            outputs, total = one_part(images, labels, values)
            moved = [each for each in moving if values[id(each)] is not start[id(each)]]
        else:
            outputs, total, moved = in_parts(images, labels, values)
        for each in moved:
            each.assign(values[id(each)])
        predictions = packed(model, outputs)
        loss = model._compute_loss(images, labels, predictions, None, training=True)
        model._loss_tracker.update_state(loss * replicas, sample_weight=tf.shape(images)[0])  # Keras divides it
        model.optimizer.apply(total, model.trainable_variables)
        return model.compute_metrics(images, labels, predictions)

    def in_parts(images, labels, values):
        """The same of all micro-batches, one after another, and the variables that moved."""
        images, labels = tf.nest.map_structure(lambda each: parts_of(each, accumulate), (images, labels))
        moved = set()
        statistic_keys = [id(each) for each in moving if tf.as_dtype(each.dtype).is_floating]
        seed_keys = [id(each) for each in moving if id(each) not in statistic_keys]

        def body(number, statistics, seeds, total, outputs):
            # Keras variables are left alone in here: a replica cannot speak to the others inside a loop.
            start = values | dict(zip(seed_keys, seeds, strict=True))
            inner = dict(start)
            part = tf.nest.map_structure(lambda each: each[number], (images, labels))
            found, new = one_part(*part, inner)
            moved.update(key for key, value in inner.items() if value is not start[key])
            statistics = [old + inner[key] / accumulate for old, key in zip(statistics, statistic_keys, strict=True)]
            total = [old if each is None else old + each for old, each in zip(total, new, strict=True)]
            outputs = [array.write(number, each) for array, each in zip(outputs, found, strict=True)]
            return number + 1, statistics, [inner[key] for key in seed_keys], total, outputs

        # A loop that is unrolled, or runs ahead, would hold several micro-batches' activations at once.
        _, statistics, seeds, total, outputs = tf.while_loop(
            lambda number, *_: number < accumulate,
            body,
            (
                0,
                [tf.zeros_like(values[key]) for key in statistic_keys],
                [values[key] for key in seed_keys],
                [tf.zeros(each.shape, each.dtype) for each in model.trainable_variables],
                [tf.TensorArray(each.dtype, accumulate) for each in model.outputs],
            ),
            parallel_iterations=1,
        )
        values.update(zip([*statistic_keys, *seed_keys], [*statistics, *seeds], strict=True))
        outputs = [array.concat() for array in outputs]
        for output, symbol in zip(outputs, model.outputs, strict=True):
            output.set_shape(symbol.shape)
        return outputs, total, [each for each in moving if id(each) in moved]

    return train_step


def packed(model, outputs):
    """A list of outputs in the structure that the model returns."""
    return outputs[0] if len(outputs) == 1 else keras.tree.pack_sequence_as(model._outputs_struct, outputs)


def parts_of(batch, number):
    """A batch `(batch, ...)` as `(number, batch / number, ...)`."""
    if batch.shape[0] and batch.shape[0] % number:
        raise ValueError(f"accumulate is {number}; it must divide a replica's {batch.shape[0]} images of a batch.")
    return tf.reshape(batch, tf.concat([[number, tf.shape(batch)[0] // number], tf.shape(batch)[1:]], 0))
