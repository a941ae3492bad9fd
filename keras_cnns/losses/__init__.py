"""What the papers minimise, where Keras has it not."""

from keras_cnns.losses.rpn import rpn_loss
from keras_cnns.losses.segmentation import PixelCrossEntropy
from keras_cnns.losses.yolo import YOLOLoss

__all__ = ["PixelCrossEntropy", "YOLOLoss", "rpn_loss"]
