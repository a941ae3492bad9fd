"""What the papers measure."""

from keras_cnns.evaluation.classification import at_scales, classification_errors

__all__ = ["at_scales", "classification_errors"]
