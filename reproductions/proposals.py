"""Selective search over a data set, for the detectors that need its boxes: R-CNN, SPPNet, Fast R-CNN.

    python -m reproductions.proposals --data-dir DIR --out FOLDER

DIR: a VOC folder, whose JPEGImages are taken, or any folder with images. By as many processes as there are cores; what
FOLDER has already is not computed again, so a run that was stopped goes on by the same command.
"""

import argparse
import sys
import time
from pathlib import Path

from keras_cnns.detection import compute_proposals
from keras_cnns.detection.selective_search import MODES

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m reproductions.proposals", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, help="a VOC folder, or a folder with images")
    add("--out", type=Path, default=Path("runs/proposals"), help="where the boxes are kept (default: %(default)s)")
    add("--mode", choices=MODES, default="fast", help="quality takes 4 to 5 times as long as fast (the default)")
    add("--seed", type=int, default=0, help="of the boxes' order")
    add("--processes", type=int, help="default: the cores")
    add("--strict", action="store_true", help="stop at an image that cannot be read")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        images = images_of(options.data_dir)
        faults = compute_proposals(
            images, options.out, options.mode, options.seed, options.processes, strict=options.strict
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on.", file=sys.stderr)
        return 130
    for path, fault in faults.items():
        print(f"left out: {path} {fault}", file=sys.stderr)
    print(f"{len(images) - len(faults)} of {len(images)} images in {time.monotonic() - start:.0f} s; {options.out}")
    return 0


def images_of(folder):
    """The image files of a VOC folder, or of any folder and those in it."""
    root = folder / "JPEGImages" if (folder / "JPEGImages").is_dir() else folder
    if not root.is_dir():
        raise ValueError(f"{folder} is no folder.")
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    if not files:
        raise ValueError(f"{root} has no images.")
    return files


if __name__ == "__main__":
    sys.exit(main())
