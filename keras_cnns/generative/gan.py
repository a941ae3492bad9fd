"""GAN: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, the networks for MNIST.

The paper prints no layer sizes; they are those of the authors' release (goodfeli/adversarial, mnist.yaml). The layers'
names are the release's.

Deviations: the release starts the output's bias so that the mean image comes out; here it starts at 0. Its dropout
leaves out units and divides by the share it keeps, as Keras's does. `AdversarialModel`, as the paper, takes turns; the
release moves both networks at once. Its z is Gaussian, here it is uniform; it halves the discriminator's loss, so that
at the same rate its steps are half as long.
"""

import keras

IMAGE = (28, 28, 1)
LATENT = 100


def gan_generator(name: str = "gan_generator") -> keras.Model:
    """Return the generator: from z `(batch, 100)` to images `(batch, 28, 28, 1)` in 0 to 1, in float32.

    2,503,984 parameters.

    Source: section 5 ("a mixture of rectifier linear activations and sigmoid activations"); the release for the sizes.
    """
    z = x = keras.Input((LATENT,), name="z")
    for i in range(2):
        x = dense(x, 1200, f"h{i}", 0.05, activation="relu")
    x = dense(x, 28 * 28, "y", 0.05, activation="sigmoid", dtype="float32")
    return keras.Model(z, keras.layers.Reshape(IMAGE, dtype="float32", name="image")(x), name=name)


def gan_discriminator(name: str = "gan_discriminator") -> keras.Model:
    """Return the discriminator: from images `(batch, 28, 28, 1)` in 0 to 1 to logits `(batch, 1)` in float32.

    1,231,441 parameters. Two layers of 240 maxout units of 5 pieces; dropout keeps 0.8 of the pixels and 0.5 of the
    units.

    Source: section 5 ("maxout activations", "dropout was applied"); the release for the sizes.
    """
    image = keras.Input(IMAGE, name="image")
    x = keras.layers.Flatten(name="flatten")(image)
    for i, rate in enumerate((0.2, 0.5)):
        x = keras.layers.Dropout(rate, name=f"drop{i}")(x)
        x = dense(x, 240 * 5, f"h{i}", 0.005)
        x = keras.layers.Reshape((240, 5), name=f"h{i}_pieces")(x)
        x = keras.layers.GlobalMaxPooling1D(data_format="channels_first", name=f"h{i}_max")(x)
    x = keras.layers.Dropout(0.5, name="drop2")(x)
    return keras.Model(image, dense(x, 1, "y", 0.005, dtype="float32"), name=name)


def dense(x, units, name, irange, **kwargs):
    """A dense layer whose weights start evenly spread in -irange to irange."""
    # Each layer has an initializer of its own: one that two layers shared would give both the same numbers.
    start = keras.initializers.RandomUniform(-irange, irange)
    return keras.layers.Dense(units, kernel_initializer=start, name=name, **kwargs)(x)
