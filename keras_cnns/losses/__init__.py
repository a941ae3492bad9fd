"""What the papers minimise, where Keras has it not."""

from keras_cnns.losses.detection import RoICrossEntropy, RoISmoothL1, smooth_l1
from keras_cnns.losses.gan import (
    discriminator_loss,
    minimax_generator_loss,
    minimax_value,
    non_saturating_generator_loss,
)
from keras_cnns.losses.segmentation import PixelCrossEntropy

__all__ = [
    "PixelCrossEntropy",
    "RoICrossEntropy",
    "RoISmoothL1",
    "discriminator_loss",
    "minimax_generator_loss",
    "minimax_value",
    "non_saturating_generator_loss",
    "smooth_l1",
]
