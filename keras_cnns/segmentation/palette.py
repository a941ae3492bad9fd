"""Colours for label maps: those their data sets are shown in."""

import numpy as np

# As SegNet's authors colour CamVid.
CAMVID = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "cyclist": (0, 128, 192),
}


def palette(labels):
    """The colours of label maps, uint8 (256, 3): CamVid's if these are its classes, otherwise Pascal VOC's by number.

    labels: names of the classes. 255 is void.
    """
    colours = voc_palette()
    if labels and set(labels) <= set(CAMVID):
        colours[: len(labels)] = [CAMVID[label] for label in labels]
    return colours


def voc_palette():
    """Pascal VOC's: a number's bits dealt out to red, green and blue, the lowest first, to their highest bits."""
    numbers, colours = np.arange(256), np.zeros((256, 3), "uint8")
    for bit in range(8):
        for channel in range(3):
            if 3 * bit + channel < 8:
                colours[:, channel] |= (((numbers >> (3 * bit + channel)) & 1) << (7 - bit)).astype("uint8")
    return colours
