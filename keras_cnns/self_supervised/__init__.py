"""Features from images without labels, 2015 to 2020."""

from keras_cnns.self_supervised.embed import embed
from keras_cnns.self_supervised.encoder import encoder_of
from keras_cnns.self_supervised.moco import moco
from keras_cnns.self_supervised.rotation import rotation
from keras_cnns.self_supervised.simclr import simclr

__all__ = ["embed", "encoder_of", "moco", "rotation", "simclr"]
