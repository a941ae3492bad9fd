"""Labelled images, the papers' augmentations, and batches that begin at any step."""

from keras_cnns.data.detection import (
    coco_boxes,
    digit_boxes,
    joined,
    tfds_boxes,
    voc_boxes,
)
from keras_cnns.data.instances import coco_instances, digit_instances, tfds_instances
from keras_cnns.data.pipeline import Images, statistics
from keras_cnns.data.segmentation import camvid, digit_masks, mask_folders, median_frequency_weights, voc_masks
from keras_cnns.data.sources import digits, folder_images, tfds_images

__all__ = [
    "Images",
    "camvid",
    "coco_boxes",
    "coco_instances",
    "digit_boxes",
    "digit_instances",
    "digit_masks",
    "digits",
    "folder_images",
    "joined",
    "mask_folders",
    "median_frequency_weights",
    "statistics",
    "tfds_boxes",
    "tfds_images",
    "tfds_instances",
    "voc_boxes",
    "voc_masks",
]
