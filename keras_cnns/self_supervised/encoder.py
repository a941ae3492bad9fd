"""A classifier without its last layer, and what is put on it."""

import keras


def encoder_of(classifier: keras.Model, name: str | None = None) -> keras.Model:
    """Return a classifier of this library without its last dense layer: images to features `(batch, width)`.

    The layers are the classifier's own. Of several outputs the first counts: auxiliary heads are left out.

    Raises:
        ValueError: a network that does not end in a dense layer.
    """
    last = classifier.outputs[0]._keras_history.operation
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(f"{classifier.name} ends in {last.name}, a {type(last).__name__}; it must be a dense layer.")
    return keras.Model(classifier.inputs[0], last.input, name=name or f"{classifier.name}_encoder")


def check_encoder(encoder):
    """Raise `ValueError` unless a model goes from images to features `(batch, width)`."""
    shapes = [tuple(each.shape) for each in (*encoder.inputs, *encoder.outputs)]
    if [len(shape) for shape in shapes] != [4, 2]:
        raise ValueError(f"{encoder.name} goes from {shapes[0]} to {shapes[1:]}; it must end in (batch, width).")


def from_pixels(encoder, level=None):
    """Return an encoder of images that the tasks have normalised as one that takes any pixels.

    level: None where each colour of an image was brought to mean 0 and deviation 1, as by `jigsaw_puzzles`; else the
        root mean square that the image was scaled to after its mean colour was subtracted, as by `patch_pairs`.
    """
    image = x = keras.Input(encoder.input_shape[1:], name="image")
    x = x - keras.ops.mean(x, axis=(1, 2), keepdims=True)
    square = keras.ops.mean(keras.ops.square(x), axis=(1, 2) if level is None else (1, 2, 3), keepdims=True)
    x = x * (level or 1.0) * keras.ops.rsqrt(square + 1e-3)
    return keras.Model(image, encoder(x), name=encoder.name)


def maps_of(classifier: keras.Model, name: str | None = None) -> keras.Model:
    """Return a classifier of this library up to its last maps: images to maps `(batch, height, width, channels)`.

    Raises:
        ValueError: a network without maps.
    """
    maps = [layer.output for layer in classifier.layers[1:] if len(getattr(layer.output, "shape", ())) == 4]
    if not maps:
        raise ValueError(f"{classifier.name} has no layer of maps.")
    return keras.Model(classifier.inputs[0], maps[-1], name=name or f"{classifier.name}_maps")
