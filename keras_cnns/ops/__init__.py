"""Pure tensor functions: no weights, no state."""

from keras_cnns.ops.boxes import (
    clip_boxes,
    decode_boxes,
    encode_boxes,
    generalised_iou,
    intersection_over_foreground,
    iou,
)
from keras_cnns.ops.decoding import decode_colour
from keras_cnns.ops.nms import (
    batched_non_max_suppression,
    non_max_suppression,
    non_max_suppression_padded,
    non_max_suppression_per_class,
    non_max_suppression_per_class_padded,
    soft_non_max_suppression,
)
from keras_cnns.ops.pooling import spatial_pyramid_pool
from keras_cnns.ops.roi import roi_pool
from keras_cnns.ops.segmentation import label_maps

__all__ = [
    "batched_non_max_suppression",
    "clip_boxes",
    "decode_boxes",
    "decode_colour",
    "encode_boxes",
    "generalised_iou",
    "intersection_over_foreground",
    "iou",
    "label_maps",
    "non_max_suppression",
    "non_max_suppression_padded",
    "non_max_suppression_per_class",
    "non_max_suppression_per_class_padded",
    "roi_pool",
    "soft_non_max_suppression",
    "spatial_pyramid_pool",
]
