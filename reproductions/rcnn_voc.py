"""R-CNN on Pascal VOC 2007: Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection", CVPR 2014.

    python -m reproductions.rcnn_voc --data-dir DIR --initial runs/alexnet_imagenet
    python -m reproductions.rcnn_voc --data-dir DIR --initial imagenet --trunk vgg16 --out runs/rcnn_vgg16
    python -m reproductions.rcnn_voc --data-dir DIR --initial runs/alexnet_imagenet --stage svm

Paper: mAP 54.2 % on VOC 2007's test set with AlexNet's features, 58.5 % with bounding-box regression, 66.0 % with
VGG-16's; 13 s an image on a GPU, 53 s on a CPU.
The stages, one after another: proposals (2,000 boxes by selective search), finetune (the network, to 20 classes and the
background), features (fc7 of all boxes, to the disk), pooled (pool5 of those that overlap an object), svm, regression,
test. One that is done is not done again, and one that was stopped goes on where it was.
DIR is TensorFlow Datasets' folder, where voc/2007 is prepared or to which it is downloaded, or a folder in Pascal VOC's
layout. Wants a GPU, and room for 2,000 features of 8 KB a photo: 82 GB for VOC 2007, told before they are computed.
"""

import functools
import sys

from keras_cnns.data.windows import warp_window, windows
from keras_cnns.detection import rcnn, window_features
from keras_cnns.detection.rcnn import CONTEXT
from keras_cnns.training import SGD, step_decay
from reproductions import region_figures
from reproductions.region_figures import WAYS
from reproductions.regions import REGRESSION, Pipeline, ap_claims, main
from reproductions.segmentation import VGG_MEAN, start_from

draw = region_figures.draw  # for RESULTS.md
PAPER = {  # mAP, %, VOC 2007
    "alexnet": dict(zip(WAYS, (54.2, 58.5), strict=True)),
    "vgg16": {WAYS[1]: 66.0},
}
DEVIATIONS = (
    "the network is AlexNet as its paper has it; R-CNN's pools before it normalises",
    "the new layer learns as fast as the others, in the release ten times as fast; the paper names one rate",
    "70,000 steps, those of the released model; the paper prints none",
    REGRESSION,
)


def network(classes, options, trunk):
    model = rcnn(classes=classes, trunk=trunk)
    return model, start_from(model, options.initial)


def window_training(work, model, context=CONTEXT):
    """Windows of 32 objects and 96 of the background in a batch of 128, of all photos, half of them mirrored."""
    warp = warp_window(model.input_shape[1], context, VGG_MEAN, flip=True)
    images = windows(work.train_photos, work.labels, work.data[0].name).jpeg("accurate").each(warp)

    def batches(epoch, skip, count):
        order = {"shuffle": True, "drop_remainder": True, "seed": work.options.seed, "epoch": epoch}
        return images.batches(work.batch_size, skip=skip, count=count, **order)

    return model, batches, len(images) // work.batch_size


def optimizer(steps):
    """Section 2.3: "a learning rate of 0.001 (1/10th of the initial pre-training rate)"; the rest is its code's."""
    drops = [steps * thousands // 70 for thousands in (20, 40, 60)]
    return SGD(step_decay(0.001, at=drops), momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",))


def pooled_alone(model, context=CONTEXT):
    features = window_features(model, context, names=("flatten",))
    return lambda photo, boxes: features(photo, boxes)[0]


def widths(model):
    return [model.get_layer(name).output.shape[-1] for name in ("flatten", "fc7")]


def pipeline(trunk="alexnet"):
    return Pipeline(
        stages=("proposals", "finetune", "features", "pooled", "svm", "regression", "test"),
        network=functools.partial(network, trunk=trunk),
        training=window_training,
        optimizer=optimizer,
        steps=70_000,
        features=window_features,
        pooled=pooled_alone,
        widths=widths,
        kept=0.6,
        lowest=0.6,  # appendix C
        claims=ap_claims("B4", f"R-CNN, {trunk}, on VOC 2007", PAPER[trunk]),
        deviations=DEVIATIONS if trunk == "alexnet" else DEVIATIONS[1:],
    )


if __name__ == "__main__":
    sys.exit(main(pipeline))
