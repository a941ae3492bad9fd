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
# # 5. Segmentation
#
# A classifier says *what* is in an image; a segmentation says it of every pixel. The way there: a dense layer is a
# convolution (so that a classifier works on any size and answers with a map), a coarse map is brought back to the
# image's size (unpooling, transposed convolution), and an encoder-decoder learns both halves together.
#
# The claims C5 and S1 to S6 are decided in [RESULTS.md](../RESULTS.md). Two to three minutes on a laptop.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.colors import ListedColormap
from skimage import data

from keras_cnns import layers, segnet_basic
from keras_cnns.data import digit_masks, digits, median_frequency_weights
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.evaluation import confusion_scores, segmentation_scores
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.segmentation import convolutionalize, segment
from keras_cnns.training import SGD
from reproductions.four_layer_cifar10 import four_layers

# %%
SHORT = "KERAS_CNNS_SHORT" in os.environ  # the tests run a short form
IMAGES, EPOCHS, TEST = (64, 1, 16) if SHORT else (2_000, 3, 300)


def show(pictures, height=2.6, **style):
    """Pictures side by side, from a dict of titles."""
    _, axes = plt.subplots(1, len(pictures), figsize=(12, height), layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, **style)
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plt.show()


# %% [markdown]
# ## A dense layer is a convolution (C5)
#
# The network of chapter 4 ends in a dense layer on maps of 4x4x64. Each of its ten units multiplies all 1,024 numbers
# with weights and sums: what a filter of 4x4 does at one place. `convolutionalize` writes the same weights as filters.
# Nothing is added, but now a larger image is allowed, and a map of answers comes out.

# %%
train, test = digits("train").take(2 * IMAGES), digits("test")
mean = float(train.arrays[0].mean())
prepare = subtract_mean(mean, 64.0)
keras.utils.set_random_seed(0)
classifier = four_layers((32, 32, 1), 10, activation="relu", pooling="plain", normalised=False, dropout=False)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
classifier.compile(SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
for epoch in range(EPOCHS):
    classifier.fit(train.map(prepare).batches(64, epoch=epoch, shuffle=True), shuffle=False, verbose=0)

everywhere = convolutionalize(classifier)
image = (test.arrays[0][:1] - mean) / np.float32(64)
print("parameters:", f"{classifier.count_params():,} and {everywhere.count_params():,}")
print("largest difference of a logit:", float(tf.reduce_max(abs(classifier(image) - everywhere(image)[:, 0, 0]))))

# %% [markdown]
# Digits on a large sheet: the classifier, slid over it in one pass (S6 measures how much faster that is than window by
# window). The map has one pixel for each step of 8 pixels, the three poolings' strides. It is coarse: that is the
# problem of the rest of this chapter. Where a window holds no whole digit, the answer means nothing.

# %%
pixels, labels = test.arrays
sheet = np.zeros((72, 168, 1), "uint8")
placed = [int(np.flatnonzero(labels == digit)[0]) for digit in (3, 5, 0, 8, 2, 6)]
for number, corner in zip(placed, [(2, 4), (8, 54), (0, 108), (38, 24), (40, 84), (36, 134)], strict=True):
    window = sheet[corner[0] : corner[0] + 32, corner[1] : corner[1] + 32]
    window[:] = np.maximum(window, pixels[number])
scores = tf.nn.softmax(everywhere((sheet[None] - mean) / np.float32(64)))[0].numpy()
print("the sheet:", sheet.shape[:2], " the map of answers:", scores.shape[:2])
answers = {f"probability of {digit}": scores[..., digit] for digit in (5, 2)}
show({"the sheet": sheet[..., 0] / 255, **answers}, height=2.1, cmap="magma", vmin=0, vmax=1)

# %% [markdown]
# ## Back to the image's size: three unpoolings (S3)
#
# A pooling keeps one number of each window. To undo it, put the number into all pixels of the window (nearest), into
# its upper left corner (bed of nails), or where the maximum **was**, if the pooling has remembered the place.

# %%
numbers = np.float32([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]])[None, :, :, None]
pooled, places = layers.MaxPoolingWithIndices(2)(numbers)
ways = {"map": numbers, "largest of 2x2": pooled, "nearest": layers.NearestUnpooling(2)(pooled)}
ways |= {"bed of nails": layers.BedOfNailsUnpooling(2)(pooled), "max unpooling": layers.MaxUnpooling(2)(pooled, places)}
_, axes = plt.subplots(1, 5, figsize=(12, 2.6), layout="constrained")
for axis, (title, grid) in zip(axes, ways.items(), strict=True):
    grid = np.asarray(grid)[0, :, :, 0]
    axis.imshow(grid, cmap="Blues", vmin=0, vmax=12)
    for (row, column), value in np.ndenumerate(grid):
        axis.text(column, row, int(value), ha="center", va="center")
    axis.set_title(title, fontsize=10)
    axis.axis("off")
plt.show()

# %% [markdown]
# On a photograph, in windows of 4x4. The error is the root of the squared difference, as a share of the image's own.
# Nearest looks best by far, as a photograph is smooth. What remembers the places keeps the outlines sharp, and leaves
# the gaps to the convolutions that follow. (For a network's maps, see S3 in RESULTS.md.)

# %%
coins = data.coins()[:300, :380].astype("float32")[None, :, :, None] / 255
pooled, places = layers.MaxPoolingWithIndices(4)(coins)
ways = {"nearest": layers.NearestUnpooling(4)(pooled), "bed of nails": layers.BedOfNailsUnpooling(4)(pooled)}
ways["max unpooling"] = layers.MaxUnpooling(4)(pooled, places)
error = {name: np.linalg.norm(each - coins) / np.linalg.norm(coins) for name, each in ways.items()}
shown = {"photograph": coins, **{f"{name}: error {error[name]:.2f}": each for name, each in ways.items()}}
show({title: np.asarray(each)[0, 100:200, 100:220, 0] for title, each in shown.items()}, cmap="gray", vmin=0, vmax=1)

