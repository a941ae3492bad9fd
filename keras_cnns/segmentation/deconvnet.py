"""DeconvNet: Noh, Hong & Han, "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015.

Deviations: the normalisation's epsilon is 1e-5, in the released networks 1e-9, and its statistics at test time are
moving averages, there those of the training set. The convolutions, which the paper takes from a trained VGG-16, start
from Glorot's initialisation until `load_layers` brings such weights.
"""

import keras

from keras_cnns.arguments import FreeShape, check_classes, check_input_shape
from keras_cnns.classification.alexnet import normal
from keras_cnns.classification.vgg import CONFIGURATIONS, FILTERS
from keras_cnns.layers import BatchNormalization, MaxPoolingWithIndices, MaxUnpooling


def deconvnet(
    input_shape: FreeShape = (224, 224, 3), classes: int = 21, fc_filters: int = 4096, name: str = "deconvnet"
) -> keras.Model:
    """Return DeconvNet: logits `(batch, height, width, classes)` in float32, of the image's size.

    Args:
        input_shape: (height, width, channels), RGB with the training set's mean subtracted; at least 193 pixels a
            side, or None for any such size.
        classes: number of labels, background among them (251,805,653 parameters for 21).
        fc_filters: of the layers fc6 and fc7; fewer than the paper's 4096 only serve where no trained ones are at hand.

    Raises:
        ValueError: an input too small, or no class.

    Source: section 3.1 and Fig. 2 (VGG-16 and its mirror image), 4.1 (normalised after every layer), 6.1
    (initialisation).
    """
    check_input_shape(input_shape, smallest=193, free=True)  # pool5 leaves fc6 its 7x7
    check_classes(classes)
    image = x = keras.Input(input_shape, name="image")
    stages = list(enumerate(zip(FILTERS, map(len, CONFIGURATIONS["D"]), strict=True), start=1))
    pooled = {}
    for stage, (filters, layers) in stages:
        for i in range(1, layers + 1):
            x = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{stage}_{i}")(x)
            x = bn_relu(x, f"bn{stage}_{i}", f"relu{stage}_{i}")
        before = x
        x, indices = MaxPoolingWithIndices(2, padding="same", name=f"pool{stage}")(x)  # 112, 56, 28, 14, 7 a side
        pooled[stage] = indices, before
    x = bn_relu(keras.layers.Conv2D(fc_filters, 7, name="fc6")(x), "bnfc6", "relu6")  # 1x1x4096
    x = bn_relu(keras.layers.Conv2D(fc_filters, 1, name="fc7")(x), "bnfc7", "relu7")
    x = bn_relu(deconv(x, 512, 7, "fc6-deconv", "valid"), "fc6-deconv-bn", "fc6-deconv-relu")  # 7x7x512
    for stage, (filters, layers) in reversed(stages):
        x = MaxUnpooling(2, padding="same", name=f"unpool{stage}")(x, *pooled[stage])
        for i in range(1, layers + 1):
            narrower = FILTERS[max(stage - 2, 0)] if i == layers else filters
            x = bn_relu(deconv(x, narrower, 3, f"deconv{stage}_{i}", "same"), f"debn{stage}_{i}", f"derelu{stage}_{i}")
    logits = keras.layers.Conv2D(classes, 1, kernel_initializer=normal(), dtype="float32", name="seg-score-voc")(x)
    return keras.Model(image, logits, name=name)


def deconv(x, filters, size, name, padding):
    """A transposed convolution, its weights ~ N(0, 0.01^2)."""
    return keras.layers.Conv2DTranspose(filters, size, padding=padding, kernel_initializer=normal(), name=name)(x)


def bn_relu(x, norm, relu):
    shift = keras.initializers.Constant(0.001)
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, beta_initializer=shift, name=norm)(x)
    return keras.layers.ReLU(name=relu)(x)
