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
# # 3. Degradation
#
# Deeper networks can express more, so they should train at least as well: the added layers could simply pass on what
# they are given. They do not find that. From some depth on a plain network has a larger **training** error than a
# shallower one, so that overfitting cannot be the cause. He et al. called it *degradation* and added shortcuts: a block
# then learns only the difference F(x) to what comes in, and puts out F(x) + x.
#
# Here you train four networks, plain and residual, shallow and deep, on handwritten digits. The claims R0, R1 and R5
# are decided on CIFAR-10 in [RESULTS.md](../RESULTS.md), by `python -m reproductions.degradation_cifar10` and
# `python -m reproductions.gradients_cifar10`. About three minutes on a laptop.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_cnns import resnet_cifar
from keras_cnns.data import digits
from keras_cnns.inspection import diagram, feature_maps
from keras_cnns.training import SGD

SHORT = "KERAS_CNNS_SHORT" in os.environ  # the tests run a short form
SHALLOW, DEEP = (8, 14) if SHORT else (20, 56)
IMAGES, EPOCHS = (256, 1) if SHORT else (2_000, 8)

# %% [markdown]
# ## The images
#
# Digits of MNIST that come with a dependency, 2,000 for the training and 1,000 for the test. Halved to 16x16 pixels, so
# that a laptop trains 56 layers in a minute. With CIFAR-10 prepared for TensorFlow Datasets, put
# `tfds_images("cifar10", split)` of `keras_cnns.data` in the place of `digits(split)`, and 3 for the channels below.


# %%
def halved(split):
    """(images, labels): float32 `(count, 16, 16, channels)` from 0 to 1."""
    pixels, labels = digits(split).arrays
    count, side, _, channels = pixels.shape
    return pixels.reshape(count, side // 2, 2, side // 2, 2, channels).mean((2, 4)) / np.float32(255), labels


(images, labels), (test_images, test_labels) = halved("train"), halved("test")
images, labels = images[:IMAGES], labels[:IMAGES]
mean = images.mean(axis=0)

_, axes = plt.subplots(1, 12, figsize=(12, 1.4), layout="constrained")
for axis, image, label in zip(axes, images, labels, strict=False):
    axis.imshow(image[..., 0], cmap="gray")
    axis.set_title(label, fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## The networks
#
# Three stages of blocks of two 3x3 convolutions: 16, 32 and 64 filters, on maps of 16, 8 and 4 pixels. `residual=False`
# gives the same layers without the additions, and as many parameters: the shortcut has none.

# %%
diagram(resnet_cifar(SHALLOW, input_shape=(16, 16, 1)))

# %%
networks = {}
for kind in ("plain", "residual"):
    for depth in (SHALLOW, DEEP):
        keras.utils.set_random_seed(0)
        networks[f"{kind}-{depth}"] = resnet_cifar(depth, residual=kind == "residual", input_shape=(16, 16, 1))
for name, network in networks.items():
    print(f"{name:12} {network.count_params():9,} parameters and statistics")

# %% [markdown]
# ## Is it the gradient? (R0)
#
# The usual suspect for deep networks is a gradient that vanishes on its way down. So before the training: the size of
# the loss's gradient by the weights of each layer. Batch normalisation and He's initialisation keep it from vanishing
# in the plain network as well; look which way its line goes. With shortcuts it is even, from the last layer to the
# first.


# %%
def gradient_norms(network):
    """The norm of the gradient by the weights of each convolution and of the last layer."""
    kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
    with tf.GradientTape() as tape:
        logits = network(images[:128] - mean, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:128], logits))
    return [float(tf.norm(each)) for each in tape.gradient(loss, [kernel.value for kernel in kernels])]


