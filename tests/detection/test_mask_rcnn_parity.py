"""Mask R-CNN beside torchvision's, part by part, with its weights."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns import load_torchvision, mask_rcnn


@pytest.mark.slow
def test_what_does_not_fit_is_refused():
    small = {"classes": 2, "trunk": "resnet18", "proposals": 5}
    with pytest.raises(ValueError, match=r"it has no backbone\.body\.conv1\.weight for conv1"):
        load_torchvision(mask_rcnn(**small), {})
    with pytest.raises(ValueError, match='has the neck "c4"; torchvision has the other alone'):
        load_torchvision(mask_rcnn(neck="c4", **small), {})


@pytest.mark.slow
def test_the_parts_compute_what_torchvisions_do():
    torchvision = pytest.importorskip("torchvision")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    peer = torchvision.models.detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5).eval()
    for name, value in peer.state_dict().items():  # batch statistics that do something
        if "running_var" in name:
            value.uniform_(0.5, 1.5)
        elif "running_mean" in name or (name.endswith("bias") and "bn" in name):
            value.normal_(0, 0.1)
    with pytest.raises(ValueError, match='build it with stride_in="3x3"'):
        load_torchvision(mask_rcnn(classes=4, proposals=5), peer.state_dict())
    model = mask_rcnn(classes=4, stride_in="3x3", proposals=5)
    load_torchvision(model, peer.state_dict())
    random = np.random.default_rng(0)
    image = random.normal(size=(1, 128, 160, 3)).astype("float32")
    x1y1 = random.uniform(0, 60, (1, 12, 2))
    boxes = np.concatenate([x1y1, x1y1 + random.uniform(3, 68, (1, 12, 2))], axis=-1).astype("float32")
    boxes[0, 0] = [0, 0, 160, 128]

    with torch.no_grad():
        maps = peer.backbone(torch.from_numpy(image.transpose(0, 3, 1, 2)))
        scores, moves = peer.rpn.head(list(maps.values()))
        given = [torch.from_numpy(boxes[0])], [(128, 160)]
        logits, deltas = peer.roi_heads.box_predictor(
            peer.roi_heads.box_head(peer.roi_heads.box_roi_pool(maps, *given))
        )
        masks = peer.roi_heads.mask_predictor(peer.roi_heads.mask_head(peer.roi_heads.mask_roi_pool(maps, *given)))
    ours = [each.numpy().transpose(0, 3, 1, 2) for each in model.get_layer("features")(image)]
    for mine, theirs in zip(ours, [*maps.values(), *scores, *moves], strict=True):
        close(mine, theirs)
    levels = [tf.constant(each.numpy().transpose(0, 2, 3, 1)) for each in list(maps.values())[:4]]
    mine, at = model.get_layer("box_head")(model.get_layer("box_roi")(levels, boxes)[0])
    close(mine, logits)
    close(at, deltas)
    mine = model.get_layer("mask_head")(model.get_layer("mask_roi")(levels, boxes)[0])
    close(mine.numpy().transpose(0, 3, 1, 2), masks[:, 1:])


def close(ours, theirs):
    """To 1e-4 of the largest value."""
    theirs = theirs.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())
