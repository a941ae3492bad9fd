"""What the layers of detectors refuse when they are made, not when a photograph comes."""

import pytest

from keras_cnns.layers import MaskOfClass, PyramidProposals, RoIDetections, RPNProposals, YOLODetections
from keras_cnns.losses import mask_loss


@pytest.mark.parametrize(
    "layer",
    [
        lambda threshold: PyramidProposals([16], [[32]], iou_threshold=threshold),
        lambda threshold: RoIDetections(threshold),
        lambda threshold: RPNProposals(iou_threshold=threshold),
        lambda threshold: YOLODetections(3, (64, 64), threshold),
    ],
)
def test_a_threshold_that_is_no_share(layer):
    with pytest.raises(ValueError, match="iou_threshold is 30; it must be from 0 to 1"):
        layer(30)


def test_an_activation_that_masks_have_not():
    for make in (MaskOfClass, lambda activation: mask_loss(None, None, None, activation)):
        with pytest.raises(ValueError, match="activation is 'relu'; it must be one of 'sigmoid', 'softmax'"):
            make("relu")
