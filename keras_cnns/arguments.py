"""What every builder checks at its door, in one sentence each."""

import numbers
import operator

Shape = tuple[int, int, int]  # height, width, channels
FreeShape = tuple[int | None, int | None, int]  # height and width may be None: any size


def check_classes(classes):
    """Raise `ValueError` unless `classes` is a whole number of at least one."""
    check_count("classes", classes)


def check_count(name, value):
    """Raise `ValueError` unless `value` is a whole number of at least one."""
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1, a Python int.")


def check_input_shape(input_shape, smallest, free=False):
    """Raise `ValueError` unless `input_shape` is (height, width, channels) with both sides at least `smallest` pixels.

    free: whether the network takes any size, so that height and width may be None.
    """
    any_size = ", or None for any size" if free else ""
    allowed = f"height and width of at least {smallest} pixels{any_size}, and at least 1 channel"

    def fits(side):
        return (side is None and free) or operator.index(side) >= smallest

    try:
        height, width, channels = input_shape
        good = fits(height) and fits(width) and operator.index(channels) >= 1
    except (TypeError, ValueError):  # not three, or not whole numbers
        good = False
    if not good:
        raise ValueError(f"input_shape is {input_shape}; it must be (height, width, channels) with {allowed}.")


def check_rate(name, value):
    """Raise `ValueError` unless `value` is a number of at least 0 and less than 1: a dropout rate."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; it must be at least 0 and less than 1.")


def check_choice(name, value, choices):
    """Raise `ValueError` unless `value` is one of `choices`; the message lists them."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}.")


def latent_size(model):
    """The length of z that a generator takes, from z `(batch, latent)` to images; None of what is no generator."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if [len(each.shape) for each in (*inputs, *outputs)] != [2, 4] or outputs[0].shape[-1] not in (1, 3):
        return None
    return inputs[0].shape[-1]
