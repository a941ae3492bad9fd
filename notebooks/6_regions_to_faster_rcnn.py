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
# # 6. Regions, from selective search to Faster R-CNN
#
# To detect is to say *what* is in an image and *where*. A classifier says what. The first detectors of this line asked
# it about many regions, and each that followed moved one more part of the work into the network:
#
# | | regions come from | the convolutions run | classes and boxes come from |
# |---|---|---|---|
# | R-CNN, 2014 | selective search | once a region, about 2,000 times | SVMs, a regression |
# | SPPNet, 2014 | selective search | once an image | SVMs, a regression |
# | Fast R-CNN, 2015 | selective search | once an image | the network |
# | Faster R-CNN, 2015 | the network | once an image | the network |
#
# Claims of the notes: B1 (IoU, suppression), B3 (selective search), B4 to B7. What was measured of them stands in
# [RESULTS.md](../RESULTS.md).

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import tensorflow as tf
from skimage.segmentation import felzenszwalb, mark_boundaries

from keras_cnns import faster_rcnn, ops
from keras_cnns.data import digit_boxes
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.boxes import scale_objects, size_among_objects
from keras_cnns.data.detection import truth
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import FasterRCNNTraining, selective_search
from keras_cnns.evaluation import best_overlaps
from keras_cnns.training import Adam

SHORT = "KERAS_CNNS_SHORT" in os.environ  # fewer steps and images: that it runs, not what it shows
keras.utils.set_random_seed(0)

# %%
GREEN, RED, BLUE, GREY = "limegreen", "red", "deepskyblue", "0.6"


def draw(axes, image, title, *groups):
    """An image with groups of boxes, each (boxes, colour)."""
    axes.imshow(image, cmap="gray")
    axes.set(xticks=[], yticks=[], title=title)
    for boxes, colour in groups:
        for x1, y1, x2, y2 in np.asarray(boxes):
            corner, width, height = (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1
            axes.add_patch(plt.Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=1.5))


# %% [markdown]
# ## How much do two boxes agree?
#
# *Intersection over union* (IoU): the area that two boxes share, divided by the area that they cover together. It is 1
# for equal boxes, 0 for boxes apart, and knows no pixels: twice the size, the same IoU. Boxes are (x1, y1, x2, y2)
# here, the end exclusive. Two squares of 10, one shifted by 5, share 50 of 150 pixels:

# %%
print(f"IoU {float(ops.iou([[0, 0, 10, 10]], [[5, 0, 15, 10]])[0, 0]):.4f}, by hand {50 / 150:.4f}")

shifts = np.linspace(0, 1, 50)
moved = np.stack([shifts, 0 * shifts, 1 + shifts, 1 + 0 * shifts], axis=1)  # a square of side 1, shifted to the right
diagonal = moved + np.stack([0 * shifts, shifts] * 2, axis=1)
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
for boxes, name in ((moved, "to the right"), (diagonal, "to the right and down")):
    axes.plot(shifts, ops.iou(boxes, [[0, 0, 1, 1]]), label=f"shifted {name}")
axes.axhline(0.5, color=GREY, linestyle=":", label="counts as found (VOC)")
axes.set(xlabel="shift, in sides of the square", ylabel="IoU")
axes.legend()
plt.show()

# %% [markdown]
# A shift by a fifth in both directions already brings a box under one half. IoU is stricter than it looks.
#
# ## Selective search: regions without learning
#
# Felzenszwalb's *superpixels* are the start: small patches of one colour. Selective search joins the two neighbours
# that are most alike in colour, texture, size and fill, then again, until one region is left. Every region that came to
# be on the way is a proposal, so that there are large and small ones. Here is a photograph that comes with
# scikit-image, and five objects whose boxes were marked by eye.

