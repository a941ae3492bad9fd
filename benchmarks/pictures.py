"""Real images that need no download: scikit-image's photographs."""

import numpy as np
import skimage.data
from PIL import Image

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
UPRIGHT = (375, 500)  # width and height of many of ImageNet's


def patches(count, side):
    """uint8 `(count, side, side, 3)`: different patches of the photographs, scaled."""
    return np.stack([np.asarray(cut(number, (side, side))) for number in range(count)])


def jpeg_folder(folder, count):
    """Write `count` JPEG files of ImageNet's size, three of four lying, in a folder by class: `folder/CLASS/...`."""
    for number in range(count):
        size = UPRIGHT if number % 4 == 3 else UPRIGHT[::-1]
        place = folder / PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
        place.mkdir(parents=True, exist_ok=True)
        cut(number, size).save(place / f"{number:04}.jpg", quality=(85, 90, 95)[number % 3])


def cut(number, size):
    """A patch of a photograph, the number-th, as a picture of `size` (width, height); every other one mirrored."""
    photograph = Image.fromarray(getattr(skimage.data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])())
    draw = np.random.default_rng(number)
    scale = draw.uniform(0.5, 1) * min(photograph.width / size[0], photograph.height / size[1])
    width, height = round(scale * size[0]), round(scale * size[1])
    left, top = draw.integers(photograph.width - width + 1), draw.integers(photograph.height - height + 1)
    patch = photograph.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    return patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else patch
