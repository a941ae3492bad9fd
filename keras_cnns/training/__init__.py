"""Optimizers, schedules, devices, checkpoints and the loop."""

from keras_cnns.training.checkpoint import Checkpoints
from keras_cnns.training.loop import train
from keras_cnns.training.optimizers import SGD
from keras_cnns.training.schedules import step_decay
from keras_cnns.training.strategy import JIT_COMPILE, mirrored

__all__ = ["JIT_COMPILE", "SGD", "Checkpoints", "mirrored", "step_decay", "train"]