# %%
photo = skimage.data.astronaut()
objects = {
    "head": (153, 15, 302, 190),
    "shuttle": (355, 0, 472, 290),
    "patch": (133, 347, 209, 423),
    "name": (278, 337, 328, 378),
    "helmet": (277, 344, 497, 512),
}
superpixels = felzenszwalb(photo, scale=100, sigma=0.8, min_size=100)
proposals = selective_search(photo, "single" if SHORT else "fast")
print(f"{superpixels.max() + 1} superpixels with one setting; {len(proposals):,} boxes in all")

figure, grid = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
draw(grid[0], photo, "objects, marked by eye", (list(objects.values()), GREEN))
draw(grid[1], mark_boundaries(photo, superpixels, color=(1, 1, 0)), "superpixels")
plt.show()

# %% [markdown]
# The boxes come in an order: large regions tend to come first, and chance mixes them. How many does it take until each
# object has a good one? Red are the boxes, green the best of them for each object.

# %%
counts = [10, 100, len(proposals)]
truths = np.float32(list(objects.values()))
figure, grid = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
for axes, count in zip(grid, counts, strict=True):
    overlaps = ops.iou(truths, proposals[:count]).numpy()
    title = f"the first {count:,}: mean of the best IoU {overlaps.max(axis=1).mean():.2f}"
    shown = [] if count > 100 else proposals[:count]
    draw(axes, photo, title, (shown, RED), (proposals[overlaps.argmax(axis=1)], GREEN))
plt.show()

# %%
ranks = np.unique(np.geomspace(1, len(proposals), 60).astype(int))
curves = best_overlaps([proposals], [truths], ranks.tolist())  # (ranks, objects)
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, curve in zip(objects, curves.T, strict=True):
    axes.plot(ranks, curve, label=f"{name}, at last {curve[-1]:.2f}")
axes.axhline(0.5, color=GREY, linestyle=":")
axes.set(xscale="log", xlabel="boxes taken", ylabel="best IoU so far")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# Nobody told it what a helmet is, and almost every object gets a good box in time. That takes many boxes, and the mean
# over the classes of such best overlaps (MABO) is what B3 measures, on hundreds of photographs.
#
# ## R-CNN warps each region, and pays for it
#
# A network with dense layers wants one size. R-CNN brings every region to 227x227, with 16 pixels of what surrounds it,
# whatever its shape, and runs the whole network on it. Neighbouring regions share most pixels, and share no work.

# %%
best = ops.iou(truths, proposals).numpy().argmax(axis=1)
warped = ops.warp_boxes(photo, proposals[best], 227, context=16).numpy()
figure, grid = plt.subplots(1, len(objects), figsize=(12, 2.7), layout="constrained")
for axes, name, image in zip(grid, objects, warped, strict=True):
    draw(axes, np.uint8(np.clip(image, 0, 255)), name, ([(16, 16, 211, 211)], GREEN))
plt.show()

taken = proposals[:2000]
times = len(taken) * 227**2 / photo[..., 0].size
print(f"{len(taken):,} regions of 227x227 are {times:,.0f} times the pixels of the photograph itself")

# %% [markdown]
# ## One map for all regions: RoI pooling
#
# SPPNet and Fast R-CNN run the convolutions once, and cut the regions out of the last map. A cell of that map is 16
# pixels wide, so the box is scaled by 1/16 and rounded to cells. Then it is divided into, say, 3x3 bins, and each bin
# keeps its maximum. All regions get one size, and the dense layers can follow. As a map here is the brightness of the
# photograph in cells of 16x16 pixels; a network has hundreds of such maps.

