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
# # 2. The classification line
#
# AlexNet won ImageNet's competition in 2012. What came after it each year asked one question: where do the parameters
# sit, and what does depth cost? Here all of them are built from `keras_cnns` and counted, layer by layer; then two ways
# of passing on what earlier layers found, adding (ResNet) and joining (DenseNet), are trained on handwritten digits.
#
# The claims A1 to A6, Z1, V1, V2, G1 to G4, R2 and D1 are decided in [RESULTS.md](../RESULTS.md) and by
# `python -m reproductions.arithmetic_claims`. About two minutes on a laptop.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from skimage import data

import keras_cnns
from keras_cnns import densenet_cifar, googlenet, resnet50, resnet_cifar
from keras_cnns.data import digits
from keras_cnns.data.augmentation import pad_and_crop, pca_colour_noise, random_crop, random_flip, subtract_mean
from keras_cnns.data.random import example_keys
from keras_cnns.inspection import diagram, layer_table
from keras_cnns.training import SGD

SHORT = "KERAS_CNNS_SHORT" in os.environ  # the tests run a short form

# %% [markdown]
# ## The line
#
# Each network by its paper's table. *Multiply-adds* are the work for one image of 224x224 pixels (AlexNet: 227). Layers
# that stand side by side are all counted; along any one path GoogLeNet is 22 deep.

# %%
YEARS = {"alexnet": 2012, "zfnet": 2013, "vgg16": 2014, "vgg19": 2014, "googlenet": 2014}
YEARS |= {"resnet50": 2015, "resnet152": 2015, "densenet121": 2016}
if SHORT:
    YEARS = {"alexnet": 2012, "googlenet": 2014}

tables = {}
for name in YEARS:
    tables[name] = layer_table(getattr(keras_cnns, name)(**({"auxiliary_heads": False} if name == "googlenet" else {})))
    keras.backend.clear_session()


def parameters(rows, *kinds):
    """Trainable numbers of the layers of some kinds, or of all."""
    return sum(row.weights + row.biases + row.gamma_beta for row in rows if not kinds or row.kind in kinds)


print("network       year  weighted layers   parameters   multiply-adds, billion")
for name, rows in tables.items():
    depth, work = sum(row.kind in ("conv", "fc") for row in rows), sum(row.multiply_adds for row in rows) / 1e9
    print(f"{name:12}  {YEARS[name]}  {depth:15}  {parameters(rows):11,}  {work:10.2f}")

# %%
_, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
for number, (name, rows) in enumerate(tables.items()):
    depth, work = sum(row.kind in ("conv", "fc") for row in rows), sum(row.multiply_adds for row in rows) / 1e9
    axes[0].scatter(work, parameters(rows) / 1e6, s=2 * depth + 20, alpha=0.7)
    beside = {"xytext": (8, -14 if number % 2 else 7), "textcoords": "offset points", "fontsize": 9}
    axes[0].annotate(name, (work, parameters(rows) / 1e6), **beside)
    dense = parameters(rows, "fc") / 1e6
    axes[1].bar(number, parameters(rows) / 1e6 - dense, color="C0", label="convolutions" if not number else None)
    axes[1].bar(
        number, dense, bottom=parameters(rows) / 1e6 - dense, color="C1", label="" if number else "dense layers"
    )
axes[0].set_xlabel("multiply-adds, billion (a dot's size: its depth)")
axes[0].set_ylabel("parameters, million")
axes[0].margins(0.2)
axes[1].set_xticks(range(len(tables)), tables, rotation=30)
axes[1].set_ylabel("parameters, million")
axes[1].legend()
plt.show()

# %% [markdown]
# Read the right picture: AlexNet, ZFNet and VGG keep nearly all their parameters in three dense layers. GoogLeNet,
# ResNet and DenseNet take the mean of each last map instead (*global average pooling*), and one dense layer. The left
# one: work and parameters are two things. AlexNet has many parameters and little work.
#
# ## AlexNet (2012)
#
# Five convolutions and three dense layers. conv2, conv4 and conv5 are in two towers, since one graphics card of that
# time was too small.

# %%
diagram(keras_cnns.alexnet())

# %% [markdown]
# Its training made many images out of each: a patch of 224x224 cut at random out of 256x256, mirrored or not, and the
# colours shifted along the axes in which the colours of all images vary most. To a network these are different images;
# to us it is the same cat.

# %%
cat = tf.image.resize(data.chelsea()[:, 75:375], (256, 256), antialias=True).numpy().round().astype("uint8")
copies, keys = np.repeat(cat[None], 6, axis=0), example_keys(0, 0, tf.range(6))
covariance = np.cov(cat.reshape(-1, 3).T)  # the paper: of all training images, and a deviation of 0.1
changed = pca_colour_noise(covariance, deviation=0.3)(random_flip(random_crop(224)(copies, keys), keys), keys)
_, axes = plt.subplots(1, 7, figsize=(12, 2), layout="constrained")
for axis, picture in zip(axes, [cat, *np.clip(changed, 0, 255) / 255], strict=True):
    axis.imshow(picture)
    axis.axis("off")
