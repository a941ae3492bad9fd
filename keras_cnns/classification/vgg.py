"""VGG: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

Deviations: every configuration starts from the initialisation of Glorot & Bengio (2010), with which section 3.1 says
pre-training is needless. The paper itself trains A from normal weights of variance 0.01, which for pixels of 0 to 255
start with logits near 10^8, and the deeper configurations from A's layers. Poolings take whole windows only, which
matters on inputs that are no multiple of 32.
"""

import keras

from keras_cnns.arguments import Shape, check_choice, check_classes, check_input_shape
from keras_cnns.layers import LocalResponseNormalization, Preprocessing

# Table 1, its columns as rows: the kernel sizes of each stage's convolutions. A 2x2/2 max pooling ends each stage.
FILTERS = (64, 128, 256, 512, 512)
CONFIGURATIONS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3, "LRN"), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}


def vgg(
    configuration: str = "D", input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str | None = None
) -> keras.Model:
    """Return a VGG network: logits `(batch, classes)` in float32.

    Args:
        configuration: a column of Table 1: "A" (11 weighted layers), "A-LRN", "B" (13), "C" (16, three of them 1x1),
            "D" (16) or "E" (19).
        input_shape: (height, width, channels), RGB with the training set's mean colour subtracted; at least 32 pixels
            a side.
        classes: number of classes.

    Raises:
        ValueError: an unknown configuration, an input too small, or no class.

    Source: section 2.1 and Table 1 (layers; the normalisation has AlexNet's constants), section 3.1 (dropout,
    initialisation).
    """
    check_choice("configuration", configuration, tuple(CONFIGURATIONS))
    check_input_shape(input_shape, smallest=32)
    check_classes(classes)

    image = x = keras.Input(input_shape, name="image")  # all weights below are Glorot's: Keras's default
    for stage, (filters, layers) in enumerate(zip(FILTERS, CONFIGURATIONS[configuration], strict=True), start=1):
        for i, layer in enumerate(layers, start=1):
            if layer == "LRN":
                x = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75, name=f"lrn{stage}")(x)
            else:
                x = keras.layers.Conv2D(filters, layer, padding="same", activation="relu", name=f"conv{stage}_{i}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{stage}")(x)  # 112, 56, 28, 14, 7 pixels a side
    x = keras.layers.Flatten(name="flatten")(x)  # 7x7x512
    x = keras.layers.Dropout(0.5, name="drop6")(keras.layers.Dense(4096, activation="relu", name="fc6")(x))
    x = keras.layers.Dropout(0.5, name="drop7")(keras.layers.Dense(4096, activation="relu", name="fc7")(x))
    logits = keras.layers.Dense(classes, dtype="float32", name="fc8")(x)
    return keras.Model(image, logits, name=name or f"vgg_{configuration}")


def vgg11(input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "vgg11") -> keras.Model:
    """Return `vgg` in configuration A, 132,863,336 parameters; all else as in `vgg`."""
    return vgg("A", input_shape, classes, name)


def vgg13(input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "vgg13") -> keras.Model:
    """Return `vgg` in configuration B, 133,047,848 parameters; all else as in `vgg`."""
    return vgg("B", input_shape, classes, name)


def vgg16(input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "vgg16") -> keras.Model:
    """Return `vgg` in configuration D, 138,357,544 parameters; all else as in `vgg`."""
    return vgg("D", input_shape, classes, name)


def vgg19(input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "vgg19") -> keras.Model:
    """Return `vgg` in configuration E, 143,667,240 parameters; all else as in `vgg`."""
    return vgg("E", input_shape, classes, name)


def preprocessing(mean=(123.68, 116.779, 103.939), size=224):
    """Return a single view for sections 2.1 and 3.2: the shorter side brought to 256, the centre `size` cut out, the
    training set's mean RGB colour subtracted; by default ImageNet's. The paper tests on the whole image instead.
    Errors: as in `Preprocessing`, such as a `size` above 256.
    """
    return Preprocessing(size, shorter_side=256, mean=mean)