# %%
brightness = photo.mean(axis=-1).reshape(32, 16, 32, 16).mean(axis=(1, 3))  # 32x32 cells
box = np.float32(objects["shuttle"])
pooled = ops.roi_pool(brightness[None, :, :, None].astype("float32"), box[None, None], 3, 1 / 16)[0, 0, :, :, 0]
first, last = np.floor(box[:2] / 16 + 0.5), np.floor(box[2:] / 16 + 0.5) + 1  # both ends rounded, the last cell inside
figure, grid = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
draw(grid[0], photo, "the box", ([box], GREEN))
draw(grid[1], brightness, "the map; blue: the box in whole cells", ([box / 16], GREEN), ([[*first, *last]], BLUE))
draw(grid[2], pooled, "maxima of 3x3 bins")
for (row, column), value in np.ndenumerate(pooled.numpy()):
    grid[2].text(column, row, f"{value:.0f}", ha="center", va="center", color=BLUE)
plt.show()

# %% [markdown]
# Green and blue differ. Both ends are rounded to cells, and the last cell is inside as a whole: the near edges move by
# up to 8 pixels, the far ones by 8 to 24. That is harmless for a class, and chapter 7 shows what it does to masks. B5
# and B6 measure the times of R-CNN, SPPNet and Fast R-CNN with one trunk.
#
# ## Many boxes for one object: non-maximum suppression
#
# A detector scores hundreds of boxes, and several fit the same object. Suppression is greedy: keep the box with the
# highest score, drop all that overlap it by more than a threshold, and go on with what is left. Here are a page of
# handwritten digits, its selective search, and an ideal detector whose score is the IoU with the nearest digit.

# %%
pages = digit_boxes("test", side=2)
page, digits = pages.arrays[0][0], truth(pages.arrays[1][0])["boxes"]
boxes = selective_search(page, "quality")
scores = ops.iou(boxes, digits).numpy().max(axis=1)
boxes, scores = boxes[scores > 0.3], scores[scores > 0.3]

left, kept = np.argsort(-scores), []
figure, grid = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
draw(grid[0], page, f"{len(boxes)} boxes over 0.3", (boxes, RED))
for axes in grid[1:]:
    if len(left):
        kept.append(left[0])
        overlaps = ops.iou(boxes[left], boxes[left[:1]]).numpy()[:, 0]
        gone, left = left[overlaps > 0.3], left[overlaps <= 0.3]
        title = f"keep {scores[kept[-1]]:.2f}, drop {len(gone) - 1}, {len(left)} left"
        draw(axes, page, title, (boxes[gone], RED), (boxes[kept], GREEN))
        axes.title.set_fontsize(9)
plt.show()

# %%
everything = ops.non_max_suppression(boxes, scores, iou_threshold=0.3, max_outputs=100).numpy()
print("the library keeps the same first ones:", everything[: len(kept)].tolist() == [int(each) for each in kept])
print(f"kept {len(everything)} of {len(boxes)} boxes for {len(digits)} digits")

# %% [markdown]
# ## Anchors: proposals by a network
#
# Selective search became the slowest part. Faster R-CNN asks the network itself. At each cell of its last map stand k
# fixed boxes, the *anchors*, of several sizes and shapes. A small convolution gives each anchor two scores (an object,
# or none) and four numbers (how to move and stretch it): 2k and 4k outputs a cell. Pages of nine digits, at twice their
# size, have 11x11 cells.

# %%
SIDE, SCALES = 168, (1, 2, 4)  # pixels of a page; of an anchor's side to the 16 of a cell
prepare = scale_objects(SIDE, SIDE), image_alone(subtract_mean(33.0)), size_among_objects
train, test = (digit_boxes(split).each(*prepare) for split in ("train", "test"))
images, rows = next(iter(test.batches(2 if SHORT else 8)))
page, digits = np.uint8(images[0].numpy() + 33), truth(rows[0])["boxes"]

first = ops.generate_anchors(16, scales=SCALES)
anchors = ops.grid_anchors(first, (11, 11), stride=16).numpy()
labels, of = (each.numpy() for each in ops.label_anchors(anchors, digits, (SIDE, SIDE)))
print(f"{len(first)} anchors a cell, {len(anchors):,} in all:", end=" ")
print(f"{(labels == 1).sum()} objects, {(labels == 0).sum()} background, {(labels == -1).sum()} ignored")

