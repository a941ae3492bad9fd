"""The messages of `keras_cnns/arguments.py`: the argument, what was wrong, what is allowed."""

import re

import pytest

from keras_cnns.arguments import check_choice, check_classes, check_input_shape


@pytest.mark.parametrize("classes", [1, 10, 1000])
def test_classes_taken(classes):
    check_classes(classes)


@pytest.mark.parametrize("classes", [0, -1, 2.0, "10", None])
def test_classes_refused(classes):
    with pytest.raises(ValueError) as error:
        check_classes(classes)
    assert str(error.value) == f"classes is {classes!r}; it must be a whole number of at least 1, a Python int."


@pytest.mark.parametrize(
    ("shape", "free"),
    [((64, 64, 3), False), ([64, 200, 1], False), ((64, 64, 3), True), ((None, None, 3), True), ((64, None, 3), True)],
)
def test_input_shapes_taken(shape, free):
    check_input_shape(shape, smallest=64, free=free)


FIXED = "it must be (height, width, channels) with height and width of at least 64 pixels, and at least 1 channel."
FREE = FIXED.replace("pixels,", "pixels, or None for any size,")
WRONG = [(63, 64, 3), (64, 63, 3), (64, 64), (64,), (1, 64, 64, 3), (64, 64, 0), (64, 64, None), 64, None, "abc"]


@pytest.mark.parametrize(
    ("shape", "free"),
    [*[(shape, False) for shape in WRONG], *[(shape, True) for shape in WRONG], ((None, 64, 3), False)],
)
def test_input_shapes_refused(shape, free):
    with pytest.raises(ValueError) as error:
        check_input_shape(shape, smallest=64, free=free)
    assert str(error.value) == f"input_shape is {shape}; {FREE if free else FIXED}"


def test_choices():
    check_choice("shortcut", "A", ("A", "B"))
    with pytest.raises(ValueError, match=re.escape("shortcut is 'C'; it must be one of 'A', 'B'.")):
        check_choice("shortcut", "C", ("A", "B"))
