"""The segmentation line, 2014 to 2017: classifiers made to label every pixel."""

from keras_cnns.segmentation.convolutionalize import convolutionalize

__all__ = ["convolutionalize"]
