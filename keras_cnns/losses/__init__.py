"""What the papers minimise, where Keras has it not."""

from keras_cnns.losses.segmentation import PixelCrossEntropy

__all__ = ["PixelCrossEntropy"]
