"""Checkpoints from which a run goes on as if it had never stopped."""

import json
import re
import shutil
import sys
from pathlib import Path

import keras
import tensorflow as tf

from keras_cnns.files import reason, sync
from keras_cnns.training.strategy import agree, is_chief


class Checkpoints:
    """The last checkpoints of a run: all state of the model, its metrics, its dropout seeds and its optimizer.

    A checkpoint counts once its index file is there. It is written in a folder beside, and its files are moved from
    there when they are on the disk, the index last: a kill, a full disk or a power cut at any moment leaves the ones
    before it whole. The input pipeline has no state: a position is a number. Of the processes of a cluster, which must
    share the folder, each takes part in `save` and `restore`; the chief alone writes, and if it cannot, all raise.

    Args:
        folder: where they lie; made if need be.
        model: compiled, its optimizer built.
        keep: number of checkpoints kept.
    """

    def __init__(self, folder: str | Path, model: keras.Model, keep: int = 2):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        optimizers = getattr(model, "optimizers", [model.optimizer])  # of both sides of an adversarial training
        of_optimizers = [each for optimizer in optimizers for each in optimizer.variables]
        self.lasting = model.variables + of_optimizers
        # Reading a metric, the sum over the processes, needs all of them; these copies the chief can write alone.
        self.metrics = [(each, tf.Variable(tf.zeros(each.shape, each.dtype))) for each in model.metrics_variables]
        self.notes = tf.Variable("", dtype=tf.string)
        variables = [each.value for each in model.variables]
        variables += [copy for _, copy in self.metrics] + [each.value for each in of_optimizers]
        values = {f"v{number}": variable for number, variable in enumerate(variables)}
        self.checkpoint = tf.train.Checkpoint(notes=self.notes, **values)
        self.keep, self.strategy, self.damaged = keep, model.distribute_strategy, []

    def save(self, step, notes):
        """Write a checkpoint of this step. notes: anything JSON holds, given back by `restore`.

        Raises:
            FloatingPointError: as `check_finite`.
            OSError: it could not be written, in one sentence that says why; those before it are kept.
        """
        self.check_finite(step)
        self.notes.assign(json.dumps(notes))
        for variable, copy in self.metrics:
            copy.assign(variable.value)
        failure = None
        try:
            if is_chief(self.strategy):
                self.write(step)
        except (OSError, tf.errors.OpError) as error:
            failure = error
        if agree(self.strategy, [failure is not None]) != [0]:
            why = reason(failure) if failure else "the first worker's message says why"
            message = f"the checkpoint of step {step} could not be written in {self.folder}: {why}"
            raise OSError(f"{message}; {self.kept()}.") from failure

    def write(self, step):
        """Write the files of a checkpoint, move them into place, and remove those of old ones."""
        part = self.folder / "part"
        shutil.rmtree(part, ignore_errors=True)  # what a killed process left
        try:
            self.checkpoint.write(str(part / f"step-{step}"))
            files = sorted(part.glob(f"step-{step}.*"))  # the data before the index
            for file in files:
                sync(file)
            for damaged in self.damaged:  # so that they do not count among those kept
                index = self.folder / f"step-{damaged}.index"
                index.replace(index.with_suffix(".damaged"))
            self.damaged = []
            for file in files:
                file.replace(self.folder / file.name)
            sync(self.folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for old in self.steps()[: -self.keep]:
            for file in sorted(self.folder.glob(f"step-{old}.*"), reverse=True):  # the index before the data
                file.unlink()

    def check_finite(self, step):
        """Raise `FloatingPointError` if a weight, a statistic or a momentum is no longer finite after this step.

        The loss need not show it: the last update may have been the first bad one, or a moving average, which the
        training does not read.
        """
        for variable in self.lasting:
            if tf.as_dtype(variable.dtype).is_floating and not tf.reduce_all(tf.math.is_finite(variable.value)):
                raise FloatingPointError(f"{variable.path} is not finite after step {step}; {self.kept()}.")

    def kept(self):
        """What a run that ends here can go on from, in words."""
        steps = self.steps()
        return f"the checkpoint of step {steps[-1]} is kept" if steps else "there is no checkpoint"

    def steps(self):
        """The steps of the checkpoints that are complete, in order, but for those that `restore` could not read."""
        names = (re.fullmatch(r"step-(\d+)\.index", file.name) for file in self.folder.iterdir())
        return sorted({int(name[1]) for name in names if name}.difference(self.damaged))

    def restore(self):
        """Restore the newest checkpoint that can be read, and return (step, notes); (0, None) if there is none.

        Raises:
            ValueError: none of those that exist can be read.
        """
        self.damaged = []
        steps = self.steps()
        for step in reversed(steps):
            try:
                self.checkpoint.read(str(self.folder / f"step-{step}")).assert_consumed()
                notes = json.loads(self.notes.numpy())
            except (tf.errors.OpError, AssertionError, IndexError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                print(f"checkpoint {self.folder / f'step-{step}'} cannot be read: {reason}", file=sys.stderr)
                continue
            for variable, copy in self.metrics:
                variable.assign(copy)
            self.damaged = steps[steps.index(step) + 1 :]  # renamed by the next `save`, once all have seen them
            return step, notes
        if steps:
            raise ValueError(f"none of the {len(steps)} checkpoints in {self.folder} can be read.")
        return 0, None
