"""Our box operations, for `benchmarks.boxes`."""

import os

import numpy as np
import tensorflow as tf

from benchmarks.serving import serve
from keras_cnns.ops import iou, non_max_suppression, roi_align, roi_pool


def build(spec):
    inputs = {name: tf.constant(each) for name, each in np.load(spec["inputs"]).items()}
    step, result = operation(spec["operation"], inputs)
    step = tf.function(step)
    versions = {"tensorflow": tf.__version__}
    about = {"versions": versions, "threads": len(os.sched_getaffinity(0)), "result": result(step().numpy())}
    return lambda: step().numpy(), about


def operation(name, inputs):
    """The function to time, and one from what it returns to a figure that the peer's must equal."""
    boxes = inputs["boxes"]
    if name == "iou":
        return lambda: iou(boxes, inputs["others"]), lambda overlaps: int((overlaps > 0.5).sum())
    if name.startswith("nms"):
        most = int(name.split("_")[1]) if name.startswith(("nms_300", "nms_2000")) else len(boxes)
        return lambda: non_max_suppression(boxes, inputs["scores"], 0.7, most), lambda kept: int(kept.sum())
    features, boxes = inputs["map"][None], boxes[None]
    pool = lambda features: roi_pool(features, boxes, 7, 1 / 16)
    if name.startswith("roi_align"):
        pool = lambda features: roi_align(features, boxes, int(name.split("_")[2]), 1 / 16)
    result = lambda found: float(np.abs(np.float64(found)).sum())
    if "gradient" not in name:
        return lambda: pool(features), result

    def with_gradient():
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = pool(features)
        return tape.gradient(pooled, features)

    return with_gradient, result


if __name__ == "__main__":
    serve(build)
