"""The detection line, 2013 to 2017: from regions to classify to networks that propose them."""

from keras_cnns.detection.box_regression import BoxRegressors, overlapping, train_box_regressors
from keras_cnns.detection.detect import detect, draw_boxes, draw_masks
from keras_cnns.detection.fast_rcnn import fast_rcnn, truncated_svd, with_deltas
from keras_cnns.detection.faster_rcnn import faster_rcnn, faster_rcnn_detector
from keras_cnns.detection.faster_rcnn_training import FasterRCNNTraining, alternating_steps
from keras_cnns.detection.features import Features
from keras_cnns.detection.mask_rcnn import mask_rcnn
from keras_cnns.detection.mask_rcnn_training import MaskRCNNTraining
from keras_cnns.detection.proposals import compute_proposals, read_proposals
from keras_cnns.detection.rcnn import rcnn, svm_detections, window_features
from keras_cnns.detection.selective_search import selective_search
from keras_cnns.detection.sliding_window import box_regressor, locate, merge_boxes, sliding_window
from keras_cnns.detection.sppnet import fully_connected_part, pyramid_features, sppnet, sppnet_detector
from keras_cnns.detection.svms import SVMs, train_svms
from keras_cnns.detection.yolo import yolo, yolo_classifier, yolo_detector

__all__ = [
    "BoxRegressors",
    "FasterRCNNTraining",
    "Features",
    "MaskRCNNTraining",
    "SVMs",
    "alternating_steps",
    "box_regressor",
    "compute_proposals",
    "detect",
    "draw_boxes",
    "draw_masks",
    "fast_rcnn",
    "faster_rcnn",
    "faster_rcnn_detector",
    "fully_connected_part",
    "locate",
    "mask_rcnn",
    "merge_boxes",
    "overlapping",
    "pyramid_features",
    "rcnn",
    "read_proposals",
    "selective_search",
    "sliding_window",
    "sppnet",
    "sppnet_detector",
    "svm_detections",
    "train_box_regressors",
    "train_svms",
    "truncated_svd",
    "window_features",
    "with_deltas",
    "yolo",
    "yolo_classifier",
    "yolo_detector",
]
