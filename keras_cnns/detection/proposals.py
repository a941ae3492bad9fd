"""The proposals of a whole data set: computed once, by several processes, and kept on the disk."""

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from keras_cnns.arguments import check_choice
from keras_cnns.detection.selective_search import MODES, VERSION, selective_search
from keras_cnns.files import whole


def compute_proposals(
    images: Iterable[str | Path],
    folder: str | Path,
    mode: str = "fast",
    seed: int = 0,
    processes: int | None = None,
    strict: bool = False,
) -> dict[str, str]:
    """Write the selective search boxes of image files to `folder`; return those left out: {path: what is wrong}.

    What is there already is not computed again, so that a computation that was stopped goes on. The images that cannot
    be read are named as they are met.

    images: paths. mode, seed: as in `selective_search`. processes: as many as there are cores by default.

    Raises:
        ValueError: an unknown mode, no images, or no process; with `strict` an image that would be left out.
        OSError: `folder` cannot be written to, or a process was ended from outside.
    """
    check_choice("mode", mode, tuple(MODES))
    images = sorted({str(path) for path in images})
    processes = os.cpu_count() if processes is None else processes
    if not images:
        raise ValueError("there are no images to propose boxes for.")
    if processes < 1:
        raise ValueError(f"processes is {processes}; it must be at least 1.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    faults, computed = {}, 0
    with tqdm(total=len(images), desc=f"{mode} proposals", unit="image") as bar:
        for path, fault, new in each(images, (folder, mode, seed), processes):
            if fault and strict:
                raise ValueError(f"{path} {fault} (--strict makes that an error).")
            if fault:
                faults[path] = fault
                tqdm.write(f"left out: {path} {fault} ({len(faults)} so far)", file=sys.stderr)
            computed += new
            bar.set_postfix(computed=computed, left_out=len(faults), refresh=False)
            bar.update()
    return faults


def read_proposals(image: str | Path, folder: str | Path, mode: str = "fast", seed: int = 0) -> np.ndarray:
    """Return the boxes of an image file that `compute_proposals` has written, float32 `(R, 4)` by rank.

    Raises:
        ValueError: there are none; the image may have changed since.
        OSError: the image cannot be read.
    """
    file = kept(image, Path(image).read_bytes(), folder, mode, seed)
    if not file.exists():
        raise ValueError(f"{folder} has no {mode} proposals with seed {seed} of {image} as it is now.")
    return np.load(file)


def kept(image, content, folder, mode, seed):
    """The file for an image's boxes: by its name, for the reader, and by its content, so that no other image's are
    taken for its own."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Path(folder) / f"{mode}-seed{seed}-v{VERSION}" / f"{Path(image).stem}-{digest}.npy"


def compute(image, folder, mode, seed):
    """Write the boxes of one image unless they are there: (path, what is wrong with it, whether they were computed)."""
    try:
        content = Path(image).read_bytes()
        file = kept(image, content, folder, mode, seed)
        if file.exists():
            return image, None, False
        with Image.open(image) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return image, f"cannot be read: {error}", False
    boxes = selective_search(pixels, mode, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as part:
        np.save(part, boxes)
    return image, None, True


def each(images, settings, processes):
    """`compute` of every image, as they are done; the processes end with this one, however it ends."""
    if processes == 1:
        yield from (compute(image, *settings) for image in images)
        return
    pool = ProcessPoolExecutor(processes, initializer=begin_worker)
    try:
        tasks = [pool.submit(compute, image, *settings) for image in images]
        yield from (task.result() for task in as_completed(tasks))
    except BrokenProcessPool:
        raise OSError("a process was ended from outside, perhaps for lack of memory; what is computed stays.") from None
    finally:
        pool.shutdown(cancel_futures=True)


def begin_worker():
    """Leave Ctrl-C to the parent, and end when the parent was killed: nobody else would end this process then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process().sentinel

    def watch():
        multiprocessing.connection.wait([parent])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
