"""Selective search of opencv-contrib-python-headless on one thread, for `benchmarks.proposals`: a step is one image."""

import itertools

import cv2

from benchmarks.serving import serve


def build(spec):
    cv2.setNumThreads(1)
    images = [cv2.imread(path) for path in spec["images"]]
    numbers, about = itertools.count(-2), {"version": cv2.__version__}

    def step():
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(images[next(numbers)])
        if spec["mode"] == "fast":
            search.switchToSelectiveSearchFast()
        else:
            search.switchToSelectiveSearchQuality()
        x, y, width, height = search.process().T.tolist()
        about["boxes"] = [[a, b, a + c, b + d] for a, b, c, d in zip(x, y, width, height, strict=True)]

    return step, about


if __name__ == "__main__":
    serve(build)
