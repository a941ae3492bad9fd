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
# # 1. Convolution and receptive fields
#
# What a convolution computes, how many numbers it has to learn, how large its output is, and how much of the image one
# number of its output has seen. All networks come from `keras_cnns`; every figure below is computed when you run the
# cell.
#
# The claims C1, C2, C3, C4 and C7 of these pages are decided in
# [RESULTS.md](../RESULTS.md) and by `python -m reproductions.arithmetic_claims`. Half a minute on a laptop.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.patches import Rectangle
from skimage import data
from sklearn.datasets import load_sample_image

from keras_cnns import alexnet, googlenet, resnet18, resnet_cifar, vgg
from keras_cnns.inspection import layer_table, measured_receptive_field, receptive_field
from keras_cnns.inspection.receptive_field import receptive_fields

SHORT = "KERAS_CNNS_SHORT" in os.environ  # the tests run a short form


def show(pictures, **style):
    """Pictures side by side, from a dict of titles."""
    _, axes = plt.subplots(1, len(pictures), figsize=(12, 12 / len(pictures) * 0.85 + 0.3), layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, **style)
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plt.show()


# %% [markdown]
# ## A filter slides over the image
#
# A filter is a small table of weights. It is laid on the image at every place; there the weights are multiplied with
# the pixels below them and summed. The sums are the output, called a *feature map*. A filter whose left column is
# negative and whose right column is positive answers where the image becomes brighter from left to right: an edge.

# %%
photo = load_sample_image("china.jpg") / np.float32(255)
grey = photo.mean(axis=-1)
upright = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")
filters = {"upright edges": upright, "level edges": upright.T, "blur": np.ones((9, 9), "float32") / 81}


def convolve(image, kernel, stride=1):
    """One channel, one filter."""
    return tf.nn.conv2d(image[None, :, :, None], kernel[:, :, None, None], stride, "VALID")[0, :, :, 0].numpy()


maps = {name: convolve(grey, kernel) for name, kernel in filters.items()}
show({"image": grey, **{name: np.abs(each) for name, each in maps.items()}}, cmap="gray")

# %% [markdown]
# One number of the second picture, by hand: nine products and their sum.

# %%
row, column = 120, 300
window = grey[row : row + 3, column : column + 3]
print("by hand:", (window * upright).sum(), " in the map:", maps["upright edges"][row, column])

# %% [markdown]
# ## How many weights? (C1)
#
# An image has channels (red, green, blue), and so has every later map: one for each filter before it. A filter reaches
# through **all** channels of what it is laid on, and gives **one** channel. Hence
#
# weights = height × width × channels of the input × number of filters.
#
# Here are AlexNet's five convolutions. It was trained on two graphics cards, in two *towers*: in conv2, conv4 and conv5
# a filter sees only the half of the channels that lay on its own card.

# %%
network = alexnet()
rows = {row.name: row for row in layer_table(network)}
print("layer   kernel  channels  filters  product   weights in the layer")
for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
    row = rows[name]
    channels, filters = network.get_layer(name).input.shape[-1] // row.groups, row.output_shape[-1]
    product = row.kernel**2 * channels * filters
    print(f"{name}   {row.kernel:2}x{row.kernel:<2}   {channels:8}  {filters:7}  {product:7}   {row.weights:7}")

# %% [markdown]
# ## How large is the map? (C2)
#
# *Stride* is how far the filter moves from one place to the next; *padding* is how many rows of zeros are laid around
# the image first. A filter of k pixels on n pixels has room for
#
# (n + 2 · padding − k) / stride + 1, rounded down,
#
# places along a side. Each dot below is the middle of one place, and so one pixel of the output; three places in a row
# are drawn as squares.

