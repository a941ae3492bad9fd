"""RoIAlign: He et al., "Mask R-CNN", ICCV 2017, section 3."""

from collections.abc import Sequence

import keras

from keras_cnns.layers.unpooling import pair
from keras_cnns.ops.roi import roi_align


@keras.saving.register_keras_serializable(package="keras_cnns")
class RoIAlign(keras.layers.Layer):
    """Means of samples under each box: `RoIAlign(7, 1 / 16)(features, boxes)`, as `keras_cnns.ops.roi_align`.

    Features `(batch, height, width, channels)` and boxes `(batch, number, 4)`, in the image's pixels, to
    `(batch, number, h, w, channels)`. No gradient leads to the boxes.

    Args:
        output_size: (h, w), or a number for both.
        spatial_scale: cells of the map a pixel of the image.
        sampling_ratio: samples a bin along each side.
        aligned: a cell's value lies in its middle, and not, as in the authors' first code, at its corner.

    Raises:
        ValueError: an output without a bin, or a bin without a sample.
    """

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int = 2,
        aligned: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # bfloat16 has too few digits for a box
        if sampling_ratio < 1:
            raise ValueError(f"sampling_ratio is {sampling_ratio}; it must be at least 1.")
        self.output_size, self.spatial_scale = pair("output_size", output_size), spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def call(self, features, boxes):
        return roi_align(features, boxes, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def compute_output_shape(self, features_shape, boxes_shape):
        return (*boxes_shape[:2], *self.output_size, features_shape[-1])

    def compute_output_spec(self, features, boxes):
        return keras.KerasTensor(self.compute_output_shape(features.shape, boxes.shape), features.dtype)

    def get_config(self):
        settings = {name: getattr(self, name) for name in ("output_size", "spatial_scale", "sampling_ratio", "aligned")}
        return {**super().get_config(), **settings}
