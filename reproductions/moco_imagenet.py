"""MoCo on ImageNet: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020.

    python -m reproductions.moco_imagenet --data-dir DIR

Paper: section 3.3 and 4.1: 60.6 % top-1 of a linear classifier on the features of ResNet-50 after 200 epochs in batches
of 256. Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and GPUs: the paper trained on eight. On fewer,
groups of 32 images stand for the paper's replicas, each with batch statistics of its own.
"""

import sys

from keras_cnns import moco, resnet50
from keras_cnns.data.augmentation import centre_crop, one, resize_shorter_side, subtract_mean
from keras_cnns.data.views import moco_views
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised import encoder_of
from keras_cnns.training import SGD, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.representation import PROBE, groups_of, kept, knn_test, linear_test, memory_of
from reproductions.runner import main

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, as torchvision has them
NEIGHBOURS = 128_000  # training images among which the test after each epoch looks for neighbours


def recipe(run):
    train, test = run.data("imagenet2012", channels=3)
    batch_size = run.batch_size(256, smoke=4)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(200 * steps_per_epoch, steps_per_epoch)
    normalise = subtract_mean(MEAN, DEVIATION)
    as_tested = lambda images: images.each(resize_shorter_side(256), centre_crop(224)).map(normalise)
    memory, test = as_tested(memory_of(run, train)), as_tested(test)
    encoder = encoder_of(resnet50(stride_in="3x3"), name="resnet50_encoder")
    return Recipe(
        model=moco(
            encoder, queue=65_536, momentum=0.999, temperature=0.07, groups=groups_of(batch_size, 32), seed=run.seed
        ),
        train=train.each(one(moco_views(224))).map(normalise),
        test=test,
        batch_size=batch_size,
        steps=steps,
        # "0.03 for a mini-batch size of 256 in 8 GPUs", "multiplied by 0.1 at 120 and 160 epochs"
        optimizer=SGD(step_decay(0.03, at=(steps * 3 // 5, steps * 4 // 5)), momentum=0.9, l2=1e-4),
        preprocessing=Preprocessing(224, shorter_side=256, mean=MEAN, scale=[1 / each for each in DEVIATION]),
        final_tests={"linear": linear_test(memory, test, run.seed)},
        claims=[Claim("MoCo, ResNet-50, linear probe, top-1, %", "linear_accuracy", 60.6, id="P3", at_least=60.1)],
        deviations=[
            PROBE,
            "crops are scaled without antialiasing, the release's with Pillow's",
            f"the neighbours after each epoch are of {NEIGHBOURS:,} training images",
        ],
        test_figures=knn_test(memory, NEIGHBOURS),
        **kept(encoder),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