axes[0].set_title("256x256", fontsize=9)
axes[1].set_title("224x224 ...", fontsize=9)
plt.show()
print("patches and mirrors of one image, as the paper counts them (A4):", 32 * 32 * 2)

# %% [markdown]
# ## GoogLeNet (2014)
#
# An *Inception* block asks with filters of 1x1, 3x3 and 5x5 at once and joins the answers; 1x1 filters before the large
# ones keep it cheap (chapter 1). In training, two small classifiers half way up (*auxiliary heads*) send a gradient
# into the lower half. They are left out of what is used later; G2 asks what they are worth.

# %%
diagram(googlenet(auxiliary_heads=False))

# %% [markdown]
# ## ResNet (2015) adds, DenseNet (2016) joins
#
# A residual block puts out F(x) + x, of as many channels as x (chapter 3). A dense block puts out x and F(x) side by
# side: each layer adds a few channels, `growth_rate`, and every later layer sees them all. So the channels grow, and a
# *transition* (1x1 convolution, average pooling) closes each block; in DenseNet-C it also halves the channels.

# %%
small = {"input_shape": (32, 32, 1)}
residual = resnet_cifar(8, **small)
dense = densenet_cifar(13, growth_rate=12, compression=0.5, **small)
for network in (residual, dense):
    rows = [row for row in layer_table(network) if row.kind in ("conv", "add", "concat")]
    plt.plot([row.output_shape[-1] for row in rows], marker="o", markersize=4, label=network.name)
    print(f"{network.name:16} {parameters(layer_table(network)):7,} parameters")
plt.xlabel("convolution, addition or concatenation, from the image on")
plt.ylabel("channels that it puts out")
plt.ylim(0, 90)
plt.legend(loc="upper left")
plt.show()

# %% [markdown]
# The DenseNet's line jumps between the 12 channels that a layer makes and the pile that they are laid on. Both networks
# now learn 4,000 digits (28x28, with a black edge to 32x32), each shifted by up to two pixels at random.

# %%
train, test = digits("train"), digits("test")
mean = train.arrays[0].mean(axis=0)
STEPS, EPOCHS = (2, 1) if SHORT else (len(train) // 64, 3)
steps, wrong = STEPS * EPOCHS, {}
for network in (residual, dense):
    keras.utils.set_random_seed(0)
    rate = keras.optimizers.schedules.CosineDecay(0.1, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(SGD(rate, momentum=0.9, l2=1e-4), loss, metrics=["accuracy"])
    for epoch in range(EPOCHS):
        batches = train.map(pad_and_crop(2), subtract_mean(mean, 64.0))
        network.fit(batches.batches(64, epoch=epoch, shuffle=True, count=STEPS), shuffle=False, verbose=0)
    named = network.predict((test.arrays[0] - mean) / np.float32(64), verbose=0).argmax(axis=1)
    wrong[network.name] = np.flatnonzero(named != test.arrays[1]), named
    print(f"{network.name:16} test error {100 * np.mean(named != test.arrays[1]):.1f} % of {len(test):,} digits")

# %% [markdown]
# What they get wrong. Above each image: what it is, and what it was taken for.

# %%
_, axes = plt.subplots(2, 10, figsize=(12, 3), layout="constrained")
for line, (name, (places, named)) in zip(axes, wrong.items(), strict=True):
    line[0].set_ylabel(name, fontsize=8)
    for axis in line:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, place in zip(line, places, strict=False):
        axis.imshow(test.arrays[0][place, ..., 0], cmap="gray")
        axis.set_title(f"{test.arrays[1][place]} as {named[place]}", fontsize=9)
plt.show()

# %% [markdown]
# A short training of one seed ranks no networks. The papers' comparisons, in small and with three seeds, are in
# [RESULTS.md](../RESULTS.md).
#
# ## Exercise
#
# ResNet-50's blocks are *bottlenecks*: 1x1 to fewer channels, 3x3 there, 1x1 back. Count the weights of the three
# convolutions of a block of the first stage, 256 to 64, 64 to 64, 64 to 256, without biases; then those of two 3x3
# convolutions from 256 to 256 channels.
#
# You are right when the first number is what the network's own table says; the last line tells. How many times more
# would the plain pair cost, and what does the bottleneck give up for it?

# %%
block = [row for row in layer_table(resnet50()) if row.name.startswith("res2b_") and row.kind == "conv"]
for row in block:
    print(row.name, f"{row.kernel}x{row.kernel} to {row.output_shape[-1]} channels")

bottleneck, pair = 0, 0  # your two numbers
print("right" if bottleneck == sum(row.weights for row in block) else "not yet")
