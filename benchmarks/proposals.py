"""Selective search beside OpenCV's (ximgproc): recall, time on one thread; and over a folder by all cores.

    python -m venv .venv-opencv
    .venv-opencv/bin/pip install -r benchmarks/requirements-opencv.txt
    python -m benchmarks.proposals --data-dir VOC --peers .venv-opencv/bin/python

VOC: a folder like Pascal VOC's, such as BCCD's; the first 30 images of its list `test`. Both work image by image, in
turn, each in a process of its own, the other stopped. Images that benchmarks/proposals.json has are not measured
again. Six minutes on two cores; --only fast, quality or folder for a part.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import results as files
from benchmarks.__main__ import environment, origin
from benchmarks.serving import Worker
from keras_cnns.detection import compute_proposals
from keras_cnns.evaluation import best_overlaps, coverage
from reproductions.record import versions, write_json
from reproductions.selective_search_bccd import annotated

RESULTS = Path(__file__).parent / "proposals.json"
MODES, PARTS = ("fast", "quality"), ("fast", "quality", "folder")
IMAGES, COUNTS = 30, (500, 1000, 2000)
PEER = "opencv"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
AIM = 1.8  # times as fast over a folder by two cores


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.proposals", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, help="a VOC folder")
    add("--peers", help="the Python that has OpenCV; without it our figures stand alone")
    add("--only", choices=PARTS, help="one part")
    add("--images", type=int, default=IMAGES, help=f"default: {IMAGES}")
    add("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    os.environ |= ONE_THREAD  # the workers inherit it
    photos, _ = annotated(options.data_dir, options.images)
    for part in [options.only] if options.only else PARTS:
        if part == "folder":
            over_folder([path for path, _ in photos], options.results)
        else:
            image_by_image(part, photos, options)
    print(section(options.results))


def load(path=RESULTS):
    """The results so far: {"environment": ..., "images": {"fast": {stem: ...}, "quality": ...}, "folder": ...}."""
    if Path(path).exists():
        return json.loads(Path(path).read_text())
    return {"environment": {**environment(), "versions": versions()}, "images": {mode: {} for mode in MODES}}


def image_by_image(mode, photos, options):
    """Time both on each image in turn, and keep how well the boxes of each cover what is there."""
    results, here = load(options.results), origin("benchmarks.proposals")
    done = results["images"][mode]
    todo = [each for each in photos if each[0].stem not in done]
    if not todo:
        return
    spec = {"mode": mode, "images": [str(path) for path, _ in todo]}
    with contextlib.ExitStack() as stack:
        workers = {"keras_cnns": stack.enter_context(Worker(sys.executable, "benchmarks.search_worker", **spec))}
        if options.peers:
            workers[PEER] = stack.enter_context(Worker(options.peers, "benchmarks.opencv_worker", **spec))
        for worker in workers.values():
            worker.ready()
        for number, (path, there) in enumerate(tqdm(todo, mode, unit="image")):
            row = {**here, "labels": there["labels"].tolist()}
            for name in sorted(workers, reverse=number % 2 == 1):  # neither is always the first
                seconds = workers[name].run(1)
                boxes = np.array(workers[name].about["boxes"])
                scored = best_overlaps([boxes], [there["boxes"]], COUNTS)
                row[name] = {"seconds": seconds, "proposals": len(boxes), "best": scored.round(4).tolist()}
            if PEER in workers:
                row["version"] = workers[PEER].about["version"]
            done[path.stem] = row
            write_json(options.results, results)


def over_folder(paths, file):
    """Images a second of `compute_proposals` by one process and by all cores, its start and its files included."""
    results, cores = load(file), os.cpu_count()
    seconds = {}
    for processes in (1, cores):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            compute_proposals(paths, folder, "fast", processes=processes)
            seconds[processes] = time.perf_counter() - start
    results["folder"] = {
        **origin("benchmarks.proposals"),
        "images": len(paths),
        "processes": cores,
        "seconds": [float(f"{each:.4g}") for each in seconds.values()],
    }
    write_json(file, results)


def section(results=RESULTS):
    """The Markdown text, always the same for the same results.

    Raises:
        FileNotFoundError: there are no results yet.
    """
    if not Path(results).exists():
        raise FileNotFoundError(f"{results} is not there; `python -m benchmarks.proposals` writes it.")
    content = load(results)
    here, rows = content["environment"], [row for each in content["images"].values() for row in each.values()]
    told = {row["version"] for row in rows if PEER in row}
    lines = [
        f"{files.origins([*rows, *([content['folder']] if 'folder' in content else [])])}. {here['processor']}, "
        f"{here['cores']} cores; OpenCV {', '.join(sorted(told)) or 'not measured'}. Seconds an image: lower quartile, "
        "median, upper quartile; *speed*: OpenCV's seconds in ours, of each image.",
        "",
        "| mode | images | | boxes | s an image | speed | first | recall at 0.5 | at 0.7 | MABO |",
        "|---|--:|---|--:|---|---|--:|--:|--:|--:|",
    ]
    for mode, images in content["images"].items():
        for name in ("keras_cnns", PEER):
            measured = [row for row in images.values() if name in row]
            if measured:
                lines += table(mode, name, measured)
    if "folder" in content:
        folder = content["folder"]
        one, many = folder["seconds"]
        lines += [
            "",
            f"A folder of {folder['images']} images, fast: {one:.0f} s by one process, {many:.0f} s by "
            f"{folder['processes']}: {one / many:.2f} times as fast (aim: {AIM}).",
        ]
    return "\n".join(lines) + "\n"


def table(mode, name, rows):
    """The lines of one library in one mode, one for each number of boxes."""
    labels = [label for row in rows for label in row["labels"]]
    each = [row[name] for row in rows]
    speed = ""
    if name == "keras_cnns" and all(PEER in row for row in rows):
        ratios = files.ratios([row["keras_cnns"]["seconds"] for row in rows], [row[PEER]["seconds"] for row in rows])
        speed = ", ".join(f"{value:.2f}" for value in files.spread(ratios))
    seconds = ", ".join(f"{value:.2f}" for value in files.spread([one["seconds"] for one in each]))
    boxes = f"{np.mean([one['proposals'] for one in each]):,.0f}"
    lines = []
    for number, count in enumerate(COUNTS):
        scores = coverage(np.concatenate([one["best"][number] for one in each]), labels)
        first = f"| {mode} | {len(rows)} | {name} | {boxes} | {seconds} | {speed} " if number == 0 else "| | | | | | "
        figures = " | ".join(f"{scores[key]:.3f}" for key in ("recall_50", "recall_70", "mabo"))
        lines.append(f"{first}| {count:,} | {figures} |")
    return lines


if __name__ == "__main__":
    main()
