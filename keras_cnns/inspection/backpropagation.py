"""Running a network's graph call by call, with rules of one's own for the way back to the image."""

import keras
import tensorflow as tf

from keras_cnns.inspection.calls import is_image


def forward(calls, targets, images, rule=None):
    """Return the output tensors of some calls for a batch of images.

    Args:
        calls: of a model, by `calls_of`.
        targets: the calls wanted.
        images: (batch, height, width, channels), as the network takes them.
        rule: function from a layer to what is called in its place, of the same values and another gradient.

    Raises:
        ValueError: images of another shape than the network's, or a target that depends on other inputs than an image.
    """
    last_use = {}  # from a call to the one that reads it last, after which its maps are let go
    needed = set(targets)
    for call in reversed(calls):
        if call in needed:
            for source, _ in call.inputs:
                needed.add(source)
                last_use.setdefault(source, call)
    values = {}
    for call in calls:
        if call not in needed:
            continue
        if not call.inputs:
            check_images(call, images)
            values[call] = [images]
            continue
        tensors = dict(zip(call.input_ids, (values[source][i] for source, i in call.inputs), strict=True))
        arguments, keywords = call.arguments.fill_in(tensors)
        layer = rule(call.layer) if rule else call.layer
        values[call] = tf.nest.flatten(layer(*arguments, **keywords))
        for source in {source for source, _ in call.inputs}.difference(targets):
            if last_use[source] is call:
                del values[source]
    return [values[target][0] for target in targets]


def check_images(call, images):
    shape, given = call.tensors[0].shape, images.shape
    if not is_image(call):
        raise ValueError(f"input {call.layer.name!r} of shape {shape} is no image.")
    if len(given) != 4 or any(side not in (None, here) for side, here in zip(shape[1:], given[1:], strict=True)):
        raise ValueError(f"images have the shape {tuple(given)}; the network takes {tuple(shape)}.")


def gradient(calls, target, images, unit, rule=None, signal=tf.ones_like):
    """Return what one unit of each image sends back to it: float32, an array like the images.

    Args:
        unit: function from the target's output to the values of the chosen units, `(batch,)`.
        signal: function from these values to what starts on the way back; ones give the gradient.
        calls, target, images, rule: as in `forward`.
    """
    images = tf.convert_to_tensor(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        (output,) = forward(calls, [target], images, rule)
        values = unit(tf.cast(output, tf.float32))
    return tape.gradient(values, images, signal(values), unconnected_gradients="zero").numpy()


RELUS = (keras.activations.relu, keras.ops.relu, tf.nn.relu)


def with_relu(layer, relu):
    """The layer with a function in place of its ReLU; the layer itself where it has none that is plain."""
    if type(layer).__name__ == "Relu" and not isinstance(layer, keras.layers.Layer):  # the bare operation
        return relu
    if type(layer).__name__ == "ReLU":  # the layer, or `keras.activations.relu` of a tensor
        plain = not layer.negative_slope and not layer.threshold and layer.max_value is None
        return relu if plain else layer
    own = getattr(layer, "activation", None)
    if not any(own is each for each in RELUS):
        return layer

    def call(*arguments, **keywords):
        layer.activation = relu
        try:
            return layer(*arguments, **keywords)
        finally:
            layer.activation = own

    return call
