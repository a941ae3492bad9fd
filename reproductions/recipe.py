"""What a reproduction declares."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from keras_cnns.data import Images
from keras_cnns.evaluation import classification_errors
from keras_cnns.layers import Preprocessing
from reproductions.pictures import save_test_images


@dataclass(frozen=True)
class Claim:
    """A figure of the paper, and the rule, fixed before the run, by which ours decides it."""

    statement: str
    metric: str  # of the figures in %, of one of the final tests with its name before it: ten_crop_top1_error
    paper: float | None  # the paper's figure; None where no paper gives one
    at_most: float | None = None  # ours holds if it is at most this, an error,
    id: str = ""  # in the list of claims, where it has one
    at_least: float | None = None  # or at least this, a score; one of the two

    def verdict(self, ours):
        holds = ours <= self.at_most if self.at_least is None else ours >= self.at_least
        return "holds" if holds else "does not hold"

    @property
    def rule(self):
        return f"at most {self.at_most:g}" if self.at_least is None else f"at least {self.at_least:g}"


@dataclass
class Recipe:
    """One training run, as a paper describes it. Built under the runner's strategy."""

    model: keras.Model  # of logits; auxiliary heads come after them, and are not tested, saved or exported
    train: Images
    test: Images
    batch_size: int
    steps: int
    optimizer: keras.optimizers.Optimizer | tuple  # several: the arguments of the model's own `compile`
    preprocessing: Preprocessing  # what the exported model does to a photograph; a generator's undoes it
    claims: list[Claim]
    deviations: list[str] = field(default_factory=list)  # from the paper
    test_batch_size: int = 250
    final_tests: dict[str, Callable] = field(default_factory=dict)  # after the training: from the model to its errors
    loss_weights: list[float] | None = None  # of the outputs, where auxiliary heads learn the same labels
    loss: Callable = field(default_factory=lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Of the training; one is named accuracy, but of detectors.
    metrics: list = field(default_factory=lambda: ["accuracy"])
    # Of a detector of given boxes both are lists, one for each output, and this is tested, saved and exported for it.
    tested: keras.Model | None = None
    # Whether it is tested, saved and exported with batch normalisation's statistics of the whole training set.
    population: bool = False
    # What is not classification has its own test after each epoch, from (model, batches) to figures with a loss among
    # them; the one of them that is drawn, an error or a score; and pictures, written by (model, test images, folder).
    test_figures: Callable = classification_errors
    curve: str = "top1_error"
    examples: Callable = save_test_images
    exported: Callable = lambda model: model  # from the trained network to the one that is kept, drawn and exported
    encoder: bool = False  # whether that one gives features, which have no labels, and not logits
