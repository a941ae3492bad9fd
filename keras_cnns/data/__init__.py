"""Labelled images, the papers' augmentations, and batches that begin at any step."""

from keras_cnns.data.detection import coco_boxes, digit_boxes, tfds_boxes, voc_boxes
from keras_cnns.data.pipeline import Images, statistics
from keras_cnns.data.segmentation import camvid, digit_masks, mask_folders, median_frequency_weights, voc_masks
from keras_cnns.data.sources import digits, folder_images, tfds_images

__all__ = [
    "Images",
    "camvid",
    "coco_boxes",
    "digit_boxes",
    "digit_masks",
    "digits",
    "folder_images",
    "mask_folders",
    "median_frequency_weights",
    "statistics",
    "tfds_boxes",
    "tfds_images",
    "voc_boxes",
    "voc_masks",
]
