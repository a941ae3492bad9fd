# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. One-shot detection and masks
#
# Faster R-CNN looks twice: it proposes, then it classifies. *YOLO* (2016) looks once: one pass of one network gives all
# boxes, and what they are. The first half of this chapter takes its output and its loss apart. The second half asks for
# more than a box: *Mask R-CNN* (2017) says which pixels are the object's, and for that it has to stop rounding.
#
# Claims of the notes: B8 (YOLO's grid, one pass, its speed) and B9 (RoIAlign in place of RoI pooling). What was
# measured of them stands in [RESULTS.md](../RESULTS.md).

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_cnns import ops, yolo
from keras_cnns.data import digit_boxes, digit_instances
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import jitter_objects
from keras_cnns.data.detection import truth
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import yolo_detector
from keras_cnns.evaluation import voc_scores
from keras_cnns.losses import YOLOLoss
from keras_cnns.training import Adam

SHORT = "KERAS_CNNS_SHORT" in os.environ  # fewer steps and images: that it runs, not what it shows
keras.utils.set_random_seed(0)

# %%
GREEN, RED, BLUE = "limegreen", "red", "deepskyblue"


def draw(axes, image, title, boxes=(), colour=RED, names=None):
    """An image with boxes, and with their names if there are any."""
    axes.imshow(image, cmap="gray")
    axes.set(xticks=[], yticks=[], title=title)
    for number, (x1, y1, x2, y2) in enumerate(np.asarray(boxes)):
        corner, width, height = (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1
        axes.add_patch(plt.Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=1.5))
        if names is not None:
            axes.text(x1, y1 - 1, names[number], color=colour, fontsize=8, va="bottom")


# %% [markdown]
# ## The grid
#
# YOLO divides the image into SxS cells. The cell in which an object's *middle* lies is responsible for it, and no other
# is. Each cell gives C class scores and B boxes, each box with a confidence: C + 5B numbers a cell, whatever is in the
# image. Real images here are pages of four handwritten digits, moved and stretched at random. The paper has S = 7, B =
# 2 and C = 20 on photographs; here are S = 5, B = 2 and the ten digits.

# %%
SIDE, GRID, CLASSES = 64, 5, 10
SIZE = (SIDE, SIDE)
scale = image_alone(subtract_mean(0.0, 255.0))  # from 0 to 1
test = digit_boxes("test", side=2).each(jitter_objects(0.2, *SIZE)).map(scale)
images, rows = next(iter(test.batches(4)))
page, objects = images[0].numpy(), truth(rows[0])
there, cell_boxes, labels = ops.cell_objects(rows, (GRID, GRID), SIZE)

figure, axes = plt.subplots(figsize=(4.2, 4.4), layout="constrained")
draw(axes, page, "cells with an object's middle are red", objects["boxes"], GREEN, objects["labels"])
step = SIDE / GRID
for row, column in np.argwhere(there[0].numpy()):
    axes.add_patch(plt.Rectangle((column * step - 0.5, row * step - 0.5), step, step, color=RED, alpha=0.35))
for line in np.arange(1, GRID) * step - 0.5:
    axes.axhline(line, color=BLUE, linewidth=0.6)
    axes.axvline(line, color=BLUE, linewidth=0.6)
plt.show()
print(f"{GRID}x{GRID}x({CLASSES} + 5x2) = {GRID * GRID * (CLASSES + 10)} numbers an image")

# %% [markdown]
# ## What a perfect network would say
#
# Let us write the output of a network that knows everything. In a responsible cell: 1 at the class, confidence 1 for
# the first box, the middle (x, y) in the cell's own sides, and the *roots* of the width and the height in shares of the
# image. All else is 0. `yolo_boxes` reads it: a box's score for a class is confidence times class score.

# %%
known = tf.cast(there, tf.float32)[..., None]
names = tf.one_hot(labels, CLASSES) * known
first = tf.concat([cell_boxes[..., :2], tf.sqrt(cell_boxes[..., 2:])], axis=-1) * known
perfect = tf.concat([names, known, 0 * known, first, 0 * first], axis=-1).numpy()

