"""What a reproduction declares."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from keras_cnns.data import Images
from keras_cnns.layers import Preprocessing


@dataclass(frozen=True)
class Claim:
    """A figure of the paper, and the rule, fixed before the run, by which ours decides it."""

    statement: str
    metric: str  # top1_error, top5_error (in %), of one of the final tests with its name before it: ten_crop_top1_error
    paper: float | None  # the paper's figure; None where no paper gives one
    at_most: float  # ours holds if it is at most this
    id: str = ""  # in the list of claims, where it has one

    def verdict(self, ours):
        return "holds" if ours <= self.at_most else "does not hold"


@dataclass
class Recipe:
    """One training run, as a paper describes it. Built under the runner's strategy."""

    model: keras.Model  # of logits; auxiliary heads come after them, and are not tested, saved or exported
    train: Images
    test: Images
    batch_size: int
    steps: int
    optimizer: keras.optimizers.Optimizer
    preprocessing: Preprocessing  # what the exported model does to a photograph
    claims: list[Claim]
    deviations: list[str] = field(default_factory=list)  # from the paper
    test_batch_size: int = 250
    final_tests: dict[str, Callable] = field(default_factory=dict)  # after the training: from the model to its errors
    loss_weights: list[float] | None = None  # of the outputs, where auxiliary heads learn the same labels
    loss: Callable = field(default_factory=lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True))
