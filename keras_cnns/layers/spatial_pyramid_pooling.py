"""Spatial pyramid pooling: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", PAMI 2015."""

from collections.abc import Sequence

import keras

from keras_cnns.ops.pooling import spatial_pyramid_pool


@keras.saving.register_keras_serializable(package="keras_cnns")
class SpatialPyramidPooling(keras.layers.Layer):
    """A vector of fixed length from a map of any size: the maxima of n x n bins for each level n.

    `(batch, height, width, channels)` to `(batch, bins * channels)`; called with `windows`, `(batch, number, 4)` whole
    cells (x1, y1, x2, y2) of the map, int32, the ends exclusive, to `(batch, number, bins * channels)`. Which pixels a
    bin has: `keras_cnns.ops.spatial_pyramid_pool`.

    Args:
        levels: the n of each level: (6, 3, 2, 1) makes the paper's 50 bins, (4, 3, 2, 1) its 30 (section 3.1).

    Raises:
        ValueError: no level, or one without a bin.
    """

    def __init__(self, levels: Sequence[int] = (6, 3, 2, 1), **kwargs):
        super().__init__(**kwargs)
        self.levels = tuple(levels)
        if not self.levels or not all(type(n) is int and n >= 1 for n in self.levels):
            raise ValueError(f"levels is {levels!r}; it must be one or more whole numbers of at least 1.")

    def call(self, features, windows=None):
        return spatial_pyramid_pool(features, self.levels, windows)

    def compute_output_shape(self, features_shape, windows_shape=None):
        length = features_shape[-1] * sum(n * n for n in self.levels)
        return (*(features_shape[:1] if windows_shape is None else windows_shape[:2]), length)

    def compute_output_spec(self, features, windows=None):
        shape = self.compute_output_shape(features.shape, None if windows is None else windows.shape)
        return keras.KerasTensor(shape, features.dtype)

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
