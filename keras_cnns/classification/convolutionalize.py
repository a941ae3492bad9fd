"""Classifiers as fully convolutional networks: Long et al., CVPR 2015, section 3.1; Sermanet et al., ICLR 2014, 3.5.

Deviations: none. A strided layer with Keras's "same" padding, such as ZFNet's poolings, places its windows by the size
of its map, so that on other sizes they may lie a pixel off those of the classifier.
"""

import keras

from keras_cnns.layers import LocalResponseNormalization, OriginalDropout, PaddedIdentity

POINTWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    OriginalDropout,
)
LOCAL = (
    *POINTWISE,
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.BatchNormalization,
    keras.layers.Concatenate,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.Rescaling,
    keras.layers.SeparableConv2D,
    keras.layers.Softmax,
    keras.layers.ZeroPadding2D,
    LocalResponseNormalization,
    PaddedIdentity,
)


def convolutionalize(model: keras.Model) -> keras.Model:
    """Return a classifier as a network of convolutions alone, for images of any size, its logits as a map.

    A dense layer over maps of h x w becomes an h x w convolution, one over a vector a 1x1 convolution, and global
    pooling over h x w the same pooling of that window with stride 1; all other layers stay. An image of the
    classifier's own size gives `(batch, 1, 1, classes)`, equal to the classifier's output, a larger one
    `(batch, rows, columns, classes)`: the output of each window that the strides reach, but for the padding at edges.
    The weights are copied; layers keep their names.

    Raises:
        ValueError: no model; one that takes no single image of fixed height and width, has no dense layer, ends in
            flattened maps, or has a layer that is not known to do the same at every position.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model is a {type(model).__name__}; it must be a Keras model.")
    shapes = [tuple(each.shape) for each in getattr(model, "inputs", None) or []]
    if len(shapes) != 1 or len(shapes[0]) != 4 or None in shapes[0][1:]:
        raise ValueError(f"{model.name} has inputs {shapes}; it must have one, (batch, height, width, channels).")
    outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    model = keras.Model(model.inputs[0], outputs, name=model.name)  # a Sequential is made functional
    if not any(isinstance(layer, keras.layers.Dense) for layer in model.layers):
        raise ValueError(f"{model.name} has no dense layer; there is nothing to convert.")
    for output in model.outputs:
        if joined_maps(output) != (1, 1):
            raise ValueError(f"{model.name} ends in flattened maps; it must end in a dense layer.")

    image = keras.Input((None, None, shapes[0][-1]), name=model.layers[0].name)
    converted = keras.models.clone_model(model, input_tensors=image, clone_function=convolution)
    for layer in model.layers:
        twin = converted.get_layer(layer.name)
        twin.set_weights([ours.reshape(new.shape) for ours, new in zip(layer.get_weights(), twin.weights, strict=True)])
    return converted


def convolution(layer):
    """The layer that does at every position what `layer` does at one."""
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(f"{layer.name}, an operation and no layer, is not supported.")
    kept = {"name": layer.name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
    window = joined_maps(layer.input)
    if isinstance(layer, keras.layers.Flatten):
        return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)  # a policy could not be saved
    if isinstance(layer, keras.layers.Dense):
        return keras.layers.Conv2D(layer.units, window, activation=layer.activation, use_bias=layer.use_bias, **kept)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return keras.layers.AveragePooling2D(layer.input.shape[1:3], strides=1, **kept)
    if isinstance(layer, keras.layers.GlobalMaxPooling2D):
        return keras.layers.MaxPooling2D(layer.input.shape[1:3], strides=1, **kept)
    if not isinstance(layer, LOCAL) or (window != (1, 1) and not isinstance(layer, POINTWISE)):
        where = " on flattened maps" if window != (1, 1) else ""
        kind = f"a {type(layer).__name__}{where}"
        raise ValueError(f"{layer.name}, {kind}, is not known to do the same at every position, and is not supported.")
    return type(layer).from_config(layer.get_config())


def joined_maps(tensors):
    """The (height, width) of the maps that a Flatten has joined to this vector; (1, 1) for everything else."""
    windows = [(1, 1)]
    for tensor in tensors if isinstance(tensors, list) else [tensors]:
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.layers.Flatten) and len(layer.input.shape) == 4:
            windows.append(layer.input.shape[1:3])
        elif isinstance(layer, (*POINTWISE, keras.layers.Flatten)):
            windows.append(joined_maps(layer.input))
    return max(windows)
