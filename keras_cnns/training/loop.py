"""The training loop: Keras's train step under a strategy, from any step to any other."""

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable

import keras
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.iteration import distributed
from keras_cnns.training.checkpoint import Checkpoints
from keras_cnns.training.strategy import JIT_COMPILE, agree, is_chief, workers

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def train(
    model: keras.Model,
    batches: Callable,
    steps: int,
    steps_per_epoch: int,
    checkpoints: Checkpoints,
    checkpoint_steps: int | None = None,
    at_epoch_end: Callable | None = None,
    train_step: Callable | None = None,
) -> list[dict]:
    """Train a compiled model up to `steps` steps, going on from its last checkpoint.

    The same loop on one device and on the hosts of a cluster, of which each process calls it with the same arguments;
    `checkpoints` must then be in a folder that all of them share. At SIGTERM (a cluster's preemption) or SIGINT, to any
    of the processes, all finish the same step, write a checkpoint and leave.

    Args:
        model: built and compiled under a strategy's scope.
        batches: function from (epoch, number of batches to leave out, number of batches) to a `tf.data.Dataset` of
            global batches.
        steps, steps_per_epoch: how long; the last epoch may be short.
        checkpoints: a `Checkpoints`. One is written at the end of an epoch, and every `checkpoint_steps`.
        at_epoch_end: function from (history row, step) that may add to the row, such as test errors. A row holds
            `epoch`, `step`, `learning_rate`, `seconds` and the training metrics. It is called after the epoch's
            checkpoint is written, and again, with the same row, when a run goes on from that one.
        train_step: what a replica does with its part of a batch; the model's own `train_step` by default.

    Returns: the history, a row an epoch.

    Raises:
        FloatingPointError: the loss, or what would be saved, is no longer finite; the checkpoints are those before.
        OSError: a checkpoint could not be written; the checkpoints are those before.
        SystemExit: SIGTERM or SIGINT came, and the checkpoint is written: 128 + its number, as a shell has it.
        ValueError: the batches of an epoch ran out; or the processes of a cluster found different checkpoints.
    """
    strategy = model.distribute_strategy

    step, notes = checkpoints.restore()
    if agree(strategy, [step, step**2]) != [step * workers(strategy), step**2 * workers(strategy)]:
        raise ValueError(
            f"the workers found different checkpoints, this one step {step}: {checkpoints.folder} must be "
            "one folder that all share."
        )
    good = tf.Variable(step, dtype=tf.int64)  # the last step whose loss was finite, counted where nobody waits for it

    @tf.function(jit_compile=JIT_COMPILE, reduce_retracing=True)
    def step_on(batch):
        means = strategy.experimental_local_results(strategy.run(train_step or model.train_step, args=(batch,))["loss"])
        good.assign_add(tf.cast(tf.reduce_all(tf.math.is_finite(means)), tf.int64))

    # Seconds of the epoch that the checkpoint is in; the row of the epoch that it ends, if at_epoch_end is to come.
    history, elapsed, *row = notes or ([], 0.0)
    row = row[0] if row else None
    if step > 0 and is_chief(strategy):
        print(f"resumed after step {step:,} of {steps:,}")
    often = {"mininterval": 0.5 if sys.stderr.isatty() else 20, "miniters": 1}
    bar = tqdm(total=steps, initial=step, unit="step", disable=not is_chief(strategy), **often)
    with bar, held_signals() as arrived:
        meetings = Meetings(strategy, step + 1, arrived)
        while step < steps or row:
            if row is None:
                epoch, position = divmod(step, steps_per_epoch)
                bar.set_description(f"epoch {epoch + 1}/{math.ceil(steps / steps_per_epoch)}")
                start, elapsed = time.monotonic() - elapsed, 0.0
                last = min((epoch + 1) * steps_per_epoch, steps)
                for batch in distributed(batches(epoch, position, last - step), strategy):
                    step_on(batch)
                    step += 1
                    bar.update()
                    stop = None
                    if step == meetings.next:
                        bar.set_postfix(metrics(model, step, good, checkpoints))
                        stop = meetings.meet(step)
                    if step < last and (stop or (checkpoint_steps and step % checkpoint_steps == 0)):
                        metrics(model, step, good, checkpoints)
                        checkpoints.save(step, (history, time.monotonic() - start))
                        leave(stop, step, checkpoints, bar)
                if step < last:
                    raise ValueError(f"epoch {epoch + 1} ended at step {step} of {last}: too few images can be read.")
                row = {"epoch": epoch + 1, "step": step}
                row["learning_rate"] = float(tf.convert_to_tensor(model.optimizer.learning_rate))
                row |= {"seconds": time.monotonic() - start, "steps": step - epoch * steps_per_epoch}
                row |= metrics(model, step, good, checkpoints)
                checkpoints.save(step, (history, 0.0, row))  # before the tests, which may outlast a grace period
                leave(meetings.meet(step), step, checkpoints, bar)
            if at_epoch_end:
                at_epoch_end(row, step)
            history.append(row)
            row = None
            model.reset_metrics()
            if stop := meetings.meet(step):
                checkpoints.save(step, (history, 0.0))  # or the tests would be made again
                leave(stop, step, checkpoints, bar)
    return history


class Meetings:
    """The steps after which the processes of a cluster look at one another, about twice a second.

    Reading a metric is a collective operation there, so that no process may do it by its own clock: the chief's decides
    for all. `next` is the step of the next meeting.
    """

    def __init__(self, strategy, first, arrived):
        self.strategy, self.next, self.arrived = strategy, first, arrived
        self.every, self.last = 1, time.monotonic()

    def meet(self, step):
        """Agree on the next meeting, and return the signal that has come to one of the processes, or None."""
        now = time.monotonic()
        self.every = 2 * self.every if now - self.last < 0.5 else max(self.every // 2, 1)
        self.last = now
        every = self.every if is_chief(self.strategy) else 0
        *came, every = agree(self.strategy, [*(number in self.arrived for number in SIGNALS), every])
        self.next = step + int(every)
        return next((number for number, count in zip(SIGNALS, came, strict=True) if count), None)


def leave(stop, step, checkpoints, bar):
    """End the program if a signal asks for it. Its checkpoint has been written."""
    if stop:
        if not bar.disable:
            bar.write(
                f"{stop.name}: stopped after step {step:,}; its checkpoint is in {checkpoints.folder}.", sys.stderr
            )
        raise SystemExit(128 + stop)


@contextlib.contextmanager
def held_signals():
    """A set that gathers SIGTERM and SIGINT while the loop is within a step; a second SIGINT interrupts as ever."""
    arrived = set()
    # Only Python's main thread may handle signals.
    held = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in held}

    def hold(number, frame):
        arrived.add(number)
        if number == signal.SIGINT:
            signal.signal(number, before[number])

    for number in held:
        signal.signal(number, hold)
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def metrics(model, step, good, checkpoints):
    """The running means of the training metrics in this epoch; a loss that is not finite ends the run."""
    values = {name: float(value) for name, value in model.get_metrics_result().items()}
    loss = values["loss"]
    if not math.isfinite(loss):
        first = min(int(good) + 1, step)  # of the replicas, only this process's are counted
        raise FloatingPointError(f"the training loss is {loss} at step {first}; {checkpoints.kept()}.")
    return values