# %% [markdown]
# ## Transposed convolution (S4)
#
# A convolution gathers a window into one number; its transpose spreads one number over a window: every pixel stamps the
# filter, times its value, and where stamps overlap they add. With a stride of 4 the stamps lie four pixels apart, and
# the map grows four times. FCN starts from the filter that interpolates, a tent, and lets it learn. It is the transpose
# of a convolution and not its inverse: what was lost does not come back.

# %%
dots = np.zeros((1, 6, 6, 1), "float32")
dots[0, 1, 1], dots[0, 3, 4] = 1, 1
stamp = layers.BilinearUpsampling(4)
stamped = stamp(dots)
heat = layers.BilinearUpsampling(8)(scores[None, ..., 5:6])
show(
    {
        "two pixels": dots[0, ..., 0],
        "the filter, 8x8": stamp.kernel[..., 0, 0],
        "two stamps, stride 4": stamped[0, ..., 0],
        "probability of 5, times 8": heat[0, ..., 0],
    },
    cmap="magma",
)

# %% [markdown]
# ## SegNet-Basic (S5)
#
# Four encoders (7x7 convolution, normalisation, ReLU, pooling that remembers) and four decoders (unpooling to the
# remembered places, convolution). The task: for each pixel, is it paper, or the ink of a 0, 1, ... 9? To name one pixel
# the network has to know the whole digit. Grey pixels between ink and paper are *void* (white
# below) and count nowhere.

# %%
masks_train, masks_test = digit_masks("train").take(IMAGES), digit_masks("test").take(TEST)
names = masks_train.labels
colours = ListedColormap(["black", *plt.get_cmap("tab10").colors])
drawn, painted = masks_train.arrays
_, axes = plt.subplots(2, 10, figsize=(12, 2.6), layout="constrained")
for (above, below), image, mask in zip(axes.T, drawn, painted, strict=False):
    above.imshow(image)
    below.imshow(np.ma.masked_equal(mask, 255), cmap=colours, vmin=0, vmax=10, interpolation="nearest")
    above.axis("off")
    below.axis("off")
plt.show()

# %% [markdown]
# A network knows what it was shown. Single digits would never show it paper *between* digits, so it gets sheets of
# four. Most pixels are paper. So that the network does not simply say so everywhere, a pixel's loss is weighted by how
# rare its class is: median frequency balancing. (The paper trains by SGD for hours; for one minute Adam is kinder.)


# %%
def sheets(images):
    """Sheets of two by two images, as the network takes them, and their masks."""
    shape = (-1, 2, 2, 32, 32)
    drawn, painted = (
        each.reshape(*shape, *each.shape[3:]).swapaxes(2, 3).reshape(-1, 64, 64, *each.shape[3:])
        for each in images.arrays
    )
    return (drawn - mean) / np.float32(64), painted


weights = median_frequency_weights(masks_train.take(300))
print("weights:", {name: round(float(weight), 2) for name, weight in zip(names, weights, strict=True)})

keras.utils.set_random_seed(0)
network = segnet_basic((None, None, 3), classes=len(names))
network.compile(keras.optimizers.Adam(1e-3), PixelCrossEntropy(weights))
history = network.fit(*sheets(masks_train), batch_size=8, epochs=EPOCHS, verbose=0).history
print("loss after each epoch:", [round(loss, 3) for loss in history["loss"]])

# %%
images, masks = sheets(masks_test)
figures = segmentation_scores(network, tf.data.Dataset.from_tensor_slices((images, masks)).batch(25), names)
for name in ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu"):
    print(f"{name:22} {figures[name]:5.1f} %")
union = {name: figures[f"iu_{name}"] for name in names if f"iu_{name}" in figures}
plt.figure(figsize=(8, 3))
plt.bar(union.keys(), union.values())
plt.ylabel("intersection over union, %")
plt.show()

# %% [markdown]
# ## Any size (S1)
#
# The network was trained on sheets of 64x64 with the digits in a grid. It has no dense layer, so it takes the sheet of
# this chapter's beginning as well, where they lie anywhere.

# %%
(label_map,) = segment(network, [sheet], layers.Preprocessing(None, mean=mean, scale=1 / 64))
_, axes = plt.subplots(2, 1, figsize=(9, 7), layout="constrained")
axes[0].imshow(sheet[..., 0], cmap="gray")
picture = axes[1].imshow(label_map, cmap=colours, vmin=-0.5, vmax=10.5, interpolation="nearest")
bar = plt.colorbar(picture, ax=axes, ticks=range(11), shrink=0.7)
bar.ax.set_yticklabels(names)
for axis in axes:
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Exercise
#
# Why is the mean IU the usual figure, and not the share of right pixels? Fill the confusion matrix yourself: row i and
# column j count the pixels of class i that were named j; void pixels (255) are left out.
#
# You are right when your mean IU is the one above; the last line tells. Then do it again with `named[:] = 0`, a network
# that says *paper* everywhere: how good is it by pixel accuracy, how good by mean IU?

# %%
named = network.predict(images, verbose=0).argmax(axis=-1)
confusion = np.eye(len(names))  # replace this by your counts of (masks, named)

mine = confusion_scores(confusion, names)
print({name: round(mine[name], 1) for name in ("pixel_accuracy", "mean_iu")})
print("right" if abs(mine["mean_iu"] - figures["mean_iu"]) < 0.1 else "not yet")
