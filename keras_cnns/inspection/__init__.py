"""Looking into any Keras model."""

from keras_cnns.inspection.layer_table import Row, layer_table

__all__ = ["Row", "layer_table"]
