"""SPPNet detects on Pascal VOC 2007: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", PAMI 2015.

    python -m reproductions.sppnet_voc --data-dir DIR --initial runs/zfnet_imagenet
    python -m reproductions.sppnet_voc --data-dir DIR --initial runs/zfnet_imagenet --stage svm regression test

Paper: section 4: mAP 59.2 % on VOC 2007's test set with five scales, 58.0 % with one (`--scales 688`), both with
fine-tuned fc7 and bounding-box regression; the convolutions take 0.053 s an image (R-CNN's 14.37), 0.293 s at five.
The stages are R-CNN's (`rcnn_voc`), but pooled comes first: the pyramid's features of the boxes that overlap an object
by 0.1 or more are kept on the disk, and from these the fully connected layers alone are fine-tuned. They take 25 KB a
box, up to 256 GB for VOC 2007; the size is told before they are computed. `--initial` is the folder of a run of
`zfnet_imagenet`, whose convolutions these are, or of SPPNet as a classifier.
DIR is TensorFlow Datasets' folder, where voc/2007 is prepared or to which it is downloaded, or a folder in Pascal VOC's
layout. Wants a GPU.
"""

import functools
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_cnns import load_layers
from keras_cnns.data.windows import one_in_four, window_labels
from keras_cnns.detection import fully_connected_part, pyramid_features, sppnet_detector
from keras_cnns.detection.sppnet import SCALES
from keras_cnns.export import load_source
from keras_cnns.training import SGD, step_decay
from reproductions import region_figures
from reproductions.region_figures import WAYS
from reproductions.region_stages import complete
from reproductions.regions import REGRESSION, Pipeline, ap_claims, main
from reproductions.segmentation import start_from

draw = region_figures.draw  # for RESULTS.md
PAPER = {SCALES: {WAYS[1]: 59.2}, (688,): {WAYS[1]: 58.0}}  # mAP, %, by the scales
ALL_SCALES = ",".join(map(str, SCALES))
BACKGROUND = (0.1, 0.5)


def network(classes, options):
    """ZFNet gives its five convolutions, SPPNet as a classifier the fully connected layers too."""
    model = sppnet_detector(classes=classes)
    if not options.initial or "spp" in [layer.name for layer in load_source(options.initial)[0].layers]:
        return model, start_from(model, options.initial)
    earlier = load_source(options.initial)[0]
    load_layers(model, keras.Model(earlier.inputs, earlier.get_layer("conv5").output, name=earlier.name))
    return model, f"convolutions started from {earlier.name}; fc6, fc7 and fc8_pascal start anew"


def pooled_training(work, model):
    """A quarter of boxes that overlap an object by a half or more, the others by 0.1 to 0.5, from their features."""
    features, photos = complete(work.pooled_features, "pooled"), work.train_photos
    labels = [each[rows] for each, rows in zip(window_labels(photos, BACKGROUND), work.chosen, strict=True)]
    labels = np.concatenate(labels).astype("int64")

    def batches(epoch, skip, count):
        def read(rows):
            values = tf.numpy_function(features.rows, [rows], tf.float32)
            return tf.ensure_shape(values, (work.batch_size, features.width)), tf.gather(labels, rows)

        order = one_in_four(labels, [work.options.seed, epoch])
        numbers = tf.data.Dataset.from_tensor_slices(order).batch(work.batch_size, drop_remainder=True)
        return numbers.skip(skip).take(count).map(read).prefetch(2)

    return fully_connected_part(model), batches, len(one_in_four(labels, 0)) // work.batch_size


def optimizer(steps):
    """Section 4: "250k mini-batches with the learning rate 1e-4, and then 50k mini-batches with 1e-5"."""
    return SGD(step_decay(1e-4, at=(steps * 5 // 6,)), momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",))


def both_features(model, scales):
    pooled, fc7 = pyramid_features(model, scales), fully_connected_part(model, last="fc7")

    @tf.function(input_signature=[tf.TensorSpec((None, fc7.input_shape[-1]))])
    def of_pooled(values):
        return tf.cast(fc7(values, training=False), tf.float32)

    def features(photo, boxes):
        values = pooled(photo, boxes)
        return [values, of_pooled(values).numpy()]

    return features


def widths(model):
    return [model.get_layer(name).output.shape[-1] for name in ("spp", "fc7")]


def pipeline(scales=ALL_SCALES):
    try:
        sides = tuple(int(side) for side in scales.split(","))
    except ValueError:
        sides = ()
    if not sides or min(sides) < 31:
        raise ValueError(f"--scales is {scales!r}; it must be numbers of pixels, at least 31, with commas between.")
    return Pipeline(
        stages=("proposals", "pooled", "finetune", "features", "svm", "regression", "test"),
        network=network,
        training=pooled_training,
        optimizer=optimizer,
        steps=300_000,
        features=functools.partial(both_features, scales=sides),
        pooled=functools.partial(pyramid_features, scales=sides),
        widths=widths,
        kept=BACKGROUND[0],
        lowest=0.5,
        claims=ap_claims("B5", f"SPPNet, scales {scales}, on VOC 2007", PAPER.get(sides, {})),
        difficult=False,  # they are left out: Fast R-CNN, Table 1
        deviations=(
            "the layers are ZFNet's, as `sppnet` builds them; the released network pools after it normalises",
            REGRESSION,
        ),
    )


if __name__ == "__main__":
    sys.exit(main(pipeline))
