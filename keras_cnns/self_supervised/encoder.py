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
