"""The segmentation line, 2014 to 2017: classifiers made to label every pixel."""

from keras_cnns.classification.convolutionalize import convolutionalize
from keras_cnns.segmentation.deconvnet import deconvnet
from keras_cnns.segmentation.fcn import fcn8s, fcn16s, fcn32s
from keras_cnns.segmentation.segment import grid_boxes, segment, segment_boxes
from keras_cnns.segmentation.segnet import segnet, segnet_basic

__all__ = [
    "convolutionalize",
    "deconvnet",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "grid_boxes",
    "segment",
    "segment_boxes",
    "segnet",
    "segnet_basic",
]
