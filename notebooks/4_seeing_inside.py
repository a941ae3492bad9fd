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
# # 4. Seeing inside
#
# A trained network is a few hundred thousand numbers. What has it learnt to look for? ZFNet's authors built tools to
# see it, found faults of AlexNet with them, and won the next competition. You train a small network on digits and look
# into it: filters, feature maps, the *deconvnet* that leads a feature back to pixels, and grey squares that hide parts
# of the image.
#
# The claims Z2 and Z3 are decided in [RESULTS.md](../RESULTS.md) on photographs of streets, by
# `python -m reproductions.zfnet_camvid`; `python -m keras_cnns visualize` makes such pictures of any trained network.
# About a minute on a laptop.

# %%
import os
import textwrap

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_cnns.data import digits
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.inspection import feature_maps, occlusion, project_back, strongest_activations
from keras_cnns.inspection.figures import comparison, invariances, strongest_patches
from keras_cnns.inspection.subject import Subject
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD
from reproductions.four_layer_cifar10 import four_layers

SHORT = "KERAS_CNNS_SHORT" in os.environ  # the tests run a short form
STEPS, EPOCHS, TEST = (4, 1, 60) if SHORT else (31, 8, 1_000)


# %% [markdown]
# ## A network to look into
#
# AlexNet's paper tries its ideas on a network of four layers: three convolutions of 5x5 with ReLU, each with a pooling
# of 3x3 and stride 2, so that the windows overlap, and a dense layer. It learns 4,000 digits in seconds.

# %%
train, test = digits("train"), digits("test").take(TEST)
mean = float(train.arrays[0].mean())  # one grey for all pixels; the network sees (pixel - mean) / 64
prepare = subtract_mean(mean, 64.0)

