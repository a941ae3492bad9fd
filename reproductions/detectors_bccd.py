"""What the studies of detectors on BCCD share: several trained detectors, photograph by photograph."""

import time

import numpy as np
from matplotlib import pyplot as plt

from keras_cnns.data import digit_boxes, voc_boxes
from keras_cnns.data.detection import truth
from keras_cnns.detection import detect, draw_boxes
from keras_cnns.evaluation.detection import voc_matches
from keras_cnns.export import load_source
from reproductions.pictures import save_page
from reproductions.region_figures import curves
from reproductions.study import band, of, save

SMOKE_IMAGES = 4
TYPICAL, WORST = 2, 3  # photographs drawn


def images_of(options, split):
    """The photographs of a study's --data-dir, or pages of digits."""
    if options.smoke:
        return digit_boxes(split).take(SMOKE_IMAGES)
    if not options.data_dir:
        raise ValueError("--data-dir must name BCCD's folder, in the layout of VOC.")
    return voc_boxes(options.data_dir, split)


def side_by_side(folders, options, path):
    """Return what trained detectors find in the test images: the time of each, one after the other on each image, the
    images read and the proposals made, if any; and the curves of precision against recall.

    {"milliseconds": {name: median of an image}, "curves": as `region_figures.curves`}. Some images are drawn, with what
    is there and what each detector finds: a few, and those with which the first has the most trouble.

    Args:
        folders: from the detectors' names to their runs' folders.
        path: of the picture.
    """
    loaded = {name: load_source(folder)[:2] for name, folder in folders.items()}
    images = images_of(options, "test")
    found, times, truths, photos = {name: [] for name in loaded}, {name: [] for name in loaded}, [], []
    for photo, objects in images.originals().batches(1):
        photos.append(photo[0].numpy())
        truths.append(truth(objects[0]))
        for name, (model, preprocessing) in loaded.items():
            start = time.perf_counter()
            found[name] += detect(model, [photos[-1]], preprocessing, score_threshold=0.05)
            times[name].append(1000 * (time.perf_counter() - start))
    first = found[next(iter(loaded))]
    trouble = [faults(each, there, len(images.labels)) for each, there in zip(first, truths, strict=True)]
    chosen = [*range(0, len(photos), max(len(photos) // TYPICAL, 1))[:TYPICAL], *np.argsort(trouble)[::-1][:WORST]]
    rows = []
    for number in chosen:
        best = [surest(each[number], truths[number]) for each in found.values()]
        rows.append([draw_boxes(photos[number], each, images.labels) for each in (truths[number], *best)])
    save_page(rows, path)
    return {
        # The first image is left out: it is the one that every network is traced for.
        "milliseconds": {name: round(float(np.median(each[1:])), 1) for name, each in times.items()},
        "curves": curves(found, truths, images.labels),
        "drawn": f"{TYPICAL} photographs and the {WORST} worst; what is there, then as many of the boxes of "
        f"{', of '.join(loaded)}, those with the highest scores",
    }


def surest(found, there):
    """As many of an image's found boxes as there are objects: detectors score differently, so no threshold is fair."""
    chosen = np.argsort(-found["scores"], kind="stable")[: len(there["boxes"])]
    return {key: part[chosen] for key, part in found.items()}


def faults(found, there, classes):
    """How many of an image's surest boxes are wrong, and how many objects are missed."""
    sure = surest(found, there)
    matches = [voc_matches([sure], [there], number) for number in range(classes)]
    return sum(int((~right).sum()) + objects - int(right.sum()) for right, objects in matches)


def mean_boxes(images, grid, test):
    """What a detector finds that knows no image: in each of `test`, at every one of `grid` x `grid` cells, each class's
    mean box of `images`, scored by the class's share of the objects."""
    rows = np.concatenate([objects.numpy()[objects.numpy()[:, 4] >= 0] for _, _, _, objects in images.records()])
    counts = np.bincount(rows[:, 4].astype(int), minlength=len(images.labels))
    there = np.flatnonzero(counts)
    sides = [np.diff(rows[rows[:, 4] == k, :4].reshape(-1, 2, 2), axis=1).mean(axis=0)[0] for k in there]
    found, truths = [], []
    for photo, objects in test.originals().batches(1):
        height, width = photo.shape[1:3]
        y, x = np.mgrid[:grid, :grid].reshape(2, -1) + 0.5
        centres = np.stack([x * width / grid, y * height / grid], axis=1)
        boxes = np.concatenate([np.concatenate([centres - side / 2, centres + side / 2], axis=1) for side in sides])
        labels = np.repeat(there, grid * grid)
        found.append({"boxes": boxes, "scores": counts[labels] / counts.sum(), "labels": labels})
        truths.append(truth(objects[0]))
    return found, truths


def draw(record, path):
    """The mean average precision over the training, of all seeds, and precision against recall, of the first."""
    runs = record["runs"]
    measured = next(run["measured"] for run in runs if run["measured"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for number, name in enumerate(dict.fromkeys(run["name"] for run in runs)):
        band(left, of(runs, name), "map", color=f"C{number}", label=name)
    left.set(xlabel="steps", ylabel="mAP, %", ylim=(0, 100))
    left.legend(fontsize=8)
    for (name, classes), look in zip(measured["curves"].items(), ("-", ":", "--"), strict=False):
        for number, (label, curve) in enumerate(classes.items()):
            right.plot(curve["recall"], curve["precision"], look, color=f"C{number}", label=f"{label}, {name}")
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    right.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    save(figure, path)
