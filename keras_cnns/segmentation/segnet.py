"""SegNet: Badrinarayanan, Kendall & Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", PAMI 2017; layers and constants as in the networks its authors released.

Deviations: batch normalisation has an epsilon of 1e-5 and moving averages; the released one has 1e-9 and takes its
statistics over the whole training set after training. The paper normalises the input's local contrast; as in the
release, SegNet-Basic begins with a response normalisation instead (alpha = 1e-4 divided by n = 5), SegNet with none.
The paper prints 1.425 M parameters for SegNet-Basic; its layers hold 1,416,587.
"""

import keras

from keras_cnns.arguments import FreeShape, check_classes, check_input_shape
from keras_cnns.classification.blocks import he_normal
from keras_cnns.classification.vgg import CONFIGURATIONS, FILTERS
from keras_cnns.layers import BatchNormalization, LocalResponseNormalization, MaxPoolingWithIndices, MaxUnpooling


def segnet(input_shape: FreeShape = (360, 480, 3), classes: int = 11, name: str = "segnet") -> keras.Model:
    """Return SegNet: logits `(batch, height, width, classes)` in float32, of the image's size.

    Args:
        input_shape: (height, width, channels), RGB; at least 32 pixels a side, or None for any size.
        classes: number of labels (29,449,355 parameters for 11).

    Raises:
        ValueError: an input too small, or no class.

    Source: section 3 and Fig. 2: the convolutions of VGG-16, and their mirror image.
    """
    check_input_shape(input_shape, smallest=32, free=True)
    check_classes(classes)
    image = x = keras.Input(input_shape, name="image")
    stages = list(enumerate(zip(FILTERS, map(len, CONFIGURATIONS["D"]), strict=True), start=1))
    pooled = {}
    for stage, (filters, layers) in stages:
        for i in range(1, layers + 1):
            x = relu(conv_bn(x, filters, 3, f"conv{stage}_{i}"), f"relu{stage}_{i}")
        before = x
        x, indices = MaxPoolingWithIndices(2, padding="same", name=f"pool{stage}")(x)  # the size rounded up
        pooled[stage] = indices, before
    for stage, (filters, layers) in reversed(stages):
        x = MaxUnpooling(2, padding="same", name=f"upsample{stage}")(x, *pooled[stage])
        for i in range(layers, 0, -1):
            if (stage, i) == (1, 1):
                break
            narrower = FILTERS[stage - 2] if i == 1 else filters  # a stage's last layer goes over to the next one's
            x = relu(conv_bn(x, narrower, 3, f"conv{stage}_{i}_D"), f"relu{stage}_{i}_D")
    return keras.Model(image, classifier(x, classes, 3, "conv1_1_D"), name=name)


def segnet_basic(input_shape: FreeShape = (360, 480, 3), classes: int = 11, name: str = "segnet_basic") -> keras.Model:
    """Return SegNet-Basic: logits `(batch, height, width, classes)` in float32, of the image's size.

    Args:
        input_shape: (height, width, channels), RGB; at least 16 pixels a side, or None for any size.
        classes: number of labels (1,416,587 parameters for 11).

    Raises:
        ValueError: an input too small, or no class.

    Source: section 3.3: four encoders and four decoders of 64 filters of 7x7, no ReLU in the decoders.
    """
    check_input_shape(input_shape, smallest=16, free=True)
    check_classes(classes)
    image = keras.Input(input_shape, name="image")
    x = LocalResponseNormalization(n=5, k=1, alpha=2e-5, beta=0.75, name="norm")(image)
    pooled = {}
    for stage in (1, 2, 3, 4):
        x = before = relu(conv_bn(x, 64, 7, f"conv{stage}"), f"relu{stage}")
        x, indices = MaxPoolingWithIndices(2, padding="same", name=f"pool{stage}")(x)
        pooled[stage] = indices, before
    for stage in (4, 3, 2, 1):
        x = MaxUnpooling(2, padding="same", name=f"upsample{stage}")(x, *pooled[stage])
        x = conv_bn(x, 64, 7, f"conv_decode{stage}")
    return keras.Model(image, classifier(x, classes, 1, "conv_classifier"), name=name)


def conv_bn(x, filters, size, name):
    x = keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=he_normal(), name=name)(x)
    shift = keras.initializers.Constant(0.001)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, beta_initializer=shift, name=f"{name}_bn")(x)


def relu(x, name):
    return keras.layers.ReLU(name=name)(x)


def classifier(x, classes, size, name):
    """The logits of each pixel: a convolution alone."""
    weights = {"kernel_initializer": he_normal(), "dtype": "float32"}
    return keras.layers.Conv2D(classes, size, padding="same", name=name, **weights)(x)
