"""SegNet on CamVid: Badrinarayanan et al., "SegNet", PAMI 2017, section 4.

    python -m reproductions.segnet_camvid --data-dir DIR --initial imagenet

Paper: Table 3: 90.40 % of the pixels right, 71.20 % in the mean over classes, mean IU 60.10 % and boundary F1 46.84 %
after 140,000 steps on 3,433 road scenes of several data sets; the 367 of CamVid alone are a proxy for them.
DIR holds CamVid as the authors' tutorial has it. `--initial`: "imagenet", or the folder of a VGG-16 run, from which the
encoder starts; without it at random. `--height 180` is a quarter of the pixels, a further proxy. Wants a GPU.
"""

import sys

from keras_cnns import segnet
from keras_cnns.data import median_frequency_weights
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.segmentation import image_alone
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import VGG_MEAN, boundary_test, camvid_images, labelling, score_claims, start_from

TABLE_3 = {"pixel_accuracy": 90.40, "mean_accuracy": 71.20, "mean_iu": 60.10}


def recipe(run, height=360, balance=True, initial=""):
    size, train, test = camvid_images(run, height)
    run.departures.append(f"{len(train)} training images; the paper's figures are of 3,433")
    if height != 360:
        run.departures.append(f"images and masks of {height}x{height * 4 // 3} pixels in place of 360x480")
    batch_size = run.batch_size(4)
    steps = run.steps(140_000, steps_per_epoch=len(train) // batch_size)
    model = segnet((*size, 3), classes=len(train.labels))
    prepare = image_alone(subtract_mean(VGG_MEAN))
    test = test.map(prepare)
    return Recipe(
        model=model,
        train=train.map(prepare),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(1e-3, momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",)),
        loss=PixelCrossEntropy(median_frequency_weights(train) if balance else None),
        preprocessing=Preprocessing(size, mean=VGG_MEAN),
        test_batch_size=4,
        population=True,  # before a test the release runs its compute_bn_statistics.py
        final_tests={"boundary": boundary_test(run.final(test))},
        claims=[
            *score_claims("SegNet on CamVid", TABLE_3, "S5"),
            *score_claims("SegNet on CamVid", {"boundary_f1": 46.84}, "S5", "boundary"),
        ],
        deviations=[
            start_from(model, initial),
            "learning rate, batch, weight decay and balanced classes are those of the authors' release",
            "the mean colour of ImageNet is subtracted, as the encoder's weights expect",
            "the loss is averaged image by image, Caffe's over the labelled pixels of the whole batch",
        ],
        **labelling(train.labels),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
