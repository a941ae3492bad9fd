"""torchvision's box operations, for `benchmarks.boxes`. It imports nothing of TensorFlow."""

import os

import numpy as np
import torch
import torchvision
from torchvision.ops import box_iou, nms, roi_align, roi_pool

from benchmarks.serving import serve


def build(spec):
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    inputs = {name: torch.from_numpy(each) for name, each in np.load(spec["inputs"]).items()}
    step, result = operation(spec["operation"], inputs)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    about = {"versions": versions, "threads": torch.get_num_threads(), "result": result(step().numpy())}
    return lambda: step().numpy(), about


def operation(name, inputs):
    """The function to time, and one from what it returns to a figure that ours must equal."""
    boxes = inputs["boxes"]
    if name == "iou":
        return lambda: box_iou(boxes, inputs["others"]), lambda overlaps: int((overlaps > 0.5).sum())
    if name.startswith("nms"):
        most = int(name.split("_")[1]) if name.startswith(("nms_300", "nms_2000")) else len(boxes)
        return lambda: nms(boxes, inputs["scores"], 0.7)[:most], lambda kept: int(kept.sum())
    features = inputs["map"].permute(2, 0, 1)[None].contiguous()  # its order; channels last is no faster there
    pool = lambda: roi_pool(features, [boxes], 7, 1 / 16)
    if name.startswith("roi_align"):
        pool = lambda: roi_align(features, [boxes], int(name.split("_")[2]), 1 / 16, sampling_ratio=2)
    result = lambda found: float(np.abs(np.float64(found)).sum())
    if "gradient" not in name:
        return pool, result
    features.requires_grad_()

    def with_gradient():
        features.grad = None
        pool().sum().backward()
        return features.grad

    return with_gradient, result


if __name__ == "__main__":
    serve(build)
