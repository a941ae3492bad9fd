"""Optimizers, schedules, devices, checkpoints and the loop."""

from keras_cnns.training.accumulation import small_memory_step
from keras_cnns.training.adversarial import AdversarialModel
from keras_cnns.training.averages import averaged_weights
from keras_cnns.training.checkpoint import Checkpoints
from keras_cnns.training.constraints import MaxRMS, limit_filters
from keras_cnns.training.lars import LARS
from keras_cnns.training.loop import train
from keras_cnns.training.optimizers import SGD, Adam
from keras_cnns.training.population import population_statistics
from keras_cnns.training.schedules import plateaus, step_decay
from keras_cnns.training.strategy import JIT_COMPILE, agree, is_chief, mirrored, strategy_here, workers

__all__ = [
    "JIT_COMPILE",
    "LARS",
    "SGD",
    "Adam",
    "AdversarialModel",
    "Checkpoints",
    "MaxRMS",
    "agree",
    "averaged_weights",
    "is_chief",
    "limit_filters",
    "mirrored",
    "plateaus",
    "population_statistics",
    "small_memory_step",
    "step_decay",
    "strategy_here",
    "train",
    "workers",
]