# %%
_, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for axis, (size, kernel, stride, padding) in zip(
    axes, [(7, 3, 1, 0), (7, 3, 2, 0), (7, 3, 1, 1), (7, 5, 2, 2)], strict=True
):
    axis.add_patch(Rectangle((-padding, -padding), size + 2 * padding, size + 2 * padding, color="#dddddd"))
    axis.add_patch(Rectangle((0, 0), size, size, color="#9ecae1"))
    starts = range(-padding, size + padding - kernel + 1, stride)
    for start, colour in zip(starts, ("C3", "C1", "C2"), strict=False):
        axis.add_patch(Rectangle((start, -padding), kernel, kernel, fill=False, edgecolor=colour, linewidth=2.5))
    middles = [start + kernel / 2 for start in starts]
    axis.scatter(*np.meshgrid(middles, middles), color="black", s=12, zorder=3)
    axis.set_xlim(-2.2, 9.2)
    axis.set_ylim(9.2, -2.2)
    axis.set_aspect("equal")
    axis.axis("off")
    axis.set_title(f"{size}x{size}, kernel {kernel}, stride {stride}, padding {padding}: {len(starts)}x{len(starts)}")
    axis.title.set_fontsize(9)
plt.show()

# %% [markdown]
# The same rule, down the whole of AlexNet. The last two columns agree.

# %%
size = 227
for row in rows.values():
    if row.kernel is not None:
        places = (size + 2 * row.padding - row.kernel) // row.stride + 1
        rule = f"({size:3} + 2*{row.padding} - {row.kernel:2}) / {row.stride} + 1 = {places:2}"
        print(f"{row.name}  {rule}   the layer: {row.output_shape[0]}")
        size = places

# %% [markdown]
# ## Pooling (C7)
#
# Pooling has no weights. It keeps one number of each window: the largest, or the mean. The maps shrink, and what was
# found may lie a pixel or two elsewhere without a change of the answer. The largest keeps a thin edge bright; the mean
# washes it out.

# %%
edges = np.abs(maps["upright edges"])[None, :, :, None]
largest, mean = (pool(edges, 8, 8, "VALID")[0, :, :, 0] for pool in (tf.nn.max_pool2d, tf.nn.avg_pool2d))
show({"upright edges": edges[0, :, :, 0], "largest of 8x8": largest, "mean of 8x8": mean}, cmap="gray")

# %% [markdown]
# ## What one pixel of a deep map has seen (C4)
#
# A pixel of the first map sees the 3x3 pixels under its filter. A pixel of the second map sees 3x3 pixels of the first,
# and through them 5x5 of the image. This patch is its *receptive field*. Every layer adds (kernel − 1) × the product of
# all strides before it, so that poolings make the field grow fast.

# %%
small = {"classes": 10}  # the dense layers at the end do not matter here
networks = {"AlexNet": alexnet(**small), "VGG-16": vgg("D", (64, 64, 3), **small), "ResNet-18": resnet18(**small)}
for name, network in networks.items():
    fields = receptive_fields(network)
    path = [row.name for row in layer_table(network) if row.kind in ("conv", "maxpool") and "branch1" not in row.name]
    sizes = [fields[layer].size for layer in path]  # branch1: the shortcuts' projections
    plt.plot(range(1, len(sizes) + 1), sizes, marker="o", markersize=3, label=name)
plt.axhline(224, color="grey", linestyle=":", label="the image, 224 pixels")
plt.xlabel("convolution or pooling")
plt.ylabel("receptive field, pixels a side")
plt.legend()
plt.show()

# %% [markdown]
# On a photograph: what the middle unit of five of VGG-16's layers sees. A unit of an early layer can know a hair or a
# corner; only a deep one can know a cat.

# %%
cat = tf.image.resize(data.chelsea()[:, 90:390], (224, 224), antialias=True) / 255
_, axis = plt.subplots(figsize=(5.5, 5.5))
axis.imshow(cat)
for number, name in enumerate(("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")):
    field = receptive_field(networks["VGG-16"], name)
    unit = 224 // field.stride // 2
    start = field.offset + unit * field.stride
    style = {"edgecolor": f"C{number}", "linewidth": 2.5, "label": f"{name}: {field.size} pixels"}
    axis.add_patch(Rectangle((start, start), field.size, field.size, fill=False, **style))
