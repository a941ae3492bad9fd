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
# # 8. GANs and their insides
#
# A *generator* makes images from random numbers z. A *discriminator* tells real images from made ones. Each is trained
# against the other, and neither is ever told what a digit looks like. This chapter plays the game on real digits, and
# then opens the generator: which of its units draw what, and which z belongs to a given image?
#
# Claims of the notes: N1 (the two losses of the generator), N2 and N3 (GAN, DCGAN), N4 (dissection), N5 (inversion), N7
# (the optimum is a saddle point). What was measured of them stands in [RESULTS.md](../RESULTS.md).

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_cnns import dcgan_discriminator, dcgan_generator, dissect, gan_discriminator, gan_generator, invert
from keras_cnns.data import digits
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.generative import causal_effect, interpolate, intervene, random_latents
from keras_cnns.generative.concepts import stroke_regions
from keras_cnns.inspection.tiles import mosaic, photograph
from keras_cnns.losses import minimax_generator_loss, non_saturating_generator_loss
from keras_cnns.training import SGD, Adam, AdversarialModel

SHORT = "KERAS_CNNS_SHORT" in os.environ  # fewer steps and images: that it runs, not what it shows
keras.utils.set_random_seed(0)

# %%
LOSSES = {"log(1 - D(G(z)))": minimax_generator_loss, "-log D(G(z))": non_saturating_generator_loss}


def draw(axes, images, title, columns=8):
    """Images in -1 to 1, side by side."""
    axes.imshow(mosaic([photograph(127.5 * (image + 1)) for image in np.asarray(images)], columns))
    axes.set(xticks=[], yticks=[], title=title)


# %% [markdown]
# ## One game, two losses for the generator
#
# D(x) is the probability that x is real. The discriminator maximises V = E log D(x) + E log(1 - D(G(z))). The generator
# could minimise the same V. The paper advises against it: it should maximise log D(G(z)). Both want D to believe. The
# difference is the slope. Here it is with respect to the discriminator's *logit*, the number whose sigmoid D is:

