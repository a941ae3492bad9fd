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
# # 9. Learning without labels
#
# Labels are dear, images are not. Can a network learn to see from images alone? It needs a task whose answer the image
# itself holds. Pretext tasks (turn an image and ask how far, cut it up and ask for the order) were the first. *SimCLR*
# (2020) asks: which two of these many pictures come from the same image?
#
# Claims of the notes: P1 (pretext tasks), P2 (SimCLR), P3 (MoCo). What was measured of them stands in
# [RESULTS.md](../RESULTS.md).

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import tensorflow as tf

from keras_cnns import evaluation, resnet_cifar, simclr
from keras_cnns.data import digits
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.random import example_keys
from keras_cnns.data.views import gaussian_blur, random_resized_crop, simclr_views, two_views, with_probability
from keras_cnns.losses import nt_xent
from keras_cnns.self_supervised import encoder_of
from keras_cnns.training import Adam

SHORT = "KERAS_CNNS_SHORT" in os.environ  # fewer steps and images: that it runs, not what it shows
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Two views of an image
#
# Cut out a random part, mirror it, change its colours, perhaps make it grey, perhaps blur it: that is a *view*. Two
# views of one image show the same thing and share hardly a pixel. To find the pair among others, a network must look
# past place, size and colour, at what is there. The photographs come with scikit-image; each row has one photograph's
# views.

# %%
photos = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
figure, grid = plt.subplots(len(photos), 9, figsize=(12, 4.2), layout="constrained")
for number, (row, photo) in enumerate(zip(grid, photos, strict=True)):
    images = np.repeat(photo[None], 4, axis=0)
    views = simclr_views(96)(images, example_keys(0, number, tf.range(4))).numpy()  # (4, 2, 96, 96, 3)
    row[0].imshow(photo)
    for axes, view in zip(row[1:], views.reshape(8, 96, 96, 3), strict=True):
        axes.imshow(np.uint8(view.clip(0, 255)))
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
grid[0, 0].set_title("photograph")
for number in range(8):
    grid[0, number + 1].set_title(f"pair {number // 2 + 1}")
plt.show()

# %% [markdown]
# Which views are right depends on what must *not* matter. A mirrored 2 is no 2, and digits have no colours. For them a
# view here is a part of at least half of the image, stretched and sometimes blurred.

# %%
digit_views = two_views(random_resized_crop(32, area=(0.5, 1.0)), with_probability(0.5, gaussian_blur()))
normal = subtract_mean(33.0, 78.0)  # about the mean and the deviation of a pixel
train, test = digits("train", channels=3), digits("test", channels=3)
if SHORT:
    train, test = train.take(200), test.take(60)

examples, _ = next(iter(train.batches(8)))
views = digit_views(examples, example_keys(0, 0, tf.range(8))).numpy()
figure, grid = plt.subplots(3, 8, figsize=(8, 3.2), layout="constrained")
for column, (image, pair) in enumerate(zip(examples.numpy(), views, strict=True)):
    for axes, shown in zip(grid[:, column], [image, *pair], strict=True):
        axes.imshow(np.uint8(shown))
        axes.set(xticks=[], yticks=[])
for axes, name in zip(grid[:, 0], ("digit", "view 1", "view 2"), strict=True):
    axes.set_ylabel(name)
plt.show()

# %% [markdown]
# ## The loss by hand
#
# Each view becomes a vector; only its direction counts. *NT-Xent* asks each vector to find its partner among all
# others: a softmax over the cosines, divided by a temperature. Four vectors will do, two images with two views each.

# %%
angles = np.radians([10, 150, 50, 200])  # first views of images A and B, then their second views
vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
names, partner, temperature = ["A", "B", "A'", "B'"], [2, 3, 0, 1], 0.5

weights = np.exp(vectors @ vectors.T / temperature)
np.fill_diagonal(weights, 0)  # nobody is compared with itself
shares = weights / weights.sum(axis=1, keepdims=True)
by_hand = -np.log(shares[range(4), partner]).mean()
print(f"by hand {by_hand:.5f}, nt_xent {float(nt_xent(vectors[:2], vectors[2:], temperature)):.5f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for name, (x, y) in zip(names, vectors, strict=True):
    left.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "C0" if "A" in name else "C1"})
    left.text(1.12 * x, 1.12 * y, name, ha="center", va="center")
left.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=[], yticks=[])
right.imshow(shares, cmap="Blues", vmin=0, vmax=2)
right.set(
    xticks=range(4), yticks=range(4), xticklabels=names, yticklabels=names, title="whom each takes for its partner"
)
for (row, column), share in np.ndenumerate(shares):
    right.text(column, row, f"{share:.2f}", ha="center", va="center", color="red" if partner[row] == column else "0.3")
plt.show()

# %% [markdown]
# The red shares should be 1. A lower temperature makes differences count more. See what it does to a pair that is
# further apart (A' at a growing angle from A) beside the one other image:

# %%
turns = np.radians(np.arange(0, 181, 60 if SHORT else 5))
figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for temperature in (0.1, 0.5, 1.0):
    values = []
    for turn in turns:
        moved = np.stack([np.cos([angles[0] + turn, angles[3]]), np.sin([angles[0] + turn, angles[3]])], axis=1)
        values.append(float(nt_xent(vectors[:2], moved, temperature)))
    axes.plot(np.degrees(turns), values, label=f"temperature {temperature}")
