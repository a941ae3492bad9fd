"""Layers that Keras lacks or has slower, one paper idea a file."""

from keras_cnns.layers.batch_normalization import BatchNormalization
from keras_cnns.layers.bilinear_upsampling import BilinearUpsampling, Crop
from keras_cnns.layers.local_response_normalization import LocalResponseNormalization
from keras_cnns.layers.locally_connected import LocallyConnected2D
from keras_cnns.layers.original_dropout import OriginalDropout
from keras_cnns.layers.padded_identity import PaddedIdentity
from keras_cnns.layers.preprocessing import Preprocessing
from keras_cnns.layers.pyramid import PyramidProposals, PyramidRoI, UpsampleAdd
from keras_cnns.layers.roi_align import RoIAlign
from keras_cnns.layers.roi_detections import RoIDetections
from keras_cnns.layers.roi_pooling import RoIPooling
from keras_cnns.layers.rois import EachRoI, MaskOfClass, RoIsOfImages
from keras_cnns.layers.rpn_proposals import RPNProposals
from keras_cnns.layers.spatial_pyramid_pooling import SpatialPyramidPooling
from keras_cnns.layers.two_towers import TowerConv2D
from keras_cnns.layers.unpooling import BedOfNailsUnpooling, MaxPoolingWithIndices, MaxUnpooling, NearestUnpooling
from keras_cnns.layers.yolo_detections import YOLODetections

__all__ = [
    "BatchNormalization",
    "BedOfNailsUnpooling",
    "BilinearUpsampling",
    "Crop",
    "EachRoI",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "MaskOfClass",
    "MaxPoolingWithIndices",
    "MaxUnpooling",
    "NearestUnpooling",
    "OriginalDropout",
    "PaddedIdentity",
    "Preprocessing",
    "PyramidProposals",
    "PyramidRoI",
    "RPNProposals",
    "RoIAlign",
    "RoIDetections",
    "RoIPooling",
    "RoIsOfImages",
    "SpatialPyramidPooling",
    "TowerConv2D",
    "UpsampleAdd",
    "YOLODetections",
]
