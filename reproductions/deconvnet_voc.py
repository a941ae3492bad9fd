"""DeconvNet on Pascal VOC 2012: Noh et al., "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015.

    python -m reproductions.deconvnet_voc --data-dir DIR --initial imagenet --out runs/deconvnet_stage1
    python -m reproductions.deconvnet_voc --data-dir DIR --stage 2 --initial runs/deconvnet_stage1

Paper: mean IU 69.6 % on VOC 2012's test set, 50 proposals an image, without the ensemble and the CRF.
Stage 1 (20,000 steps) trains on single objects cut out, all around them background, stage 2 (40,000) on proposals with
every class in them. DIR holds VOC2012, or it is downloaded there. `--initial` is what the network starts from: a VGG-16
("imagenet", or a run's folder), then the run of stage 1. Wants GPUs.
"""

import sys

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns import deconvnet
from keras_cnns.arguments import check_choice
from keras_cnns.data import voc_masks
from keras_cnns.data.augmentation import random_crop, random_flip, subtract_mean
from keras_cnns.data.objects import object_crop, voc_objects
from keras_cnns.data.segmentation import VOID, both, image_alone, resize_both
from keras_cnns.evaluation import confusion_scores
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.segmentation import grid_boxes, segment_boxes
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import VGG_MEAN, labelling, score_claims, start_from

STEPS = {1: (20_000, 9_000), 2: (40_000, 10_000)}  # of a stage, and after which the learning rate falls to a tenth
OVERLAP = 0.5  # of a proposal with an object


def recipe(run, stage=1, initial=""):
    check_choice("--stage", stage, tuple(STEPS))
    if run.options.dataset:
        raise ValueError("--dataset would not be used; deconvnet_voc needs VOC's masks of single objects.")
    train, test = run.masks("VOC2012", lambda *each: (voc_objects if each[1] == "train" else voc_masks)(*each))
    if run.smoke:
        train = train.each(one_object)
    run.departures.append("VOC's own 1,464 training images; the paper's 12,031 include those of Hariharan et al.")
    run.departures.append("tested on VOC 2012's val images; the paper's figure is of the test set, which is not public")
    batch_size = run.batch_size(64, smoke=2)
    total, every = STEPS[stage]
    steps = run.steps(total, steps_per_epoch=len(train) // batch_size)
    model = deconvnet((224, 224, 3), classes=len(train.labels))
    preprocessing = Preprocessing(224, mean=VGG_MEAN)
    subtract = image_alone(subtract_mean(VGG_MEAN))
    part = object_crop(250) if stage == 1 else object_crop(250, alone=False, overlap=OVERLAP)
    tested = run.final(test)
    deviations = [
        start_from(model, initial),
        "biases learn at twice the rate and do not decay, as in the authors' release",
        "the mean IU after each epoch is of whole images scaled to 224x224; the test by proposals follows at the end, "
        "with boxes of a sliding grid in place of the 50 best edge boxes",
        "the classes are balanced by repeating objects once an epoch begins; the paper prints the number of examples",
    ]
    if stage == 2:
        deviations.append(f"proposals are drawn around the objects, of IoU {OVERLAP} or more, in place of edge boxes")
    return Recipe(
        model=model,
        train=train.each(part).map(both(random_crop(224)), both(random_flip), subtract),
        test=test.each(resize_both(224, 224)).map(subtract),
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(
            step_decay(0.01, at=[drop * steps // total for drop in range(every, total, every)]),
            momentum=0.9,
            l2=5e-4,
            undecayed=("bias",),
            doubled=("bias",),
        ),
        loss=PixelCrossEntropy(),
        preprocessing=preprocessing,
        test_batch_size=16,
        final_tests={"proposals": lambda model: by_proposals(model, tested, preprocessing, 1 if run.smoke else 4)},
        claims=score_claims("DeconvNet on VOC 2012, by proposals", {"mean_iu": 69.6}, "S5", "proposals"),
        deviations=deviations,
        **labelling(train.labels),
    )


def one_object(pair, key):
    """A pair with a mask as `voc_objects` has it: all that is not background is the object."""
    image, mask = pair
    return image, tf.stack([mask, tf.cast((mask > 0) & (mask < VOID), tf.uint8)], axis=-1)


def by_proposals(model, images, preprocessing, steps=4):
    """The scores of images of their own size, put together from the boxes of a grid (section 5.1, `grid_boxes`)."""
    classes, confusion = len(images.labels), 0
    for image, mask in tqdm(images.batches(1), "by proposals", len(images), unit="image", leave=False):
        boxes = grid_boxes(*mask.shape[1:], steps=steps)
        found = segment_boxes(model, image[0].numpy(), boxes, preprocessing).astype("int64")
        true = mask[0].numpy()
        pairs = (true.astype("int64") * classes + found)[true != VOID]
        confusion = confusion + np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return {**confusion_scores(confusion, images.labels), "images": len(images)}


if __name__ == "__main__":
    sys.exit(main(recipe))