keras.utils.set_random_seed(0)
network = four_layers((32, 32, 1), 10, activation="relu", pooling="overlapping", normalised=False, dropout=False)
network.compile(
    SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
for epoch in range(EPOCHS):
    network.fit(train.map(prepare).batches(128, epoch=epoch, shuffle=True, count=STEPS), shuffle=False, verbose=0)
_, accuracy = network.evaluate(test.map(prepare).batches(200), verbose=0)
print(f"{network.count_params():,} weights; of {len(test):,} test images {100 - 100 * accuracy:.1f} % are named wrong")

# %% [markdown]
# ## The first filters
#
# Those of the first layer can be looked at as they are, since what they are laid on are pixels: light where a filter
# wants light, dark where it wants dark. Some are edges or corners; in others, after so short a training, the noise that
# they began with still shows.

# %%
kernels = np.moveaxis(np.asarray(network.get_layer("conv1").kernel)[:, :, 0], -1, 0)
_, axes = plt.subplots(2, 16, figsize=(12, 1.7), layout="constrained")
for axis, kernel in zip(axes.flat, kernels, strict=True):
    axis.imshow(kernel, cmap="gray", vmin=-abs(kernels).max(), vmax=abs(kernels).max())
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Feature maps
#
# The filters of later layers are laid on maps of dozens of channels; as pictures they say nothing. Their *maps* do:
# where in this image is a feature found? Eight maps of each layer, the strongest first. They become smaller, and from
# strokes they turn into something like parts.

# %%
pixels, labels = test.arrays
image = (pixels[:1] - mean) / np.float32(64)
_, axes = plt.subplots(3, 9, figsize=(12, 4.3), layout="constrained")
for line, layer in zip(axes, ("conv1", "conv2", "conv3"), strict=True):
    maps = np.moveaxis(feature_maps(network, layer, image)[0], -1, 0)
    strongest = np.argsort(-maps.max(axis=(1, 2)))[:8]
    line[0].imshow(pixels[0, ..., 0], cmap="gray")
    line[0].set_title(f"image, {layer}", fontsize=9)
    for axis, feature in zip(line[1:], strongest, strict=True):
        axis.imshow(maps[feature], cmap="viridis")
        axis.set_title(f"{feature}: {maps.shape[1]}x{maps.shape[2]}", fontsize=9)
    for axis in line:
        axis.axis("off")
plt.show()

# %% [markdown]
# ## The deconvnet (Z2)
#
# One unit of the third layer is active. Which pixels made it so? The deconvnet goes back layer by layer: it undoes a
# pooling by putting each value where the maximum **was** (the positions are remembered on the way up), keeps what is
# positive as a ReLU does, and filters with the same filters, transposed. All other units of the layer are set to zero
# first, so that what arrives at the pixels is that unit's reason alone.
#
# Below: for one feature the four test images in which it is strongest, and what of them the unit has seen.

# %%
inputs = (pixels - mean) / np.float32(64)
strongest = strongest_activations(network, "conv3", [inputs], count=4)
feature = int(strongest.values[:, 0].argmax())
chosen = strongest.images[feature]
back = project_back(network, "conv3", inputs[chosen], feature)
_, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
for (above, below), number, picture, value in zip(axes.T, chosen, back, strongest.values[feature], strict=True):
    above.imshow(pixels[number, ..., 0], cmap="gray")
    above.set_title(f"test image {number}: a {labels[number]}", fontsize=9)
    below.imshow(picture[..., 0], cmap="gray", vmin=-abs(back).max(), vmax=abs(back).max())
    below.set_title(f"feature {feature}, activity {value:.1f}", fontsize=9)
    above.axis("off")
    below.axis("off")
plt.show()

# %% [markdown]
# The same for twelve features, nine images each, as in the paper's Fig. 2: left what comes back, right the patch of the
# image that the unit sees. A feature is what its nine patches have in common, and the classes need not be the same.

# %%
subject = Subject(network, Preprocessing(32, mean=mean, scale=1 / 64), None, test)
figure, caption = strongest_patches(subject, "conv3")
print(textwrap.fill(caption, 115))
figure

# %% [markdown]
# ## Hiding a part (Z3)
#
# Does the network look at the digit, or at something else? A grey square is put at every place, and for each place the
# probability of the right class is drawn. Where it drops, the network has lost what it needs.

# %%
examples = [int(np.flatnonzero(labels == digit)[0]) for digit in (2, 4, 6, 9)]
results = [occlusion(network, "conv3", inputs[number], size=10) for number in examples]
_, axes = plt.subplots(2, 4, figsize=(11, 5.2), layout="constrained")
for (above, below), number, result in zip(axes.T, examples, results, strict=True):
    above.imshow(pixels[number, ..., 0], cmap="gray")
    probability = result.probabilities[..., labels[number]]
    heat = below.imshow(probability, cmap="viridis", vmin=0, vmax=1)
    below.set_title(f"probability of {labels[number]}: {probability.min():.2f} to {probability.max():.2f}", fontsize=9)
    above.axis("off")
    below.axis("off")
plt.colorbar(heat, ax=axes[1])
plt.show()

# %% [markdown]
# ## Which pixels spoke for the class?
#
# Two shorter ways beside the deconvnet: the gradient of the class's score by each pixel, and *guided backpropagation*,
# which lets only positive signals through the ReLUs. The gradient answers the question exactly, and is the noisiest.

# %%
figure, caption = comparison(subject, "conv3", count=4)
print(textwrap.fill(caption, 115))
figure

# %% [markdown]
# ## What does it not mind?
#
# The images are shifted, enlarged and turned. The first layer's features change at once, the last ones more slowly; the
# probability often holds for a while and then falls. A digit turned by a half is another sign: there a network should
# mind.

# %%
figure, caption = invariances(subject, count=4)
print(textwrap.fill(caption, 115))
figure

# %% [markdown]
# ## Exercise
#
# Make the network take an 8 for another digit, by one grey square. Choose `row`, `column` (the upper left corner) and
# `size`; think first which part of an 8 other digits lack.
#
# You are right when another digit is printed with a size of at most 14 pixels, and you can say which strokes are left
# that look like it. Some places do it with 10 or fewer: `occlusion(network, "conv3", image, size=10)` has for every
# place of the square's middle the `probabilities` of all digits. Which 8 resists longest (`which`), and why?

# %%
which, row, column, size = 0, 12, 12, 4  # yours
image = inputs[np.flatnonzero(labels == 8)[which]].copy()
before = network(image[None]).numpy().argmax()
image[row : row + size, column : column + size] = 0
print("named", before, "and with the square", network(image[None]).numpy().argmax())
plt.figure(figsize=(3, 3))
plt.imshow(image[..., 0], cmap="gray")
plt.axis("off")
plt.show()
