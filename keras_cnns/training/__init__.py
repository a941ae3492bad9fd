"""Optimizers, schedules, devices, checkpoints and the loop."""

from keras_cnns.training.averages import averaged_weights
from keras_cnns.training.checkpoint import Checkpoints
from keras_cnns.training.constraints import MaxRMS, limit_filters
from keras_cnns.training.loop import train
from keras_cnns.training.optimizers import SGD
from keras_cnns.training.schedules import plateaus, step_decay
from keras_cnns.training.strategy import JIT_COMPILE, mirrored

__all__ = [
    "JIT_COMPILE",
    "SGD",
    "Checkpoints",
    "MaxRMS",
    "averaged_weights",
    "limit_filters",
    "mirrored",
    "plateaus",
    "step_decay",
    "train",
]
