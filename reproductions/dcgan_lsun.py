"""DCGAN on LSUN's bedrooms: Radford et al., ICLR 2016, section 4.1.

    python -m reproductions.dcgan_lsun --data-dir DIR

Paper: samples after one epoch (Fig. 2) and after five (Fig. 3) of a little over 3 million images, and a walk between
random z (Fig. 4); no figure is printed, so that this decides no claim.
"""

import sys

from keras_cnns.data.augmentation import centre_crop, resize_shorter_side
from reproductions.dcgan import dcgan_recipe
from reproductions.runner import main

EPOCHS = 5


def recipe(run, base_filters=128, kernel_size=5):
    images = run.data("lsun/bedroom", channels=3, labels=False)
    train, test = (each.each(resize_shorter_side(64), centre_crop(64)) for each in images)
    deviations = [
        "near duplicates are not removed; the paper found 275,000 by the codes of an autoencoder",
        "the authors' release also decays weights (L2 of 1e-5), which the paper does not print",
    ]
    return dcgan_recipe(run, train, test, EPOCHS, 64, base_filters, kernel_size, deviations=deviations)


if __name__ == "__main__":
    sys.exit(main(recipe))
