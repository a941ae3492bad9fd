"""Mask R-CNN on COCO 2017: He et al., "Mask R-CNN", ICCV 2017, sections 3 and 4.

    python -m reproductions.mask_rcnn_coco --data-dir DIR --initial RUN

Paper: mask AP 33.6 % on minival with ResNet-50 and the feature pyramid, 30.3 % with `--neck c4`; after 160,000 steps of
16 images. Box AP is not printed for these; Detectron's shorter schedule has 37.7.
DIR is COCO's folder (`annotations/instances_train2017.json`, `train2017`, ...), any other with `instances_train.json`,
`train`, `instances_val.json` and `val`, or TensorFlow Datasets' folder, whose `coco/2017_panoptic` has masks.
`--initial` is a run's folder or its .keras file, of the trunk trained on ImageNet: its batch normalisation then stays
as it is. Without it all start at random. `--roi-operation pool` and `--mask-activation softmax` are what Table 2
compares with; `--shorter` and `--rois` are pixels of an image's shorter side and boxes of an image that the heads learn
from, by default the paper's. Images of different sizes are padded to the largest of their batch. Wants GPUs.
"""

import sys
from functools import partial

import numpy as np
from tqdm import tqdm

from keras_cnns import load_layers
from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import scale_objects, size_among_objects
from keras_cnns.data.instances import instance_truth as truth_of
from keras_cnns.data.instances import objects_alone, random_flip_instances, whole_masks
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import MaskRCNNTraining, detect, draw_masks, mask_rcnn
from keras_cnns.evaluation import coco_mask_scores, coco_scores
from keras_cnns.export import load_source
from keras_cnns.layers import BatchNormalization, Preprocessing
from keras_cnns.training import SGD, step_decay
from reproductions.detection import EVERY_EPOCH, MEAN, SOME_TESTED
from reproductions.pictures import save_page, write_png
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main

MASK_AP = {"fpn": 33.6, "c4": 30.3}  # Table 2a, ResNet-50
ROIS = {"fpn": 512, "c4": 64}  # section 3.1
SMOKE_IMAGES, SMOKE_SIDE = (16, 4), 96


def recipe(
    run,
    neck="fpn",
    trunk="resnet50",
    roi_operation="align",
    mask_activation="sigmoid",
    initial="",
    shorter=800,
    rois=0,
):
    check_choice("--neck", neck, tuple(MASK_AP))
    train, test = run.instances("coco/2017_panoptic")
    if run.smoke:
        train, test = (images.take(count) for images, count in zip((train, test), SMOKE_IMAGES, strict=True))
        shorter, rois = SMOKE_SIDE, rois or 16
    elif shorter != 800:
        run.departures.append(f"a shorter side of {shorter} pixels instead of 800")
    if rois and rois != ROIS[neck] and not run.smoke:
        run.departures.append(f"{rois} boxes an image instead of {ROIS[neck]}")
    longest = round(shorter * 1333 / 800)
    batch_size = run.batch_size(16, smoke=2)
    steps = run.steps(160_000, steps_per_epoch=len(train) // batch_size)

    settings = {"neck": neck, "trunk": trunk, "roi_operation": roi_operation, "mask_activation": mask_activation}
    network = mask_rcnn(classes=len(train.labels), **settings)
    said = "all layers start at random"
    if initial:
        earlier = load_source(initial)[0]
        said = f"the trunk started from {earlier.name}, whose batch normalisation stays as it is"
        for part in ("features", "res5") if neck == "c4" else ("features",):  # of C4 the last stage is in the head
            load_layers(network.get_layer(part), earlier)
            for layer in network.get_layer(part).layers:
                layer.trainable = not isinstance(layer, BatchNormalization)

    scale, subtract = scale_objects(shorter, longest), image_alone(subtract_mean(MEAN))
    preprocessing = Preprocessing(None, shorter, MEAN, longest_side=longest)
    statement = f"Mask R-CNN, {trunk}, {neck}, on COCO: mask AP, %"
    return Recipe(
        model=MaskRCNNTraining(network, rois or ROIS[neck], seed=run.seed, name="mask_rcnn"),
        tested=network,
        train=train.each(
            random_flip_instances, objects_alone(scale), subtract, objects_alone(size_among_objects)
        ).padded(),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(
            step_decay(0.02 * batch_size / 16, at=(steps * 3 // 4,), warm_up=(0.02 * batch_size / 48, steps // 100)),
            momentum=0.9,
            l2=1e-4,
            undecayed=("bias", "gamma", "beta"),
        ),
        loss=None,
        metrics=None,
        preprocessing=preprocessing,
        final_tests={"coco": lambda model: instance_scores(model, test, preprocessing)},
        claims=[Claim(statement, "coco_mask_ap", MASK_AP[neck], id="B9", at_least=round(MASK_AP[neck] - 0.5, 2))],
        deviations=[said, *DEVIATIONS],
        test_figures=lambda model, _: instance_scores(model, test, preprocessing, EVERY_EPOCH),
        curve="mask_ap50",
        examples=partial(save_instances, preprocessing=preprocessing),
    )


DEVIATIONS = [
    "a learning rate that grows over the first hundredth of the steps, Detectron's, and is proportional to the batch",
    "neither biases nor batch normalisation decay; the paper does not say",
    "crowds are no objects to learn from, and boxes on them count as background",
    SOME_TESTED,
]


def found_and_true(model, images, preprocessing, count=None):
    """What is found in each image, by `detect`, and what is there, masks in the images' sizes; and the photographs."""
    stride = max(len(images) // count, 1) if count else 1
    batches = whole_masks(images).batches(1).shard(stride, 0)
    for photo, (objects, counts) in tqdm(batches, "detection", -(-len(images) // stride), unit="image", leave=False):
        photo = photo[0].numpy()
        (found,) = detect(model, [photo], preprocessing)
        yield found, truth_of(objects[0], counts[0], photo.shape[:2]), photo


def instance_scores(model, images, preprocessing, count=None):
    """COCO's average precisions of masks and boxes, `mask_ap`, `mask_ap50`, ..., `box_ap`, ..., and how many `images`.

    count: how many of the images, spread evenly; by default all.
    """
    found, there, _ = zip(*found_and_true(model, images, preprocessing, count), strict=True)
    scores = {"images": len(found)}
    for kind, score in (("mask", coco_mask_scores), ("box", coco_scores)):
        scores |= {f"{kind}_{name}": value for name, value in score(found, there, images.labels).items()}
    return scores


def save_instances(model, images, folder, preprocessing, count=4):
    """Write test images, and a page of them with what is there and what is found."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, (found, there, photo) in enumerate(found_and_true(model, images, preprocessing, count)):
        rows.append(side_by_side(photo, there, found, images.labels))
        write_png(folder / f"{number}.png", photo)
    save_page(rows, folder / "examples.png")


def side_by_side(photo, there, found, labels):
    """An image with the masks that are there, and with those that are found and score at least a half."""
    from pycocotools import mask as coco

    masks = [coco.decode(each).astype(bool) for each in there["masks"]]
    there = {**there, "masks": np.array(masks).reshape(-1, *photo.shape[:2])}
    sure = {name: each[found["scores"] >= 0.5] for name, each in found.items()}
    return [draw_masks(photo, each, labels) for each in (there, sure)]


if __name__ == "__main__":
    sys.exit(main(recipe))