# %%
logits = tf.linspace(-8.0, 4.0, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for name, loss in LOSSES.items():
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = tf.map_fn(lambda logit, loss=loss: loss(logit[None]), logits)
    left.plot(tf.sigmoid(logits), values, label=name)
    right.plot(logits, -tape.gradient(values, logits), label=name)
left.set(xlabel="D(G(z))", ylabel="the generator's loss", ylim=(-4, 6))
right.set(xlabel="logit of D(G(z))", ylabel="push towards a higher logit")
left.legend()
right.legend()
plt.show()

# %% [markdown]
# Where D(G(z)) is near 0, the first loss is flat: its push is D(G(z)) itself. That is the beginning of every training,
# when the images are noise and the discriminator sees it at once. The second loss pushes by 1 - D(G(z)), hardest there.
#
# Now in the paper's networks, on digits. In each of the first steps the generator's gradient is taken by both losses,
# on the same z. The training itself uses the second loss.

# %%
gan = AdversarialModel(gan_generator(), gan_discriminator())
gan.compile(SGD(0.1, momentum=0.5), SGD(0.1, momentum=0.5))
variables = [variable.value for variable in gan.generator.trainable_variables]


@tf.function
def step(images):
    """The mean of D(G(z)) and the gradient's norm by each loss, before a step of the training."""
    with tf.GradientTape(persistent=True) as tape:
        logits = gan.discriminator(gan.generator(gan.latent(100, 1), training=True), training=True)
        losses = [loss(logits) for loss in LOSSES.values()]
    norms = [tf.linalg.global_norm(tape.gradient(loss, variables)) for loss in losses]
    gan.train_step((images, None))
    return tf.stack([tf.reduce_mean(tf.sigmoid(logits)), *norms])


count = 5 if SHORT else 150
batches = digits("train").batches(100, shuffle=True, count=count)
rows = np.array([step(images[:, 2:30, 2:30] / 255) for images, _ in batches])

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(rows[:, 0], color="0.3")
left.set(xlabel="steps", ylabel="mean of D(G(z))", yscale="log")
for name, norms in zip(LOSSES, rows[:, 1:].T, strict=True):
    right.plot(norms, label=name)
right.set(xlabel="steps", ylabel="norm of the generator's gradient", yscale="log")
right.legend()
plt.show()
ratios = rows[:, 2] / rows[:, 1]
print(f"the second gradient is {np.median(ratios):.3g} times the first (median over {count} steps)")
surest = rows[:, 0].argmin()
print(f"D is surest at step {surest}: D(G(z)) = {rows[surest, 0]:.2g}, and there it is {ratios[surest]:.3g} times")

# %% [markdown]
# Claim N1 is this, over three seeds and with a rule: `python -m reproductions.gan_gradients_digits`.
#
# ## DCGAN: convolutions in the game
#
# The first GAN was of dense layers. DCGAN (2016) draws from coarse to fine by transposed convolutions: 4x4, 8x8, 16x16,
# 32x32. Its rules: no pooling, batch normalisation (not at the generator's end nor at the discriminator's beginning),
# ReLU in the one and LeakyReLU in the other. Here it has half of the Torch release's filters, and 32x32 pixels.

# %%
generator = dcgan_generator(32, base_filters=32, kernel_size=4, channels=1)
model = AdversarialModel(generator, dcgan_discriminator(32, base_filters=32, kernel_size=4, channels=1))
model.compile(Adam(2e-4, beta_1=0.5), Adam(2e-4, beta_1=0.5))
train = digits("train").map(subtract_mean(127.5, 127.5))  # -1 to 1
z = random_latents(16, 100)  # the same z after each part of the training

pictures, games = [generator(z, training=False)], []
steps, parts = (2, 2) if SHORT else (300, 5)
for part in range(parts):
    batches = train.batches(64, shuffle=True, epoch=part, count=steps)
    games.append(model.fit(batches, shuffle=False, verbose=2).history)
    pictures.append(generator(z, training=False))

# %%
figure, grid = plt.subplots(len(pictures), 1, figsize=(9, 0.85 * len(pictures)), layout="constrained")
for number, (axes, images) in enumerate(zip(grid, pictures, strict=True)):
    draw(axes, images, "", columns=16)
    axes.set_ylabel(f"{number * steps} steps", rotation=0, ha="right", va="center")
plt.show()

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, words in (("real", "mean of D(x)"), ("fake", "mean of D(G(z))"), ("value", "value V")):
    axes.plot(np.arange(1, parts + 1) * steps, [game[name][0] for game in games], ".-", label=words)
axes.axhline(-np.log(4), color="0.5", linestyle=":", label="V where D is 1/2 everywhere, -log 4")
axes.set(xlabel="steps")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# Each column has one z, and is drawn better and better. The value does not fall as a loss does: two players pull at it,
# and its optimum, D = 1/2 everywhere, is a saddle point (N7). So the value says little about the pictures; look at
# them.
#
# Does the generator know digits, or did it learn a few by heart? Between two z the images should change smoothly.

# %%
figure, grid = plt.subplots(3, 1, figsize=(9, 3), layout="constrained")
for axes, first, second in zip(grid, z[:3], z[3:6], strict=True):
    draw(axes, interpolate(generator, first, second, 16), "", columns=16)
figure.suptitle("from one z to another")
plt.show()

# %% [markdown]
# ## Dissection: which unit draws what?
#
# A unit is one channel of a layer. Dissection enlarges its map to the image's size, cuts it at a threshold, and
# compares what is left with a *concept*, a mask on the image: IoU again, as with boxes. Concepts on digits are simple:
# strokes in each quarter of the picture.

# %%
many = random_latents(50 if SHORT else 400, 100, seed=1)
found = dissect(generator, "relu2", stroke_regions, many)
best = found.iou.argmax(axis=0)
for place, concept in enumerate(found.concepts):
    unit = best[place]
    print(f"{concept}: unit {unit} of {len(found.iou)}, IoU {found.iou[unit, place]:.2f}")

figure, grid = plt.subplots(1, len(found.concepts), figsize=(10, 2.4), layout="constrained")
for axes, concept, column in zip(grid, found.concepts, found.iou.T, strict=True):
    axes.bar(range(len(column)), np.sort(column)[::-1], width=1.0)
    axes.set(title=concept, xlabel="units, best first", ylim=(0, max(found.iou.max(), 0.1)))
grid[0].set_ylabel("IoU")
plt.show()

# %% [markdown]
# That a unit *agrees* with a concept does not say that it *draws* it. So we intervene: set the best units of one
# concept to 0 (ablate), or to the value that they have where the concept is (insert), everywhere, and let the rest
# draw.

# %%
place = found.iou.max(axis=0).argmax()
units = np.argsort(-found.iou[:, place])[:8]
values = found.values[units, place]
rows = {
    "as they are": generator(z, training=False),
    "ablated": intervene(generator, "relu2", z, units),
    "inserted": intervene(generator, "relu2", z, units, values),
}
figure, grid = plt.subplots(3, 1, figsize=(9, 2.7), layout="constrained")
for axes, (name, images) in zip(grid, rows.items(), strict=True):
    draw(axes, images, "", columns=16)
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle(f"the {len(units)} units that agree most with: {found.concepts[place]}")
plt.show()
for concept, effect in causal_effect(generator, "relu2", stroke_regions, many, units, values).items():
    print(f"{concept}: {100 * effect:+.1f} % of the picture's pixels, inserted less ablated")

# %% [markdown]
# Units of 8x8 maps are coarse, and digits have few concepts; what the paper finds are doors, trees and windows. N4 does
# this on garments: `python -m reproductions.gan_dissection_fashion_mnist`.
#
# ## Inversion: which z belongs to this digit?
#
# A GAN goes from z to an image, and not back. Inversion searches: start at a random z, and follow the gradient of the
# pixels' squared error, the generator being fixed. What comes out is the nearest image that the generator *can* draw:
# it holds the image and what the generator knows. If the generator itself may then move a little, it comes nearer
# still.

# %%
images, _ = next(iter(digits("test").map(subtract_mean(127.5, 127.5)).batches(16)))
nearest = invert(generator, images, steps=10 if SHORT else 400)
adapted = invert(generator, images, steps=10 if SHORT else 400, adapt_steps=5 if SHORT else 100)
rows = {
    "real": images,
    "random z": generator(random_latents(16, 100), training=False),
    "z found": nearest.images,
    "adapted": adapted.images,
}
figure, grid = plt.subplots(4, 1, figsize=(9, 3.5), layout="constrained")
for axes, (name, pictures) in zip(grid, rows.items(), strict=True):
    draw(axes, pictures, "", columns=16)
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
errors = {"random z": nearest.random_errors, "z found": nearest.errors, "adapted": adapted.errors}
print("mean squared errors:", ", ".join(f"{name} {each.mean():.3f}" for name, each in errors.items()))

# %% [markdown]
# These digits are from the test set: no training has seen them. N5 compares optimisation, an encoder and both on
# held-out images: `python -m reproductions.gan_inversion_fashion_mnist`.

# %% [markdown]
# ## Exercise
#
# Invert *noise*: `np.random.default_rng(0).uniform(-1, 1, images.shape)`, with `steps=400` and then with
# `adapt_steps=400` too. Before you start, say for each of the two whether its error will be as low as that of the
# digits, and what the picture will look like.
#
# You are right if z alone leaves an error not far below the noise's own variance, 1/3 (compare `errors.mean()` with
# it), and if you can say why the adapted generator gets below the first, and what of its other images it has spoiled
# for that: draw `adapted.generator(z)` beside `generator(z)`.
