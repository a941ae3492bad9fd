"""R-CNN: Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection", CVPR 2014.

The one detector that is no single model. `rcnn` is the network, which is fine-tuned on windows of photos
(`keras_cnns.data.windows`); `window_features` are its features of a photo's boxes, which `Features` keeps on the disk;
`train_svms` and `train_box_regressors` learn from these, and `svm_detections` is what is found. SPPNet shares all of it
but the first two.

Deviations: the paper's network is Caffe's version of AlexNet, which pools before it normalises; this is AlexNet's own.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import Shape, check_choice, check_classes
from keras_cnns.classification import alexnet, vgg
from keras_cnns.classification.alexnet import normal
from keras_cnns.ops import clip_boxes, non_max_suppression, warp_boxes

FEATURES = ("flatten", "fc7")  # of the box regression, pool5, and of the SVMs
CONTEXT = 16  # pixels of the warped window that show what surrounds the box
AT_ONCE = 64  # windows that go through the network together


def rcnn(
    input_shape: Shape | None = None, classes: int = 20, trunk: str = "alexnet", name: str = "rcnn"
) -> keras.Model:
    """Return R-CNN's network: from warped windows, logits `(batch, classes + 1)` in float32.

    Class 0 is the background, and class k of the data set is k + 1. Layers have the names of the trunk's own network,
    so that its weights can be loaded (`load_layers`), but for the last, which starts anew.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; by default 227x227 pixels
            ("alexnet") or 224x224 ("vgg16").
        classes: number of classes without the background.
        trunk: "alexnet" (56,954,261 parameters with 20 classes) or "vgg16" (134,346,581).

    Raises:
        ValueError: an unknown trunk, an input too small, or no class.

    Source: sections 2.1 (the network), 2.3 (its last layer); the deeper trunk is the journal version's O-Net.
    """
    check_choice("trunk", trunk, ("alexnet", "vgg16"))
    check_classes(classes)
    if trunk == "alexnet":
        network, weights = alexnet(input_shape or (227, 227, 3)), {"kernel_initializer": normal()}
    else:
        network, weights = vgg("D", input_shape or (224, 224, 3)), {}
    features = network.get_layer("drop7").output
    logits = keras.layers.Dense(classes + 1, dtype="float32", name="fc8_pascal", **weights)(features)
    return keras.Model(network.input, logits, name=name)


def window_features(network: keras.Model, context: int = CONTEXT, names: Sequence[str] = FEATURES) -> Callable:
    """Return a function that gives features of the boxes of a photo, window by window: appendix A.

    From a photo `(height, width, 3)`, RGB with the mean subtracted, and boxes `(N, 4)` to a list of `(N, width)`,
    float32, one for each of the layers `names`.

    network: of square windows, such as `rcnn`. context: as in `warp_boxes`.

    Raises:
        ValueError: no such layer; when the function is called, a context that leaves nothing of the window.
    """
    part = keras.Model(network.inputs, [network.get_layer(each).output for each in names])
    size = network.input_shape[1]

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))])
    def of_some(photo, boxes):
        outputs = part(warp_boxes(photo, boxes, size, context), training=False)
        return [tf.cast(each, tf.float32) for each in tf.nest.flatten(outputs)]

    def features(photo, boxes):
        boxes = np.asarray(boxes, "float32").reshape(-1, 4)
        firsts = range(0, max(len(boxes), 1), AT_ONCE)
        some = [of_some(photo, boxes[first : first + AT_ONCE]) for first in firsts]
        return [np.concatenate(each) for each in zip(*some, strict=True)]

    return features


def svm_detections(
    scores: np.ndarray, boxes: np.ndarray, size: Sequence[int], iou_threshold: float = 0.3, most: int = 100
) -> dict[str, np.ndarray]:
    """Return what is found in a photo, best first: {"boxes" `(n, 4)`, "scores" `(n,)`, "labels" `(n,)`}.

    Args:
        scores: of the SVMs, `(N, classes)`.
        boxes: `(N, 4)`, or `(N, classes, 4)` where each class has its own; they are cut off at the photo's border.
        size: the photo's (height, width).
        iou_threshold: a box of a class is dropped if a better one overlaps it by more: section 2.2 learns it, 0.3.
        most: boxes of a class that are kept. (R-CNN's code takes the best before the suppression, by a threshold that
            moves until 100 boxes of a class are left in the mean of an image.)

    Raises:
        ValueError: a threshold outside [0, 1].
    """
    boxes = clip_boxes(boxes, size).numpy()
    found = []
    for k in range(scores.shape[1]):
        own = boxes if boxes.ndim == 2 else boxes[:, k]
        kept = non_max_suppression(own, scores[:, k], iou_threshold, most).numpy()
        found.append((own[kept], scores[kept, k], np.full(len(kept), k, "int32")))
    boxes, scores, labels = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(-scores, kind="stable")
    return {"boxes": boxes[order], "scores": scores[order], "labels": labels[order]}
