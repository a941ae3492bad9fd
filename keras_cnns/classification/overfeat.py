"""OverFeat: Sermanet et al., "OverFeat: Integrated Recognition, Localization and Detection using Convolutional
Networks", ICLR 2014.

Deviations: the layers are those of the released networks, whose tables hold no dropout; the paper trains with a rate of
0.5 on the two hidden fully connected layers, for which there is an argument. The released networks' units pass values
above 1e-6; here they are the paper's rectified linear units.
"""

import keras

from keras_cnns.arguments import Shape, check_choice, check_classes, check_input_shape, check_rate
from keras_cnns.layers import OriginalDropout

# Tables 1 and 3, from left to right: filters, kernel size, stride, padding, and size and stride of a pooling after it.
FAST = (
    (96, 11, 4, "valid", 2),
    (256, 5, 1, "valid", 2),
    (512, 3, 1, "same", None),
    (1024, 3, 1, "same", None),
    (1024, 3, 1, "same", 2),
)
ACCURATE = (
    (96, 7, 2, "valid", 3),
    (256, 7, 1, "valid", 2),
    (512, 3, 1, "same", None),
    (512, 3, 1, "same", None),
    (1024, 3, 1, "same", None),
    (1024, 3, 1, "same", 3),
)
# The convolutions, the units of the hidden fully connected layers, the paper's input size and the smallest.
VARIANTS = {
    "fast": (FAST, (3072, 4096), 231, 71),  # 71, 16, 8, 4, 2, 1
    "accurate": (ACCURATE, (4096, 4096), 221, 77),  # 77, 36, 12, 6, 3, 1
}


def overfeat(
    variant: str = "fast",
    input_shape: Shape | None = None,
    classes: int = 1000,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """Return OverFeat's classifier: logits `(batch, classes)` in float32.

    Args:
        variant: "fast" (145,920,872 parameters) or "accurate" (144,656,488).
        input_shape: (height, width, channels), RGB; by default (231, 231, 3) for the fast network and (221, 221, 3) for
            the accurate one. At least 71 pixels a side for the fast network, 77 for the accurate one.
        classes: number of classes.
        dropout: fraction of the hidden fully connected units dropped while training, scaled at test time as was done
            in 2013; the paper trains with 0.5.

    Raises:
        ValueError: an unknown variant, an input too small, no class, or a dropout outside [0, 1).

    Source: Tables 1 (fast) and 3 (accurate), section 3.1 (initialisation, dropout; no contrast normalisation, no
    overlap of poolings).
    """
    check_choice("variant", variant, tuple(VARIANTS))
    convolutions, hidden, side, smallest = VARIANTS[variant]
    input_shape = (side, side, 3) if input_shape is None else input_shape
    check_input_shape(input_shape, smallest)
    check_classes(classes)
    check_rate("dropout", dropout)

    image = x = keras.Input(input_shape, name="image")
    for i, (filters, size, strides, padding, pool) in enumerate(convolutions, start=1):
        x = keras.layers.Conv2D(
            filters, size, strides, padding, activation="relu", kernel_initializer=normal(), name=f"conv{i}"
        )(x)
        if pool:
            x = keras.layers.MaxPooling2D(pool, name=f"pool{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)  # 6x6x1024, accurate 5x5x1024
    for i, units in enumerate(hidden, start=len(convolutions) + 1):
        x = keras.layers.Dense(units, activation="relu", kernel_initializer=normal(), name=f"fc{i}")(x)
        if dropout:
            x = OriginalDropout(dropout, name=f"drop{i}")(x)
    logits = keras.layers.Dense(classes, kernel_initializer=normal(), dtype="float32", name=f"fc{i + 1}")(x)
    return keras.Model(image, logits, name=name or f"overfeat_{variant}")


def normal():
    """Weights ~ N(0, 0.01^2): section 3.1."""
    return keras.initializers.RandomNormal(stddev=0.01)
