"""RoIAlign and masks of each class apart, on nuclei: He et al., "Mask R-CNN", ICCV 2017, Tables 2b and 2c.

    python -m reproductions.mask_rcnn_nuclei --data-dir DIR

Paper: on COCO with ResNet-50-C4 mask AP 30.3 % with RoIAlign and 26.9 with RoI pooling, 24.8 with a softmax over the
classes in place of a sigmoid for each. Here three small networks on microscopes' images of nuclei (DIR holds
`instances_train.json`, `train` and the like of val): ResNet-18 with the feature pyramid, all from random weights. There
is one class alone, so that the softmax competes with the background only. The spread over test images is a bootstrap's,
that over seeds is of trainings.
"""

import sys

import numpy as np
from matplotlib import pyplot as plt
from pycocotools import mask as coco
from tqdm import tqdm

from keras_cnns.data import coco_instances, digit_instances
from keras_cnns.evaluation import coco_mask_scores
from keras_cnns.evaluation.instances import encoded
from keras_cnns.export import load_source
from reproductions.mask_rcnn_coco import found_and_true
from reproductions.study import Difference, Least, Study, Training, band, final, main, of, save

SIDE, EPOCHS = 256, 3
RESAMPLES, SMOKE_IMAGES = 100, 4
SURE = 0.5  # what scores less is not drawn
SMALL = f"--trunk resnet18 --shorter {SIDE} --rois 64 --batch-size 2 --epochs {EPOCHS} --keep-checkpoints 1"
TRAININGS = {
    "align": Training("mask_rcnn_coco", SMALL),
    "pool": Training("mask_rcnn_coco", f"{SMALL} --roi-operation pool"),
    "softmax": Training("mask_rcnn_coco", f"{SMALL} --mask-activation softmax"),
}


def measure(folder, options):
    """The mask AP of a trained network on images drawn anew, and of the first seed's a page of test images.

    {"interval": 2.5 and 97.5 % of `RESAMPLES` draws, "images": number}
    """
    if options.smoke:
        images = digit_instances("test").take(SMOKE_IMAGES)
    else:
        images = coco_instances(f"{options.data_dir}/instances_val.json", f"{options.data_dir}/val")
    model, preprocessing, _ = load_source(folder)
    found, there, photos = zip(*found_and_true(model, images, preprocessing), strict=True)
    found, there = ([{**each, "masks": encoded(each)} for each in those] for those in (found, there))
    score = lambda chosen: coco_mask_scores([found[i] for i in chosen], [there[i] for i in chosen], images.labels)
    random = np.random.default_rng(0)
    draws = random.integers(len(found), size=(4 if options.smoke else RESAMPLES, len(found)))
    values = [score(chosen)["ap"] for chosen in tqdm(draws, "bootstrap", unit="draw", leave=False)]
    if folder.name.startswith("align-0"):
        each = np.array([score([number])["ap"] for number in range(len(found))])
        draw_examples(photos, there, found, each, options.out / "mask_rcnn_nuclei-examples.png")
    return {"interval": np.percentile(values, [2.5, 97.5]).round(2).tolist(), "images": len(found)}


def draw_examples(photos, there, found, ap, path):
    """The best, the median and the worst image by their AP: as it is, with the masks labelled, with those found.

    there, found: of each image, masks as run lengths; what is found is in the order of the scores.
    """
    order = np.argsort(ap)
    rows = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
    figure, grid = plt.subplots(len(rows), 3, figsize=(11, 11.4), layout="constrained")
    for axes, (name, number) in zip(grid, rows.items(), strict=True):
        labelled, sure = there[number]["masks"], found[number]["masks"][: np.sum(found[number]["scores"] >= SURE)]
        axes[0].set_title(f"{name}: mask AP {ap[number]:.0f} %, brightened")
        axes[1].set_title(f"{len(labelled)} labelled")
        axes[2].set_title(f"{len(sure)} found with a score of {SURE} or more")
        for axis, masks in zip(axes, ((), labelled, sure), strict=True):
            axis.imshow(photos[number] / max(photos[number].max(), 1))
            for place, mask in enumerate(masks):
                axis.contour(coco.decode(mask), [0.5], colors=[f"C{place % 10}"], linewidths=1.5)
            axis.axis("off")
    save(figure, path)


def draw(record, path):
    """The mask AP50 over the training, seeds as bands, and the mask AP at its end with the spread over images."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for number, name in enumerate(TRAININGS):
        runs = of(record["runs"], name)
        band(left, runs, "mask_ap50", color=f"C{number}", label=name)
        for place, run in enumerate(runs):
            ap, (low, high) = final("mask_ap")(run), run["measured"]["interval"]
            x = number + 0.15 * (place - (len(runs) - 1) / 2)
            right.errorbar(x, ap, [[max(ap - low, 0)], [max(high - ap, 0)]], fmt="o", color=f"C{number}", capsize=3)
    left.set(xlabel="steps", ylabel="mask AP at an IoU of 0.5, %", ylim=(0, 100))
    left.legend()
    right.set_xticks(range(len(TRAININGS)), TRAININGS)
    right.set(ylabel="mask AP, %", title="a point a seed; bars: 95 % of draws of test images")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    save(figure, path)


STUDY = Study(
    script="mask_rcnn_nuclei",
    description=__doc__,
    trainings=TRAININGS,
    claims=[
        Least(
            *("B9", "mask AP at an IoU of 0.5, %", "align", final("mask_ap50"), lambda runs: 70.0),
            rule="more than 70 in each of 3 seeds",
        ),
        Difference(
            *("B9", "RoIAlign's mask AP less RoI pooling's, points", "align", "pool", final("mask_ap")),
            margin=0.0,
            paper=3.4,
        ),
        Difference(
            *("B9", "mask AP with a sigmoid for each class less with a softmax, points"),
            *("align", "softmax", final("mask_ap")),
            margin=0.0,
            paper=5.5,
        ),
    ],
    deviations=[
        "nuclei of 256x256 pixels in place of COCO; one class",
        f"ResNet-18 from random weights, 64 boxes an image, batches of 2, {EPOCHS} epochs",
    ],
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
