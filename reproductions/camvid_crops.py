"""Crops of CamVid by class, for `zfnet_camvid`: what lies in the middle of a window of 128 x 128 pixels.

    python -m reproductions.camvid_crops --data-dir DIR --out FOLDER

DIR is CamVid as the SegNet tutorial has it: `train/` and `test/` of 480 x 360 photographs, `trainannot/` and
`testannot/` of label maps of the same names. A window counts for a class that fills at least half of its middle 32 x 32
pixels; of an image at most six of a class, whose middles are 32 pixels apart or more, and of a class at most 1,000 for
the training and 200 for the test. Poles are thinner than that, and left out. Written as PNG, FOLDER/train/CLASS and
FOLDER/test/CLASS; the test's are of CamVid's own test images.
Of those 62 of 233 are of a drive, 0001TP, that the training has, too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

# In the order of the label maps' numbers.
CLASSES = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist"]
LEFT_OUT = ("pole",)
SIDE, MIDDLE, APART, AN_IMAGE = 128, 32, 32, 6
MOST = {"train": 1_000, "test": 200}  # of a class


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m reproductions.camvid_crops",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="CamVid's folder")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    options = parser.parse_args(arguments)
    try:
        if options.out.is_dir() and any(options.out.iterdir()):
            raise ValueError(f"{options.out} is not empty; --out must name a new folder.")
        for split, most in MOST.items():
            counts = write_crops(options.data_dir, split, options.out / split, most)
            print(f"{split}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write_crops(data_dir, split, folder, most):
    """Write the crops of one split, and return their number by class."""
    labels = sorted((data_dir / f"{split}annot").glob("*.png"))
    if not labels:
        raise ValueError(f"{data_dir / f'{split}annot'} holds no PNG label maps.")
    places = {name: [] for name in CLASSES if name not in LEFT_OUT}
    photographs = {}
    for number, file in enumerate(tqdm(labels, desc=f"{split}: label maps", unit="image")):
        photographs[number] = next((data_dir / split).glob(f"{file.stem}.*"), None)
        if photographs[number] is None:
            raise ValueError(f"{data_dir / split} has no photograph {file.stem}, of which there is a label map.")
        label_map = np.asarray(Image.open(file))
        for name, windows in places.items():
            places[name] = windows + [(number, *place) for place in crops_of(label_map == CLASSES.index(name), number)]
    chosen = {}
    for label, (name, windows) in enumerate(places.items()):
        order = np.random.default_rng(label).permutation(len(windows))[:most]
        for number, row, column in (windows[each] for each in order):
            chosen.setdefault(number, []).append((name, row, column))
    for number in tqdm(sorted(chosen), desc=f"{split}: crops", unit="image"):
        photograph = Image.open(photographs[number]).convert("RGB")
        for name, row, column in sorted(chosen[number]):
            (folder / name).mkdir(parents=True, exist_ok=True)
            crop = photograph.crop((column, row, column + SIDE, row + SIDE))
            crop.save(folder / name / f"{photographs[number].stem}_{row}_{column}.png")
    return {name: min(len(windows), most) for name, windows in places.items()}


def crops_of(mask, seed):
    """The (top, left) of windows whose middle a class fills by half, in a random order that is always the same."""
    sums = np.pad(mask, ((1, 0), (1, 0))).cumsum(0, dtype=int).cumsum(1)
    filled = sums[MIDDLE:, MIDDLE:] - sums[:-MIDDLE, MIDDLE:] - sums[MIDDLE:, :-MIDDLE] + sums[:-MIDDLE, :-MIDDLE]
    edge = (SIDE - MIDDLE) // 2
    inside = filled[edge : mask.shape[0] - edge - MIDDLE + 1, edge : mask.shape[1] - edge - MIDDLE + 1]
    places = np.argwhere(2 * inside >= MIDDLE**2)  # where the middle begins less the edge: where the window begins
    kept = []
    for place in np.random.default_rng(seed).permutation(places):
        if all(abs(place - other).max() >= APART for other in kept):
            kept.append(place)
        if len(kept) == AN_IMAGE:
            break
    return [tuple(map(int, place)) for place in kept]


if __name__ == "__main__":
    sys.exit(main())
