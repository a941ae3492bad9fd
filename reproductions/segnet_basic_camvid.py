"""SegNet-Basic on CamVid: Badrinarayanan et al., "SegNet", PAMI 2017, section 4.1.

    python -m reproductions.segnet_basic_camvid --data-dir DIR

Paper: Table 1: 82.7 % of the pixels right, 62.0 % in the mean over classes, mean IU 47.7 % on the 233 test images, of
367 for training; 84.0, 54.6 and 46.3 % without the balancing of classes, `--no-balance`.
DIR holds CamVid as the authors' tutorial has it: `train`, `trainannot`, `test` and `testannot`, 480x360.
`--height 180` trains and tests at a quarter of the pixels, a proxy.
`segnet_balance_camvid` decides what balancing does, at a sixteenth of the pixels.
"""

import sys

from keras_cnns import segnet_basic
from keras_cnns.data import median_frequency_weights
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import boundary_test, camvid_images, labelling, score_claims

# Table 1, SegNet-Basic, by whether the classes are balanced; %.
TABLE_1 = {
    True: {"pixel_accuracy": 82.7, "mean_accuracy": 62.0, "mean_iu": 47.7},
    False: {"pixel_accuracy": 84.0, "mean_accuracy": 54.6, "mean_iu": 46.3},
}


def recipe(run, height=360, balance=True):
    size, train, test = camvid_images(run, height)
    if height != 360:
        run.departures.append(f"images and masks of {height}x{height * 4 // 3} pixels in place of 360x480")
    batch_size = run.batch_size(12)
    steps = run.steps(3_330, steps_per_epoch=len(train) // batch_size)
    return Recipe(
        model=segnet_basic((*size, 3), classes=len(train.labels)),
        train=train,
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(0.1, momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",)),
        loss=PixelCrossEntropy(median_frequency_weights(train) if balance else None),
        preprocessing=Preprocessing(size),
        test_batch_size=4,
        population=True,  # before a test the release runs its compute_bn_statistics.py
        final_tests={"boundary": boundary_test(run.final(test))},
        claims=score_claims("SegNet-Basic on CamVid", TABLE_1[balance], "S5"),
        deviations=[
            "3,330 steps of 12 images, as many images as in the 10,000 steps of 4 of the authors' release; the paper "
            "trains until the loss converges and prints no number",
            "weight decay 5e-4, none on biases, which learn at twice the rate, all as in the release; the paper prints "
            "none of it",
            "the loss is averaged image by image, Caffe's over the labelled pixels of the whole batch",
        ],
        **labelling(train.labels),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
