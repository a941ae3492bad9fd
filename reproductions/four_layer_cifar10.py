"""AlexNet's four-layer network on CIFAR-10: Krizhevsky et al., NIPS 2012, sections 3.1, 3.3, 3.4 and 4.2.

    python -m reproductions.four_layer_cifar10 --data-dir DIR --activation tanh

Paper: ReLU reaches 25 % training error six times sooner than tanh (Fig. 1); with response normalisation 11 % test
error, without it 13 %. The paper does not print the network: here it is that of the same author's cuda-convnet, three
convolutions of 5x5 with 32, 32 and 64 filters, each with a pooling, and a dense layer.
"""

import sys

import keras

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, Preprocessing
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main

POOLINGS = {
    "overlapping": lambda name: keras.layers.MaxPooling2D(3, 2, padding="same", name=name),
    "plain": lambda name: keras.layers.MaxPooling2D(2, name=name),
    "average": lambda name: keras.layers.AveragePooling2D(3, 2, padding="same", name=name),
}


def four_layers(input_shape, classes, activation, pooling, normalised, dropout):
    """Return the network: logits `(batch, classes)` in float32."""
    image = x = keras.Input(input_shape, name="image")
    for number, filters in enumerate((32, 32, 64), 1):
        name = f"conv{number}"
        x = keras.layers.Conv2D(filters, 5, padding="same", activation=activation, name=name)(x)
        x = POOLINGS[pooling](f"pool{number}")(x)
        if normalised and number < 3:
            x = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, name=f"lrn{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    if dropout:
        x = OriginalDropout(0.5, name="drop4")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="fc4")(x)
    return keras.Model(image, logits, name="four_layers")


def recipe(run, activation="relu", pooling="overlapping", normalised=False, dropout=False, rate=0.01):
    check_choice("activation", activation, ("relu", "tanh"))
    check_choice("pooling", pooling, tuple(POOLINGS))
    train, test = run.data("cifar10", side=32)
    mean, _ = run.statistics(train)
    batch_size = run.batch_size(128)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(30 * steps_per_epoch, steps_per_epoch)
    return Recipe(
        model=four_layers(mean.shape, len(train.labels), activation, pooling, normalised, dropout),
        train=train.map(subtract_mean(mean, 64.0)),
        test=test.map(subtract_mean(mean, 64.0)),
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(rate, momentum=0.9),  # "no regularization of any kind was employed"
        preprocessing=Preprocessing(mean.shape[0], mean=mean, scale=1 / 64.0),
        claims=[],
        deviations=["the network, its initialisation (Glorot's) and the batch size are not in the paper"],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