axis.legend(loc="upper left", fontsize=8)
axis.axis("off")
plt.show()

# %% [markdown]
# `receptive_field` reckons with kernels and strides. `measured_receptive_field` asks the network itself: it takes the
# gradient of one unit and looks which pixels it reaches. (A field may be larger than the image: padding counts.)

# %%
for name in ("conv1_2", "conv2_2", "conv3_3"):
    reckoned, measured = (ask(networks["VGG-16"], name) for ask in (receptive_field, measured_receptive_field))
    print(f"{name}: by arithmetic {reckoned.size}, by gradient {measured.size}, pixels {measured.box} of the image")

# %% [markdown]
# ## Two 3x3 instead of one 5x5
#
# VGG's idea: filters of 3x3 alone, but many layers. Two see what one 5x5 sees, three what one 7x7 sees. The pictures
# count the ways from each pixel to the output: a pile looks harder at its middle.

# %%
dot, three, five = np.pad([[1.0]], 7).astype("float32"), np.ones((3, 3), "float32"), np.ones((5, 5), "float32")
two = convolve(convolve(dot, three), three)
middle = slice(1, -1)
show(
    {
        "one 5x5": convolve(dot, five)[middle, middle],
        "two 3x3": two[middle, middle],
        "three 3x3": convolve(two, three),
    },
    cmap="magma",
)

# %%
channels = 256
for one, pile in ((5, 2), (7, 3)):
    large, small = one**2 * channels**2, pile * 3**2 * channels**2
    print(f"{channels} channels: {one}x{one} has {large:,} weights, {pile} of 3x3 have {small:,}, {small / large:.0%}")

# %% [markdown]
# Fewer weights, and a ReLU between the layers. Whether the error falls too is another question: claim V2 in
# [RESULTS.md](../RESULTS.md) shows what a small experiment said.
#
# ## 1x1: mixing channels (C3)
#
# A filter of 1x1 sees one pixel, but all of its channels. It can only mix them. With three channels one can look at the
# result: three filters that make brightness, red against green, and blue against yellow.

# %%
flower = load_sample_image("flower.jpg") / np.float32(255)
mix = np.array([[1 / 3, 1, -0.5], [1 / 3, -1, -0.5], [1 / 3, 0, 1]], "float32")  # a column is a filter
mixed = tf.nn.conv2d(flower[None], mix[None, None], 1, "VALID")[0].numpy()
names = ("brightness", "red against green", "blue against yellow")
show({"image": flower, **{name: mixed[..., number] for number, name in enumerate(names)}}, cmap="gray")

# %% [markdown]
# GoogLeNet puts a 1x1 with few filters before each costly convolution. The layer that is added makes the network
# deeper, and cheaper:

# %%
inception = {row.name: row for row in layer_table(googlenet(auxiliary_heads=False))}
reduce, wide = inception["inception_3a_5x5_reduce"], inception["inception_3a_5x5"]
before, narrow, after = 192, reduce.output_shape[-1], wide.output_shape[-1]
print(f"5x5 from {before} to {after} channels:             {5 * 5 * before * after:,} weights")
print(f"1x1 to {narrow}, then 5x5 from {narrow} to {after}:  {reduce.weights + wide.weights:,} weights")

# %% [markdown]
# ## Exercise
#
# Reckon the receptive field of the last convolution of the CIFAR ResNet-20 yourself. Below are its layers along the
# main path. Start with a field of 1 and a step of 1; at each layer the field grows by (kernel − 1) × step, and the step
# is then multiplied by the stride.
#
# You are right when your number is that of `receptive_field`; the last line tells. Then change the depth to 56: how
# much of a 32-pixel image does its last layer see?

# %%
network = resnet_cifar(20)
path = [(row.name, row.kernel, row.stride) for row in layer_table(network) if row.kind == "conv"]
for name, kernel, stride in path:
    print(name, kernel, stride)

answer = 1  # replace this by your loop over `path`
print("right" if answer == receptive_field(network, path[-1][0]).size else "not yet")
