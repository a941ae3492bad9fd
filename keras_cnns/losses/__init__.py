"""What the papers minimise, where Keras has it not."""

from keras_cnns.losses.colorization import ColourCrossEntropy, rebalancing_weights
from keras_cnns.losses.contrastive import info_nce, nt_xent
from keras_cnns.losses.detection import RoICrossEntropy, RoISmoothL1, smooth_l1
from keras_cnns.losses.gan import (
    discriminator_loss,
    minimax_generator_loss,
    minimax_value,
    non_saturating_generator_loss,
)
from keras_cnns.losses.masks import mask_loss
from keras_cnns.losses.rpn import rpn_loss
from keras_cnns.losses.segmentation import PixelCrossEntropy
from keras_cnns.losses.yolo import YOLOLoss

__all__ = [
    "ColourCrossEntropy",
    "PixelCrossEntropy",
    "RoICrossEntropy",
    "RoISmoothL1",
    "YOLOLoss",
    "discriminator_loss",
    "info_nce",
    "mask_loss",
    "minimax_generator_loss",
    "minimax_value",
    "non_saturating_generator_loss",
    "nt_xent",
    "rebalancing_weights",
    "rpn_loss",
    "smooth_l1",
]
