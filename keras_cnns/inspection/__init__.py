"""Looking into any Keras model."""

from keras_cnns.inspection.diagram import diagram
from keras_cnns.inspection.layer_table import Row, layer_table
from keras_cnns.inspection.receptive_field import (
    MeasuredField,
    ReceptiveField,
    measured_receptive_field,
    receptive_field,
)

__all__ = [
    "MeasuredField",
    "ReceptiveField",
    "Row",
    "diagram",
    "layer_table",
    "measured_receptive_field",
    "receptive_field",
]
