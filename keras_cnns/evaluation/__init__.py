"""What the papers measure."""

from keras_cnns.evaluation.classification import at_scales, classification_errors
from keras_cnns.evaluation.detection import RoIAccuracy, coco_scores, voc_scores
from keras_cnns.evaluation.generative import (
    frechet_distance,
    linear_probe,
    parzen_estimate,
    parzen_log_likelihoods,
    pooled_features,
    variety,
)
from keras_cnns.evaluation.instances import coco_mask_scores
from keras_cnns.evaluation.proposals import best_overlaps, coverage, proposal_scores
from keras_cnns.evaluation.segmentation import PixelAccuracy, boundary_f1, confusion_scores, segmentation_scores

__all__ = [
    "PixelAccuracy",
    "RoIAccuracy",
    "at_scales",
    "best_overlaps",
    "boundary_f1",
    "classification_errors",
    "coco_mask_scores",
    "coco_scores",
    "confusion_scores",
    "coverage",
    "frechet_distance",
    "linear_probe",
    "parzen_estimate",
    "parzen_log_likelihoods",
    "pooled_features",
    "proposal_scores",
    "segmentation_scores",
    "variety",
    "voc_scores",
]
