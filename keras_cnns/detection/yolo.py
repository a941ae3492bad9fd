"""YOLO: Redmon et al., "You Only Look Once: Unified, Real-Time Object Detection", CVPR 2016.

Deviations: none known in the network of Fig. 3. What the paper leaves open is set as follows. Fast YOLO's layers, of
which it prints that they are 9 convolutions with fewer filters, are those of the released yolo-tiny.cfg of 2015; its
first fully connected layer is linear. "local" is the released yolov1.cfg of 2016 and later: batch normalisation, and a
locally connected layer and 3 boxes a cell. The outputs' order within a cell is this library's (`keras_cnns.ops.yolo`).
Convolutions start as He et al.'s, fully connected layers as the release's, biases at 0. Fast YOLO's pre-training
network is not printed, and is not here.
"""

import keras
import tensorflow as tf

from keras_cnns.arguments import Shape, check_choice, check_classes, check_count, check_input_shape
from keras_cnns.layers import BatchNormalization, LocallyConnected2D, YOLODetections

# Fig. 3: (filters, kernel) of a convolution, with its stride if that is 2, and "max" for a 2x2 max pooling.
PRETRAINED = [
    *[(64, 7, 2), "max", (192, 3), "max"],
    *[(128, 1), (256, 3), (256, 1), (512, 3), "max"],
    *[(256, 1), (512, 3)] * 4,
    *[(512, 1), (1024, 3), "max"],
    *[(512, 1), (1024, 3)] * 2,
]
LAYERS = {
    "paper": [*PRETRAINED, (1024, 3), (1024, 3, 2), (1024, 3), (1024, 3)],
    "fast": [
        *[(16, 3), "max", (32, 3), "max", (64, 3), "max", (128, 3), "max", (256, 3), "max", (512, 3), "max"],
        *[(1024, 3)] * 3,
    ],
}
LAYERS["local"] = LAYERS["paper"]
BOXES = {"paper": 2, "fast": 2, "local": 3}


@keras.saving.register_keras_serializable(package="keras_cnns")
def leaky(x):
    """Equation 2."""
    return tf.nn.leaky_relu(x, 0.1)


def yolo(
    input_shape: Shape = (448, 448, 3),
    classes: int = 20,
    variant: str = "paper",
    grid: int = 7,
    boxes: int | None = None,
    name: str = "yolo",
) -> keras.Model:
    """Return YOLO: `(batch, grid, grid, classes + 5 * boxes)` in float32, what `keras_cnns.ops.yolo_boxes` reads.

    Class 0 is the data set's first: there is no background.

    Args:
        input_shape: (height, width, channels), RGB from 0 to 1, at least 64 pixels a side.
        classes: number of classes, the paper's C.
        variant: "paper" (24 convolutions, 271,703,550 parameters), "fast" (9, 45,089,374), or "local", the later
            release (197,301,875).
        grid: cells a side, S. boxes: of a cell, B; by default 2, or 3 for "local".

    Raises:
        ValueError: an unknown variant, an input too small, no class, no cell, or no box.

    Source: section 2.1 (Fig. 3), 2.2 (leaky activation, dropout).
    """
    check_choice("variant", variant, tuple(LAYERS))
    check_input_shape(input_shape, smallest=64)  # 64 to the last map's one cell
    check_classes(classes)
    boxes = BOXES[variant] if boxes is None else boxes
    check_count("grid", grid)
    check_count("boxes", boxes)

    image = keras.Input(input_shape, name="image")
    x = convolutions(image, LAYERS[variant], normalised=variant == "local")  # 7x7x1024
    if variant == "local":
        x = LocallyConnected2D(256, 3, activation=leaky, name="local")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    units = {"paper": [(4096, leaky)], "fast": [(256, None), (4096, leaky)], "local": []}[variant]
    for number, (width, activation) in enumerate(units, start=1):
        x = dense(width, f"fc{number}", activation=activation)(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    depth = classes + 5 * boxes
    x = dense(grid * grid * depth, f"fc{len(units) + 1}", dtype="float32")(x)
    return keras.Model(image, keras.layers.Reshape((grid, grid, depth), dtype="float32", name="cells")(x), name=name)


def yolo_classifier(
    input_shape: Shape = (224, 224, 3), classes: int = 1000, name: str = "yolo_classifier"
) -> keras.Model:
    """Return the network that YOLO's first 20 convolutions are trained in: logits `(batch, classes)` in float32.

    23,428,136 parameters. Layers have the detector's names, so that `keras_cnns.load_layers` brings them over.

    Args:
        input_shape: (height, width, channels), RGB from 0 to 1, at least 32 pixels a side.
        classes: number of classes.

    Raises:
        ValueError: an input too small, or no class.

    Source: section 2.2: "the first 20 convolutional layers from Figure 3 followed by an average-pooling layer and a
    fully connected layer".
    """
    check_input_shape(input_shape, smallest=32)
    check_classes(classes)
    image = keras.Input(input_shape, name="image")
    x = convolutions(image, PRETRAINED)  # 7x7x1024
    x = keras.layers.GlobalAveragePooling2D(name="avgpool")(x)
    return keras.Model(image, dense(classes, "fc", dtype="float32")(x), name=name)


def yolo_detector(
    model: keras.Model,
    classes: int,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.001,
    most: int = 100,
    name: str = "yolo_detector",
) -> keras.Model:
    """Return what a trained YOLO finds, non-maximum suppression inside: (boxes, scores, labels), the best first.

    Boxes `(batch, most, 4)` in pixels of its input and cut off at its border, scores `(batch, most)`, labels
    `(batch, most)` int32; behind the boxes found are zeros. `keras_cnns.export` writes it.

    Args:
        model: as `yolo` returns it, of that many classes.
        iou_threshold, score_threshold: of the suppression within each class, and below which there is no box, both
            Darknet's for the scores of the paper.
        most: boxes of an image at most.

    Raises:
        ValueError: outputs of a depth that does not fit the classes, or a threshold outside [0, 1].
    """
    found = YOLODetections(classes, model.input.shape[1:3], iou_threshold, score_threshold, most, name="detections")
    return keras.Model(model.input, found(model.output), name=name)


def dense(units, name, **kwargs):
    weights = keras.initializers.VarianceScaling(2 / 3, "fan_in", "uniform")  # up to sqrt(2 / inputs): Darknet's
    return keras.layers.Dense(units, kernel_initializer=weights, name=name, **kwargs)


def convolutions(x, layers, normalised=False):
    """The convolutions and poolings of a table, from an image."""
    convolution = pooling = 0
    for layer in layers:
        if layer == "max":
            pooling += 1
            x = keras.layers.MaxPooling2D(2, name=f"max{pooling}")(x)
            continue
        convolution += 1
        filters, kernel, stride = (*layer, 1)[:3]
        name, padding = f"conv{convolution}", "same"
        if stride == 2:  # "same" would pad less on the left than on the right
            padding = "valid"
            x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        activation = None if normalised else leaky
        arguments = {"padding": padding, "kernel_initializer": "he_normal", "use_bias": not normalised}
        x = keras.layers.Conv2D(filters, kernel, stride, activation=activation, name=name, **arguments)(x)
        if normalised:
            x = BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
            x = keras.layers.Activation(leaky, name=f"{name}_leaky")(x)
    return x
