"""Features from images without labels, 2015 to 2020."""

from keras_cnns.self_supervised.colorization import colorization, colorize
from keras_cnns.self_supervised.context_prediction import context_prediction
from keras_cnns.self_supervised.embed import embed
from keras_cnns.self_supervised.encoder import encoder_of, maps_of
from keras_cnns.self_supervised.jigsaw import jigsaw
from keras_cnns.self_supervised.moco import moco
from keras_cnns.self_supervised.rotation import rotation
from keras_cnns.self_supervised.simclr import simclr

__all__ = [
    "colorization",
    "colorize",
    "context_prediction",
    "embed",
    "encoder_of",
    "jigsaw",
    "maps_of",
    "moco",
    "rotation",
    "simclr",
]