boxes, scores = (each[0].numpy() for each in ops.yolo_boxes(perfect, CLASSES, SIZE))
sure = scores.max(axis=1) > 0.5
figure, grid = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
draw(grid[0], page, "digits", objects["boxes"], GREEN, objects["labels"])
draw(grid[1], page, "read from the perfect output", boxes[sure], RED, scores[sure].argmax(axis=1))
plt.show()
print(f"{len(boxes)} boxes come out of a page, {sure.sum()} of them with a score over one half")
row, column = np.argwhere(there[0].numpy())[0]
print("one responsible cell:", " ".join(f"{each:.3g}" for each in perfect[0, row, column]))

# %% [markdown]
# ## The loss, term by term
#
# YOLO is trained by squared errors. The perfect output costs nothing. Let us spoil one number at a time and see what it
# costs, beside the paper's equation 3 by hand. The confidence of a responsible box shall be the IoU that it *has*; a
# box that is moved is therefore also too sure of itself.

# %%
loss = YOLOLoss(CLASSES, SIZE)
empty_row, empty_column = np.argwhere(~there[0].numpy())[0]


def cost(place, number, value):
    """The first page's loss when one number of a cell is changed by this much."""
    spoiled = perfect[:1].copy()
    spoiled[(0, *place, number)] += value
    return float(loss(rows[:1], spoiled))


responsible, empty, label = (row, column), (empty_row, empty_column), int(labels[0, row, column])
print(f"nothing spoiled:                          {float(loss(rows[:1], perfect[:1])):.4f}")
print(f"class score 1 -> 0:                       {cost(responsible, label, -1):.4f}, by hand {1**2:.4f}")
print(f"confidence of the responsible box -> 0.4: {cost(responsible, 10, -0.6):.4f}, by hand {0.6**2:.4f}")
print(f"confidence in an empty cell -> 0.4:       {cost(empty, 10, 0.4):.4f}, by hand {0.5 * 0.4**2:.4f}")
print(f"x off by a tenth of a cell:               {cost(responsible, 12, 0.1):.4f}, by hand {5 * 0.1**2:.4f} and more")

# %% [markdown]
# Why 0.5 for empty boxes? Most boxes are empty, and at the same price their push towards 0 would drown the few objects.
# Why 5 for coordinates? A tenth of a cell would else be worth next to nothing.
#
# And why roots? Two pixels too wide ruin a small box and hardly touch a large one. Without roots they cost the same.

# %%
widths, error = np.linspace(0.05, 1, 100), 2 / SIDE
figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
axes.plot(widths * SIDE, 5 * (np.sqrt(widths + error) - np.sqrt(widths)) ** 2, label="of the roots, as in YOLO")
axes.plot(widths * SIDE, np.full(100, 5 * error**2), "--", label="of the widths themselves")
axes.set(xlabel="width of the box, pixels", ylabel="cost of two pixels too many", ylim=(0, None))
axes.legend()
plt.show()

# %% [markdown]
# ## Train it
#
# `yolo(variant="fast")` is the paper's Fast YOLO, 9 convolutions, here on 64x64 pixels and from random weights. The
# paper pre-trains the convolutions on ImageNet for a week, and then trains for 135 epochs; a few minutes are far less.
# It learns from pages that are moved and stretched anew each time.

# %%
train = digit_boxes("train", side=2).each(jitter_objects(0.2, *SIZE)).map(scale)
model = yolo((*SIZE, 3), CLASSES, "fast", grid=GRID)
print(f"{model.count_params():,} parameters; {len(train):,} pages")

steps, epochs = (1, 1) if SHORT else (150, 5)
schedule = keras.optimizers.schedules.CosineDecay(2e-4, steps * epochs)
model.compile(Adam(schedule), loss, jit_compile=False)
losses = []
for epoch in range(epochs):
    batches = train.batches(16, shuffle=True, epoch=epoch, count=steps)
    losses += model.fit(batches, shuffle=False, verbose=2).history["loss"]

