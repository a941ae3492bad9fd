"""Checkpoints from which a run goes on as if it had never stopped."""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from keras_cnns.files import reason, sync
from keras_cnns.training.strategy import is_chief


class Checkpoints:
    """The last checkpoints of a run: all state of the model, its metrics, its dropout seeds and its optimizer.

    A checkpoint counts once its index file is there. It is written in a folder beside, and its files are moved from
    there when they are on the disk, the index last: a kill, a full disk or a power cut at any moment leaves the ones
    before it whole. The input pipeline has no state: a position is a number. Of the processes of a cluster, which must
    share the folder, each takes part in `save` and `restore`, and the chief alone writes there.

    Args:
        folder: where they lie; made if need be.
        model: compiled, its optimizer built.
        keep: number of checkpoints kept.
    """

    def __init__(self, folder, model, keep=2):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lasting = model.variables + model.optimizer.variables
        variables = model.variables + model.metrics_variables + model.optimizer.variables
        self.notes = tf.Variable("", dtype=tf.string)
        values = {f"v{number}": variable.value for number, variable in enumerate(variables)}
        self.checkpoint = tf.train.Checkpoint(notes=self.notes, **values)
        self.keep, self.chief = keep, is_chief(model.distribute_strategy)

    def save(self, step, notes):
        """Write a checkpoint of this step. notes: anything JSON holds, given back by `restore`.

        Raises:
            FloatingPointError: as `check_finite`.
            OSError: it could not be written, in one sentence that says why; those before it are kept.
        """
        self.check_finite(step)
        self.notes.assign(json.dumps(notes))
        if not self.chief:  # what is summed over the processes is read by all of them, or none could go on
            with tempfile.TemporaryDirectory() as scratch:
                self.checkpoint.write(f"{scratch}/step-{step}")
            return
        part = self.folder / "part"
        try:
            self.checkpoint.write(str(part / f"step-{step}"))
            files = sorted(part.glob(f"step-{step}.*"))  # the data before the index
            for file in files:
                sync(file)
            for file in files:
                file.replace(self.folder / file.name)
            sync(self.folder)
        except (OSError, tf.errors.OpError) as error:
            message = f"the checkpoint of step {step} could not be written in {self.folder}: {reason(error)}"
            raise OSError(f"{message}; {self.kept()}.") from error
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
        """The steps of the checkpoints that are complete, in order."""
        names = (re.fullmatch(r"step-(\d+)\.index", file.name) for file in self.folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def restore(self):
        """Restore the newest checkpoint that can be read, and return (step, notes); (0, None) if there is none.

        Raises:
            ValueError: none of those that exist can be read.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                self.checkpoint.read(str(self.folder / f"step-{step}")).assert_consumed()
                for damaged in steps[steps.index(step) + 1 :]:  # so that they do not count among those kept
                    index = self.folder / f"step-{damaged}.index"
                    if self.chief:
                        index.replace(index.with_suffix(".damaged"))
                return step, json.loads(self.notes.numpy())
            except (tf.errors.OpError, AssertionError, IndexError, ValueError) as error:
                reason = str(error).splitlines()[0]
                print(f"checkpoint {self.folder / f'step-{step}'} cannot be read: {reason}", file=sys.stderr)
        if steps:
            raise ValueError(f"none of the {len(steps)} checkpoints in {self.folder} can be read.")
        return 0, None
