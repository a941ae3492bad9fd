"""Looking into any Keras model."""

from keras_cnns.inspection.class_activation import class_activation_map
from keras_cnns.inspection.diagram import diagram
from keras_cnns.inspection.feature_maps import Strongest, feature_maps, strongest_activations
from keras_cnns.inspection.invariance import invariance
from keras_cnns.inspection.layer_table import Row, layer_table
from keras_cnns.inspection.occlusion import Occlusion, occlusion
from keras_cnns.inspection.projection import project_back
from keras_cnns.inspection.receptive_field import (
    MeasuredField,
    ReceptiveField,
    measured_receptive_field,
    receptive_field,
)
from keras_cnns.inspection.saliency import guided_backpropagation, saliency

__all__ = [
    "MeasuredField",
    "Occlusion",
    "ReceptiveField",
    "Row",
    "Strongest",
    "class_activation_map",
    "diagram",
    "feature_maps",
    "guided_backpropagation",
    "invariance",
    "layer_table",
    "measured_receptive_field",
    "occlusion",
    "project_back",
    "receptive_field",
    "saliency",
    "strongest_activations",
]