# %% [markdown]
# Its own suppression and threshold are in `yolo_detector`. First a page of the training, then pages that it never saw.
# The mean average precision is VOC's: a box counts if its class is right and its IoU with the digit is at least 0.5.

# %%
detector = yolo_detector(model, CLASSES)


def found_in(images):
    """What the detector finds in each image, as `voc_scores` takes it."""
    results = []
    for boxes, scores, labels in zip(*detector.predict(images, verbose=0), strict=True):
        results.append({"boxes": boxes[scores > 0], "scores": scores[scores > 0], "labels": labels[scores > 0]})
    return results


seen, _ = next(iter(train.batches(1)))
figure, grid = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
shown = np.concatenate([seen.numpy(), images[:3].numpy()])
for axes, image, found, kind in zip(grid, shown, found_in(shown), ["training", *["unseen"] * 3], strict=True):
    best = np.argsort(-found["scores"])[:4]
    text = [f"{label} {score:.2f}" for label, score in zip(found["labels"], found["scores"], strict=True)]
    draw(axes, image, f"{kind}: the best four boxes", found["boxes"][best], RED, np.array(text)[best])
plt.show()

# %%
for name, pages in (("pages of the training", train), ("unseen pages", test)):
    found, real = [], []
    for batch, objects_of_batch in pages.batches(4 if SHORT else 16, count=1 if SHORT else 8):
        found += found_in(batch)
        real += [truth(each) for each in objects_of_batch]
    whatever = [{**each, "labels": 0 * each["labels"]} for each in found]
    boxes_alone = voc_scores(whatever, [{**each, "labels": 0 * each["labels"]} for each in real], ["digit"], "area")
    right = voc_scores(found, real, test.labels, "area")
    print(f"{name}: mAP {right['map']:.1f} %; {boxes_alone['map']:.1f} % if any digit counts for any other")
print("loss after each epoch:", np.round(losses, 2).tolist())

# %% [markdown]
# The two percentages say what is missing: between them lie the wrong classes, and from the second up to 100 the wrong
# or missing boxes. Claim B8 is about photographs of blood cells, and about speed: `python -m reproductions.yolo_bccd`.
#
# ## From boxes to pixels: RoIAlign
#
# Mask R-CNN adds a branch to Faster R-CNN that draws a small mask in each box. RoI pooling (chapter 6) rounds a box to
# cells of 16 pixels. To see what that costs, take a map whose value *is* the place: a ramp. Move a box to the right, a
# pixel at a time. What lies under it should grow by as much.

# %%
ramp = np.broadcast_to(16 * (np.arange(40, dtype="float32") + 0.5), (1, 40, 40))[..., None]  # pixels of a cell's middle
moves = np.arange(0, 65, dtype="float32")
boxes = np.stack([100 + moves, 100 + 0 * moves, 292 + moves, 292 + 0 * moves], axis=1)[None]
aligned = ops.roi_align(ramp, boxes, 7, 1 / 16, aligned=True)[0, :, 3, 3, 0].numpy()  # the middle one of 7x7 bins
pooled = ops.roi_pool(ramp, boxes, 7, 1 / 16)[0, :, 3, 3, 0].numpy()

figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
axes.plot(moves, pooled - pooled[0], label="RoI pooling", color=RED)
axes.plot(moves, aligned - aligned[0], label="RoIAlign", color=GREEN, linewidth=3)
axes.plot(moves, moves, "k:", label="the box itself")
axes.set(xlabel="box moved by, pixels", ylabel="what lies under it moved by")
axes.legend()
plt.show()
for name, values in (("RoIAlign", aligned), ("RoI pooling", pooled)):
    print(f"{name}: at most {abs(values - values[0] - moves).max():.3g} pixels away from the box")

