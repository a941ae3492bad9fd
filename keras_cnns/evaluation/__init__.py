"""What the papers measure."""

from keras_cnns.evaluation.classification import classification_errors

__all__ = ["classification_errors"]
