"""Pure tensor functions: no weights, no state."""

from keras_cnns.ops.anchors import generate_anchors, grid_anchors
from keras_cnns.ops.boxes import (
    clip_boxes,
    decode_boxes,
    encode_boxes,
    generalised_iou,
    intersection_over_foreground,
    iou,
)
from keras_cnns.ops.decoding import decode_colour
from keras_cnns.ops.detections import detections
from keras_cnns.ops.masks import mask_targets, paste_masks
from keras_cnns.ops.nms import (
    batched_non_max_suppression,
    non_max_suppression,
    non_max_suppression_padded,
    non_max_suppression_per_class,
    non_max_suppression_per_class_padded,
    soft_non_max_suppression,
)
from keras_cnns.ops.pooling import spatial_pyramid_pool
from keras_cnns.ops.roi import pyramid_level, roi_align, roi_pool, warp_boxes
from keras_cnns.ops.rpn import label_anchors, propose, propose_over_levels, rpn_targets, sample_anchors
from keras_cnns.ops.segmentation import label_maps
from keras_cnns.ops.targets import best_matches, class_overlaps, overlap_labels, sample_rois
from keras_cnns.ops.yolo import cell_objects, split_cells, yolo_boxes

__all__ = [
    "batched_non_max_suppression",
    "best_matches",
    "cell_objects",
    "class_overlaps",
    "clip_boxes",
    "decode_boxes",
    "decode_colour",
    "detections",
    "encode_boxes",
    "generalised_iou",
    "generate_anchors",
    "grid_anchors",
    "intersection_over_foreground",
    "iou",
    "label_anchors",
    "label_maps",
    "mask_targets",
    "non_max_suppression",
    "non_max_suppression_padded",
    "non_max_suppression_per_class",
    "non_max_suppression_per_class_padded",
    "overlap_labels",
    "paste_masks",
    "propose",
    "propose_over_levels",
    "pyramid_level",
    "roi_align",
    "roi_pool",
    "rpn_targets",
    "sample_anchors",
    "sample_rois",
    "soft_non_max_suppression",
    "spatial_pyramid_pool",
    "split_cells",
    "warp_boxes",
    "yolo_boxes",
]
