"""Selective search, ours, for `benchmarks.proposals`: a step is one image."""

import itertools

import numpy as np
from PIL import Image

from benchmarks.serving import serve
from keras_cnns.detection import selective_search


def build(spec):
    images = [np.asarray(Image.open(path).convert("RGB")) for path in spec["images"]]
    numbers, about = itertools.count(-2), {}  # two steps warm it up

    def step():
        about["boxes"] = selective_search(images[next(numbers)], spec["mode"]).tolist()

    return step, about


if __name__ == "__main__":
    serve(build)
