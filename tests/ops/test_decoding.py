"""Encoded images beside what Pillow makes of them."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cnns.ops import decode_colour

GREY = np.arange(0, 240, dtype="uint8").reshape(12, 20)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def encoded(picture, format="BMP"):
    file = io.BytesIO()
    picture.save(file, format)
    return file.getvalue()


PICTURES = {
    "colours": Image.fromarray(COLOUR),
    "grey": Image.fromarray(GREY),
    "table of 256": Image.fromarray(COLOUR).quantize(256),
    "table of 5": Image.fromarray(COLOUR // 128 * 128).quantize(5),
    "table of greys backwards": Image.fromarray(255 - GREY).quantize(256),
}


@pytest.mark.parametrize("format", ["BMP", "PNG", "GIF"])
@pytest.mark.parametrize("kind", PICTURES)
def test_as_pillow_has_it(kind, format):
    file = encoded(PICTURES[kind], format)
    with Image.open(io.BytesIO(file)) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(decode_colour(file), expected)


def test_a_table_by_hand():
    """Two entries, red, green and blue (1, 2, 3) and (4, 5, 6); 2x2 pixels, the last line first, lines of 4 bytes."""
    header = b"BM" + np.int32([70, 0, 62, 40, 2, 2]).tobytes() + np.int16([1, 8]).tobytes()
    header += np.int32([0, 8, 0, 0, 2, 2]).tobytes()
    file = header + bytes([3, 2, 1, 0, 6, 5, 4, 0]) + bytes([0, 1, 0, 0, 1, 1, 0, 0])
    assert decode_colour(file).numpy().tolist() == [[[4, 5, 6], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]]
    outside = file[:-2] + bytes([0, 0])
    outside = outside[:-4] + bytes([9, 1, 0, 0])  # an entry that the table does not have
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_colour(outside)


@pytest.mark.parametrize("kind", ["packed", "one bit", "cut off", "text", "empty"])
def test_what_is_refused(kind):
    bmp = encoded(PICTURES["table of 5"])
    files = {
        "packed": bmp[:30] + b"\1" + bmp[31:],
        "one bit": encoded(Image.fromarray(GREY > 100)),
        "cut off": bmp[:-100],
        "text": b"BM, no image, as a sentence that is longer than the header of one would be.",
        "empty": b"",
    }
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_colour(files[kind])
