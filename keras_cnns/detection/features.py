"""The features of all boxes of a data set, on the disk: R-CNN (Girshick et al., CVPR 2014), section 2.2."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_cnns.files import whole

LARGEST = float(np.finfo(np.float16).max)
NORM = 20.0  # what the mean length of feature vectors is scaled to


class Features:
    """Feature vectors of the boxes of many images: float16 in one file, mapped to memory, image behind image.

    Room for all of them is reserved before the first is written, so that a full disk is told at once. A killed process
    loses the image that it was at: an image counts once its vectors are on the disk.

    Args:
        folder: where they lie, or will; made if need be.
        counts: boxes of each image.
        width: numbers of a vector.
        of: what they are the features of, as text: those of something else are not taken for these.

    Raises:
        ValueError: `folder` has the features of something else.
        OSError: there is no room for them, or `folder` cannot be written to.
    """

    def __init__(self, folder: str | Path, counts: Sequence[int], width: int, of: str):
        folder = Path(folder)
        counts = [int(count) for count in counts]
        self.width, self.of = width, of
        self.starts = np.concatenate([[0], np.cumsum(counts, dtype="int64")])
        contents, file = {"counts": counts, "width": width, "of": of}, folder / "contents.json"
        if file.exists():
            if json.loads(file.read_text()) != contents:
                raise ValueError(f"{folder} has the features of other boxes or of another network; delete it first.")
        else:
            self.create(folder, contents)
        self.values = np.load(folder / "values.npy", mmap_mode="r+")
        self.done = np.load(folder / "done.npy", mmap_mode="r+")

    def create(self, folder, contents):
        """Reserve the room, and say how much it is."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = int(self.starts[-1])
        size, free = 2 * rows * self.width, shutil.disk_usage(folder).free
        told = f"{rows:,} features of {self.width:,} numbers are {size / 1e9:,.2f} GB"
        print(f"{folder}: {told}", flush=True)
        if size > free:
            raise OSError(f"{told}; {folder} has room for {free / 1e9:,.2f} GB.")
        reserve(folder / "values.npy", np.float16, (max(rows, 1), self.width))
        reserve(folder / "done.npy", np.uint8, (len(self.starts) - 1,))
        with whole(folder / "contents.json") as part:
            part.write_text(json.dumps(contents))

    def missing(self):
        """The numbers of the images that are not written yet."""
        return np.flatnonzero(self.done == 0).tolist()

    def write(self, image, values):
        """Write the vectors of an image, `(boxes, width)`.

        Raises:
            ValueError: another shape, or a number that a float16 cannot hold.
        """
        values = np.asarray(values)
        first, end = self.starts[image : image + 2].tolist()
        if values.shape != (end - first, self.width):
            raise ValueError(f"the features have the shape {values.shape}; it must be {(end - first, self.width)}.")
        largest = np.abs(values).max(initial=0.0)
        if not largest <= LARGEST:  # false for NaN too
            raise ValueError(f"a feature is {largest:g}; float16 holds numbers up to {LARGEST:,.0f}.")
        self.values[first:end] = values
        self.values.flush()  # before the image counts: after a power cut it would count without them
        self.done[image] = 1
        self.done.flush()

    def read(self, image):
        """The vectors of an image, float32 `(boxes, width)`."""
        first, end = self.starts[image : image + 2]
        return self.values[first:end].astype("float32")

    def rows(self, numbers):
        """The vectors of boxes by their numbers, counted over all images: float32 `(N, width)`."""
        return self.values[numbers].astype("float32")

    def scale(self, sample=10_000):
        """What to multiply the vectors by for a mean length of 20, as R-CNN's code: from `sample` of them, evenly."""
        rows = self.starts[-1]
        lengths = np.linalg.norm(self.rows(np.arange(0, rows, max(rows // sample, 1))), axis=1)
        return float(NORM / max(lengths.mean(), 1e-6)) if rows else 1.0


def reserve(path, dtype, shape):
    """A file of zeros for an array, with its room on the disk: writing to a mapped file on a full one would kill."""
    with whole(path) as part:
        np.lib.format.open_memmap(part, "w+", dtype, shape).flush()
        with part.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