# %% [markdown]
# RoIAlign rounds nothing: it interpolates between cells at a few points of each bin, and takes their mean.
#
# ## Masks in their boxes
#
# A mask is learned at 28x28, in its box, whatever the object's size; afterwards it is pasted back into the image. Pages
# of nine digits have a mask for each digit: its ink.

# %%
pages = digit_instances("test").take(8)
images, (rows, masks) = next(iter(pages.batches(8)))
page, boxes, masks = np.uint8(images[0]), rows[0, :, :4].numpy(), masks.numpy()[0] / 255
small = ops.mask_targets(masks, boxes, boxes, size=28).numpy()
pasted = ops.paste_masks(small, boxes, page.shape[:2]).numpy()

figure, grid = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
draw(grid[0], page, "page and boxes", boxes, GREEN)
for axes, mask, number in zip(grid[1:4], small, range(3), strict=False):
    draw(axes, mask, f"mask {number} at 28x28")
colours = plt.colormaps["tab10"](np.arange(len(pasted)))[:, :3]
draw(grid[4], (pasted[..., None] * colours[:, None, None]).sum(axis=0).clip(0, 1), "pasted back")
plt.show()

# %% [markdown]
# A digit that is narrow looks wide at 28x28: each side is stretched for itself, and pasting undoes it.
#
# Now the same with rounding. Suppose that the network is perfect, but sees what lies under the *rounded* box, and that
# its mask is pasted into the true one. That is RoI pooling's fault, without any training. The digits are about 20
# pixels large, so cells of 2, 4 and 8 pixels are to them what 16 are to objects of 40 to 160.

# %%
ink = page[..., 0] >= 64


def mask_iou(seen, size=28):
    """Mean IoU with the ink of the masks that are taken from the boxes `seen` and pasted into the true ones."""
    pasted = ops.paste_masks(ops.mask_targets(masks, boxes, seen, size), boxes, page.shape[:2]).numpy()
    ious = []
    for mask, (x1, y1, x2, y2) in zip(pasted, boxes.astype(int), strict=True):
        own = np.zeros_like(ink)
        own[y1:y2, x1:x2] = ink[y1:y2, x1:x2]
        ious.append((mask & own).sum() / (mask | own).sum())
    return np.mean(ious), pasted


results = {"nothing rounded": mask_iou(boxes)}
for cell in (2, 4, 8):
    first = np.round(boxes[:, :2] / cell)
    last = np.maximum(np.round(boxes[:, 2:] / cell), first + 1)
    results[f"cells of {cell} pixels"] = mask_iou(cell * np.concatenate([first, last], axis=1))

# %%
figure, grid = plt.subplots(1, len(results), figsize=(12, 3.3), layout="constrained")
for axes, (name, (iou, pasted)) in zip(grid, results.items(), strict=True):
    together = np.stack([pasted.any(axis=0), ink, ink], axis=-1).astype(float)  # white: both; red, cyan: one alone
    draw(axes, together, f"{name}: IoU {iou:.2f}")
plt.show()
for size in (7, 14, 28, 56):
    print(f"masks of {size}x{size}, nothing rounded: IoU {mask_iou(boxes, size)[0]:.3f}")

# %% [markdown]
# White is right, red is mask without ink, cyan is ink without mask. A box may be a few pixels off and still be a good
# box; a mask may not. Claim B9 is this comparison with trained networks: `python -m reproductions.mask_rcnn_nuclei`.
#
# The notes' other point of Mask R-CNN: the class branch says *what*, and the mask branch draws one mask a class by a
# sigmoid each. Classes do not compete for a pixel, as they would in a softmax.

# %% [markdown]
# ## Exercise
#
# 1. Two digits whose middles lie in one cell: what does YOLO do? Build it. Take `rows[:1]` of a page, move one object's
#    box onto another's, and call `ops.cell_objects`. You are right if `there` has one cell fewer, and if the first of
#    the two in `rows` is the one that stays.
# 2. Spoil the perfect output so that the *second* box of a responsible cell becomes responsible. You are right if the
#    loss is 0 again when the two boxes and their confidences are swapped, and if the new place of the confidence is 11.
