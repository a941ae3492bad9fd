"""Layers that Keras lacks or has slower, one paper idea a file."""

from keras_cnns.layers.batch_normalization import BatchNormalization
from keras_cnns.layers.local_response_normalization import LocalResponseNormalization
from keras_cnns.layers.original_dropout import OriginalDropout
from keras_cnns.layers.padded_identity import PaddedIdentity
from keras_cnns.layers.preprocessing import Preprocessing
from keras_cnns.layers.two_towers import TowerConv2D

__all__ = [
    "BatchNormalization",
    "LocalResponseNormalization",
    "OriginalDropout",
    "PaddedIdentity",
    "Preprocessing",
    "TowerConv2D",
]
