"""RoI pooling: Girshick, "Fast R-CNN", ICCV 2015, section 2.1."""

from collections.abc import Sequence

import keras

from keras_cnns.layers.unpooling import pair
from keras_cnns.ops.roi import roi_pool


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoIPooling(keras.layers.Layer):
    """The maxima of h x w bins under each box: `RoIPooling(7, 1 / 16)(features, boxes)`, as `keras_cnns.ops.roi_pool`.

    Features `(batch, height, width, channels)` and boxes `(batch, number, 4)`, in the image's pixels, to
    `(batch, number, h, w, channels)`. No gradient leads to the boxes.

    Args:
        output_size: (h, w), or a number for both.
        spatial_scale: cells of the map a pixel of the image.

    Raises:
        ValueError: an output without a bin.
    """

    def __init__(self, output_size: int | Sequence[int], spatial_scale: float, **kwargs):
        super().__init__(autocast=False, **kwargs)  # bfloat16 has too few digits for a box
        self.output_size, self.spatial_scale = pair("output_size", output_size), spatial_scale

    def call(self, features, boxes):
        return roi_pool(features, boxes, self.output_size, self.spatial_scale)

    def compute_output_shape(self, features_shape, boxes_shape):
        return (*boxes_shape[:2], *self.output_size, features_shape[-1])

    def compute_output_spec(self, features, boxes):
        return keras.KerasTensor(self.compute_output_shape(features.shape, boxes.shape), features.dtype)

    def get_config(self):
        return {**super().get_config(), "output_size": self.output_size, "spatial_scale": self.spatial_scale}
