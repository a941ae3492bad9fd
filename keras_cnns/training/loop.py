"""The training loop: Keras's train step under a strategy, from any step to any other."""

import math
import sys
import time

import tensorflow as tf
from tqdm import tqdm

from keras_cnns.training.strategy import JIT_COMPILE


def train(
    model, batches, steps, steps_per_epoch, checkpoints, checkpoint_steps=None, at_epoch_end=None, train_step=None
):
    """Train a compiled model up to `steps` steps, going on from its last checkpoint.

    Args:
        model: built and compiled under a strategy's scope.
        batches: function from (epoch, number of batches to leave out, number of batches) to a `tf.data.Dataset` of
            global batches.
        steps, steps_per_epoch: how long; the last epoch may be short.
        checkpoints: a `Checkpoints`. One is written at the end of an epoch, or every `checkpoint_steps`.
        at_epoch_end: function from (history row, step) that may add to the row, such as test errors. A row holds
            `epoch`, `step`, `learning_rate`, `seconds` and the training metrics.
        train_step: what a replica does with its part of a batch; the model's own `train_step` by default.

    Returns: the history, a row an epoch.

    Raises:
        FloatingPointError: the loss is no longer finite; the checkpoints are those before.
        ValueError: the batches of an epoch ran out.
    """
    strategy = model.distribute_strategy

    @tf.function(jit_compile=JIT_COMPILE, reduce_retracing=True)
    def step_on(batch):
        strategy.run(train_step or model.train_step, args=(batch,))

    step, notes = checkpoints.restore()
    history, elapsed = notes or ([], 0.0)  # seconds of the epoch that the checkpoint is in
    if step > 0:
        print(f"resumed after step {step:,} of {steps:,}")
    bar = tqdm(total=steps, initial=step, unit=" steps", mininterval=0.5 if sys.stderr.isatty() else 20, miniters=1)
    with bar:
        while step < steps:
            epoch, position = divmod(step, steps_per_epoch)
            bar.set_description(f"epoch {epoch + 1}/{math.ceil(steps / steps_per_epoch)}")
            start, shown, elapsed = time.monotonic() - elapsed, 0.0, 0.0
            last = min((epoch + 1) * steps_per_epoch, steps)
            for batch in strategy.experimental_distribute_dataset(batches(epoch, position, last - step)):
                step_on(batch)
                step += 1
                bar.update()
                if time.monotonic() - shown > 0.5:
                    bar.set_postfix(metrics(model, step))
                    shown = time.monotonic()
                if checkpoint_steps and step % checkpoint_steps == 0 and step < last:
                    metrics(model, step)
                    checkpoints.save(step, (history, time.monotonic() - start))
            if step < last:
                raise ValueError(f"epoch {epoch + 1} ended at step {step} of {last}: too few images can be read.")
            row = {"epoch": epoch + 1, "step": step}
            row["learning_rate"] = float(tf.convert_to_tensor(model.optimizer.learning_rate))
            row |= {"seconds": time.monotonic() - start, "steps": step - epoch * steps_per_epoch} | metrics(model, step)
            if at_epoch_end:
                at_epoch_end(row, step)
            history.append(row)
            model.reset_metrics()
            checkpoints.save(step, (history, 0.0))
    return history


def metrics(model, step):
    """The running means of the training metrics in this epoch; a loss that is not finite ends the run."""
    values = {name: float(value) for name, value in model.get_metrics_result().items()}
    if not math.isfinite(values["loss"]):
        raise FloatingPointError(f"the training loss is {values['loss']} by step {step}; the last checkpoint is kept.")
    return values