axes.set(xlabel="angle between A and A', degrees", ylabel="loss")
axes.legend()
plt.show()

# %% [markdown]
# ## Train an encoder
#
# The encoder is a small ResNet without its last layer: 64 numbers an image. `simclr` puts a projection head on it,
# which the loss sees and which is thrown away afterwards. How good are the features? *kNN*: an image takes the class
# that its nearest training images vote for. No weight is trained for that. Random weights come first, and the pixels
# themselves.

# %%
encoder = encoder_of(resnet_cifar(8))
labelled = [images.map(normal) for images in (train, test)]
before = [evaluation.features_of(encoder, images.batches(250)) for images in labelled]
pixels = [(images.arrays[0][..., 0].reshape(len(images), -1), images.arrays[1]) for images in (train, test)]
NEIGHBOURS = 20
print(f"pixels: kNN {evaluation.knn_accuracy(*pixels, k=NEIGHBOURS):.1f} %")
print(f"random weights: kNN {evaluation.knn_accuracy(*before, k=NEIGHBOURS):.1f} %")

# %%
model = simclr(encoder, dimensions=64, temperature=0.5)
batch, epochs = (64, 1) if SHORT else (250, 20)
steps = len(train) // batch
model.compile(Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps * epochs)), jit_compile=False)
pairs = train.map(digit_views, normal)
losses, accuracies = [], []
for epoch in range(epochs):
    batches = pairs.batches(batch, shuffle=True, epoch=epoch, drop_remainder=True)
    losses += model.fit(batches, shuffle=False, verbose=2).history["loss"]
    if epoch % 5 == 4 or epoch == epochs - 1:
        after = [evaluation.features_of(encoder, images.batches(250)) for images in labelled]
        accuracies.append((epoch + 1, evaluation.knn_accuracy(*after, k=NEIGHBOURS)))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(range(1, epochs + 1), losses, ".-")
left.set(xlabel="epochs", ylabel="NT-Xent")
right.plot([0], [evaluation.knn_accuracy(*before, k=NEIGHBOURS)], "o", color="0.5", label="random weights")
right.plot(*zip(*accuracies, strict=True), "o-", label="SimCLR")
right.axhline(evaluation.knn_accuracy(*pixels, k=NEIGHBOURS), color="0.5", linestyle=":", label="pixels")
right.set(xlabel="epochs", ylabel="kNN, % right")
right.legend()
plt.show()
print(f"chance would be a loss of {np.log(2 * batch - 1):.2f}: all {2 * batch - 1} others alike")

# %% [markdown]
# ## With labels at the end, many or few
#
# A *linear probe* trains one dense layer on features that stay as they are. With all labels it is easy to be good on
# digits. The point of learning without labels is to need few of them: here 5 % and 1 % of them, as many of each class.

# %%
kinds = {"pixels": pixels, "random weights": before, "SimCLR": after}
for share in (0.05,) if SHORT else (1.0, 0.05, 0.01):
    for name, (known, unknown) in kinds.items():
        some = evaluation.balanced_subset(known[1], share) if share < 1 else slice(None)
        accuracy = evaluation.linear_probe((known[0][some], known[1][some]), unknown)
        print(f"{len(known[1][some]):,} labels, linear probe on {name}: {accuracy:.1f} %")

# %% [markdown]
# ## See the features
#
# t-SNE lays the 64 numbers of each test image out in a plane: neighbours stay neighbours, distances far away mean
# little. The colours are the classes, which neither the encoder nor t-SNE was told.

# %%
figure, grid = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for axes, (name, (_, (features, labels))) in zip(grid, kinds.items(), strict=True):
    evaluation.draw_points(axes, evaluation.tsne(features), labels, test.labels)
    axes.set_title(name)
grid[-1].legend(markerscale=3, bbox_to_anchor=(1.0, 1.0), loc="upper left")
plt.show()

# %% [markdown]
# And the nearest training images of some test digits, by the trained features. What does the network take for alike?

# %%
queries = np.arange(8)
(known, _), (unknown, _) = after
places, cosines = evaluation.nearest_neighbours(known, unknown[queries], k=8)
figure, axes = plt.subplots(figsize=(6.5, 5.6), layout="constrained")
axes.imshow(evaluation.gallery(test.arrays[0][queries], train.arrays[0][places]))
axes.set(xticks=[], yticks=[], title="a test digit, and its eight nearest training images")
plt.show()
same = (train.arrays[1][places] == test.arrays[1][queries][:, None]).mean()
print(f"{same:.0%} of these neighbours have the query's class; cosines from {cosines.min():.3f} to {cosines.max():.3f}")

# %% [markdown]
# Digits are small, alike in size and always in the middle, so pixels are hard to beat on them; photographs are none of
# these. P1 to P3 are decided on CIFAR-10, with five ways to teach one encoder: `python -m
# reproductions.representations_cifar10`.

# %% [markdown]
# ## Exercise
#
# Add `random_flip` of `keras_cnns.data.augmentation` to `digit_views`, and turn the images upside down too with a
# function of your own, `lambda images, keys: images[:, ::-1]` behind `with_probability(0.5, ...)`. Train again.
#
# 1. Which digits should be confused now, and which not at all?
# 2. Find out: count, for each pair of classes, how often a test digit's nearest training image is of the other class.
#
# You are right if `places` and the labels show more of the confusions that you named (6 with 9, 2 with 5) than before,
# and if kNN's accuracy has fallen, whatever the loss says.
