"""The detection line, 2013 to 2017: from regions to classify to networks that propose them."""

from keras_cnns.detection.detect import detect, draw_boxes
from keras_cnns.detection.fast_rcnn import fast_rcnn, truncated_svd, with_deltas
from keras_cnns.detection.faster_rcnn import faster_rcnn
from keras_cnns.detection.faster_rcnn_training import FasterRCNNTraining, alternating_steps
from keras_cnns.detection.proposals import compute_proposals, read_proposals
from keras_cnns.detection.selective_search import selective_search
from keras_cnns.detection.sliding_window import box_regressor, locate, merge_boxes, sliding_window
from keras_cnns.detection.sppnet import sppnet, sppnet_detector
from keras_cnns.detection.yolo import yolo, yolo_classifier, yolo_detector

__all__ = [
    "FasterRCNNTraining",
    "alternating_steps",
    "box_regressor",
    "compute_proposals",
    "detect",
    "draw_boxes",
    "fast_rcnn",
    "faster_rcnn",
    "locate",
    "merge_boxes",
    "read_proposals",
    "selective_search",
    "sliding_window",
    "sppnet",
    "sppnet_detector",
    "truncated_svd",
    "with_deltas",
    "yolo",
    "yolo_classifier",
    "yolo_detector",
]
