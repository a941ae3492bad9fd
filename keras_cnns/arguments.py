"""What every builder checks at its door, in one sentence each."""


def check_classes(classes):
    """Raise `ValueError` unless `classes` is a whole number of at least one."""
    if type(classes) is not int or classes < 1:
        raise ValueError(f"classes is {classes!r}; it must be a whole number of at least 1, a Python int.")


def check_input_shape(input_shape, smallest, free=False):
    """Raise `ValueError` unless `input_shape` is (height, width, channels) with both sides at least `smallest` pixels.

    free: whether the network takes any size, so that height and width may be None.
    """
    allowed = f"it must be (height, width, channels) with height and width of at least {smallest} pixels"
    allowed += ", or None for any size." if free else "."
    try:
        *sides, channels = input_shape
        wrong = (
            len(sides) != 2 or channels < 1 or any(side < smallest for side in sides if side is not None or not free)
        )
    except TypeError:  # not a sequence, or not of numbers
        wrong = True
    if wrong:
        raise ValueError(f"input_shape is {input_shape}; {allowed}")


def check_choice(name, value, choices):
    """Raise `ValueError` unless `value` is one of `choices`; the message lists them."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}.")