start = {name: [each.copy() for each in network.get_weights()] for name, network in networks.items()}
for name in (f"plain-{DEEP}", f"residual-{DEEP}"):
    norms = gradient_norms(networks[name])
    print(
        f"{name:12} the first layers' gradient is {np.mean(norms[:5]) / np.mean(norms[-5:]):.1f} times the last ones'"
    )
    plt.semilogy(norms, marker="o", markersize=3, label=name)
    networks[name].set_weights(start[name])  # the moving averages of the normalisation have moved
plt.xlabel("layer, from the image on")
plt.ylabel("norm of the gradient")
plt.legend()
plt.show()

# %% [markdown]
# ## Four trainings (R1)
#
# The paper's optimizer: momentum 0.9 and weight decay 0.0001. Its learning rate of 0.1 is too large for the first steps
# of a deep network (for 110 layers the paper begins with a smaller one), so here it is 0.02 for all four.

# %%
curves = {}
for name, network in networks.items():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(SGD(0.02, momentum=0.9, l2=1e-4), loss, metrics=["accuracy"])
    keras.utils.set_random_seed(1)  # all see the images in the same order
    history = network.fit(images - mean, labels, batch_size=64, epochs=EPOCHS, verbose=0).history
    curves[name] = 100 * (1 - np.array(history["accuracy"]))
    print(f"{name:12} training error in the last epoch {curves[name][-1]:5.1f} %")

# %%
colours = {SHALLOW: "C0", DEEP: "C3"}
_, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for axis, kind in zip(axes, ("plain", "residual"), strict=True):
    for depth, colour in colours.items():
        axis.plot(range(1, EPOCHS + 1), curves[f"{kind}-{depth}"], marker="o", color=colour, label=f"{kind}-{depth}")
    axis.set_xlabel("epoch")
    axis.legend()
axes[0].set_ylabel("training error, %")
axes[0].set_ylim(0, 95)
plt.show()

# %% [markdown]
# Compare the red curves with each other and with the blue ones. Left: does the deep network lag behind on the very
# images that it is trained on? Right: how much do the same layers learn with shortcuts? One short training with one
# seed proves nothing: that is what the three seeds of the reproductions are for. On test images:


# %%
def error(network):
    """Test error in %."""
    return 100 * np.mean(network.predict(test_images - mean, verbose=0).argmax(axis=1) != test_labels)


for name, network in networks.items():
    print(f"{name:12} test error {error(network):5.1f} %")

# %% [markdown]
# ## A block learns the difference (R5)
#
# If a block only corrects what the shortcut brings, its convolutions have little to say. So: the standard deviation of
# what each convolution puts out, after its normalisation and before the ReLU.

# %%
for kind, style in (("plain", "--"), ("residual", "-")):
    for depth, colour in colours.items():
        network = networks[f"{kind}-{depth}"]
        layers = [layer.name for layer in network.layers if layer.name.endswith("_bn")]
        responses = [feature_maps(network, layer, test_images[:100] - mean).std() for layer in layers]
        plt.plot(np.linspace(0, 1, len(layers)), responses, style, color=colour, label=f"{kind}-{depth}")
plt.xlabel("place in the network: 0 the first convolution, 1 the last")
plt.ylabel("standard deviation of the responses")
plt.legend()
plt.show()

# %% [markdown]
# ## Exercise
#
# What happens if a block falls silent? Set the scale and the shift (gamma and beta, the first two weights) of the
# normalisation that ends a block to zero: its convolutions then put out nothing. Say first what you expect of each of
# the two deep networks, then write the missing line.
#
# You are right when the plain network errs as often as one that guesses, 90 %, whichever block you take: nothing gets
# past it. How much does the residual one lose? Try each of its blocks, and find out which ones it can spare.

# %%
layer_name = f"s3_b{(DEEP - 2) // 6}_b_bn"
for name in (f"plain-{DEEP}", f"residual-{DEEP}"):
    layer = networks[name].get_layer(layer_name)
    kept = layer.get_weights()
    # your line: layer.set_weights(...)
    print(f"{name} without {layer_name}: {error(networks[name]):.1f} %")
    layer.set_weights(kept)
