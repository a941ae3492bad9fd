"""Labelled images, the papers' augmentations, and batches that begin at any step."""

from keras_cnns.data.pipeline import Images, statistics
from keras_cnns.data.sources import digits, folder_images, tfds_images

__all__ = ["Images", "digits", "folder_images", "statistics", "tfds_images"]