figure, grid = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
draw(grid[0], page, "the anchors of the middle cell", (anchors[60 * 9 : 61 * 9], BLUE))
draw(grid[1], page, "the digits", (digits, GREEN))
draw(grid[2], page, "positive anchors", (anchors[labels == 1], RED))
plt.show()

# %% [markdown]
# An anchor is *positive* if its IoU with some object is 0.7 or more, or is the highest that this object has from any
# anchor (else some objects would have none); *negative* under 0.3; ignored between, and where it crosses the border. A
# positive one is told how to become its object. Two numbers are the way from middle to middle in the anchor's sides,
# two the logarithms of how much larger the object's sides are, so that anchors of all sizes learn alike.

# %%
some = np.flatnonzero(labels == 1)[:4]
deltas = ops.encode_boxes(digits[of[some]], anchors[some]).numpy()
for anchor, delta in zip(anchors[some], deltas, strict=True):
    print("anchor", anchor.astype(int).tolist(), "  dx, dy, dw, dh", " ".join(f"{each:+.2f}" for each in delta))
back = ops.decode_boxes(deltas, anchors[some]).numpy()
print(f"decoded again they are the digits' boxes: within {abs(back - digits[of[some]]).max():.1g} pixels")

# %% [markdown]
# ## Train the region proposal network
#
# `faster_rcnn` is the paper's network, here with ZF's trunk and from random weights; the paper starts from ImageNet's.
# Its proposals before any training come first. Then only the proposing part learns, from a few hundred pages, for a
# minute or two.

# %%
network = faster_rcnn((SIDE, SIDE, 3), classes=10, trunk="zf", scales=SCALES, proposals=50)
sizes = tf.constant([[SIDE, SIDE]] * len(images), tf.float32)
before = network([images, sizes], training=False)[2].numpy()

steps, epochs = (2, 1) if SHORT else (50, 5)
training = FasterRCNNTraining(network, learns=("rpn",))
training.compile(Adam(1e-4))
for epoch in range(epochs):
    training.fit(train.batches(4, shuffle=True, epoch=epoch, count=steps), shuffle=False, verbose=2)
after = network([images, sizes], training=False)[2].numpy()

# %%
figure, grid = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
draw(grid[0], page, "digits", (digits, GREEN))
draw(grid[1], page, "its first 9 proposals, untrained", (before[0, :9], RED))
draw(grid[2], page, "its first 9 proposals, trained", (after[0, :9], RED))
plt.show()

pixels = [np.uint8(image + 33) for image in images.numpy()]
there = [truth(each)["boxes"] for each in rows]
searched = [selective_search(each) for each in pixels]
for name, found in (("selective search", searched), ("untrained", before), ("trained", after)):
    best = best_overlaps(list(found), there, (9, 20, 50))  # (counts, digits)
    shares = ", ".join(f"{(row >= 0.5).mean():.0%} by {count}" for count, row in zip((9, 20, 50), best, strict=True))
    print(f"{name}: digits with an IoU of one half or more: {shares} boxes")

# %% [markdown]
# A trained proposer needs a few boxes where selective search needs many, because it has learned what an object *is* on
# such pages. On photographs of another kind it would have to learn again; selective search would not. Claim B7 compares
# the two in a whole detector: `python -m reproductions.faster_rcnn_bccd`.

# %% [markdown]
# ## Exercise
#
# Train the network again with `SCALES = (4, 8, 16)`, the scales that suit photographs of 600 pixels.
#
# 1. Before you start, say how many positive anchors a page will have, and which rule makes them positive.
# 2. Say what happens to the share of digits found by 9 boxes, and why the deltas cannot repair it at once.
#
# You are right if `label_anchors` counts what you said, if `ops.iou(anchors, digits)` shows that no anchor reaches 0.7,
# and if the printed deltas dw and dh of the positive anchors are all negative.
