"""What the papers minimise, where Keras has it not."""

from keras_cnns.losses.segmentation import PixelCrossEntropy
from keras_cnns.losses.yolo import YOLOLoss

__all__ = ["PixelCrossEntropy", "YOLOLoss"]
