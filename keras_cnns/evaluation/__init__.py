"""What the papers measure."""

from keras_cnns.evaluation.classification import at_scales, classification_errors
from keras_cnns.evaluation.colorization import colour_scores
from keras_cnns.evaluation.detection import RoIAccuracy, coco_scores, voc_scores
from keras_cnns.evaluation.generative import (
    frechet_distance,
    parzen_estimate,
    parzen_log_likelihoods,
    pooled_features,
    svm_scores,
    variety,
)
from keras_cnns.evaluation.instances import coco_mask_scores
from keras_cnns.evaluation.proposals import best_overlaps, coverage, proposal_scores
from keras_cnns.evaluation.representation import (
    balanced_subset,
    draw_points,
    features_of,
    fine_tune,
    gallery,
    knn_accuracy,
    linear_probe,
    nearest_neighbours,
    tsne,
)
from keras_cnns.evaluation.segmentation import PixelAccuracy, boundary_f1, confusion_scores, segmentation_scores

__all__ = [
    "PixelAccuracy",
    "RoIAccuracy",
    "at_scales",
    "balanced_subset",
    "best_overlaps",
    "boundary_f1",
    "classification_errors",
    "coco_mask_scores",
    "coco_scores",
    "colour_scores",
    "confusion_scores",
    "coverage",
    "draw_points",
    "features_of",
    "fine_tune",
    "frechet_distance",
    "gallery",
    "knn_accuracy",
    "linear_probe",
    "nearest_neighbours",
    "parzen_estimate",
    "parzen_log_likelihoods",
    "pooled_features",
    "proposal_scores",
    "segmentation_scores",
    "svm_scores",
    "tsne",
    "variety",
    "voc_scores",
]
