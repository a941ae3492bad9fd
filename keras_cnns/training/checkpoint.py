"""Checkpoints from which a run goes on as if it had never stopped."""

import json
import re
import sys
from pathlib import Path

import tensorflow as tf


class Checkpoints:
    """The last checkpoints of a run: all state of the model, its metrics, its dropout seeds and its optimizer.

    A checkpoint counts only once its index file is in place, which TensorFlow writes last and moves into place, so a
    process killed at any moment leaves the one before it whole. The input pipeline has no state: a position is a
    number.

    Args:
        folder: where they lie; made if need be.
        model: compiled, its optimizer built.
        keep: number of checkpoints kept.
    """

    def __init__(self, folder, model, keep=2):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        variables = model.variables + model.metrics_variables + model.optimizer.variables
        self.notes = tf.Variable("", dtype=tf.string)
        values = {f"v{number}": variable.value for number, variable in enumerate(variables)}
        self.checkpoint = tf.train.Checkpoint(notes=self.notes, **values)
        self.keep = keep

    def save(self, step, notes):
        """Write a checkpoint of this step. notes: anything JSON holds, given back by `restore`."""
        self.notes.assign(json.dumps(notes))
        self.checkpoint.write(str(self.folder / f"step-{step}"))
        for old in self.steps()[: -self.keep]:
            for file in self.folder.glob(f"step-{old}.*"):
                file.unlink()

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
                    index.replace(index.with_suffix(".damaged"))
                return step, json.loads(self.notes.numpy())
            except (tf.errors.OpError, AssertionError, IndexError, ValueError) as error:
                reason = str(error).splitlines()[0]
                print(f"checkpoint {self.folder / f'step-{step}'} cannot be read: {reason}", file=sys.stderr)
        if steps:
            raise ValueError(f"none of the {len(steps)} checkpoints in {self.folder} can be read.")
        return 0, None
