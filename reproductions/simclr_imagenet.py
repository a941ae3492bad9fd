"""SimCLR on ImageNet: Chen et al., "A Simple Framework for Contrastive Learning", ICML 2020, sections 2 and 4.

    python -m reproductions.simclr_imagenet --data-dir DIR

Paper: 69.3 % top-1 of a linear classifier on the features of ResNet-50 after 1,000 epochs in batches of 4,096; about
64.5 % after 100 (`--epochs 100`), by the release. Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and
many GPUs: the paper trained on 32 to 128 TPU cores. `--synchronized` has the paper's batch statistics.
"""

import sys

from keras_cnns import resnet50, simclr
from keras_cnns.data.augmentation import centre_crop, one, resize_shorter_side, subtract_mean
from keras_cnns.data.views import simclr_views
from keras_cnns.layers import Preprocessing
from keras_cnns.self_supervised import encoder_of
from keras_cnns.training import LARS
from reproductions.recipe import Claim, Recipe
from reproductions.representation import PROBE, SYNCHRONIZED, cosine, kept, knn_test, linear_test, memory_of
from reproductions.runner import main

NEIGHBOURS = 128_000  # training images among which the test after each epoch looks for neighbours


def recipe(run):
    train, test = run.data("imagenet2012", channels=3)
    batch_size = run.batch_size(4096, smoke=4)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(1000 * steps_per_epoch, steps_per_epoch)
    scale = subtract_mean(0.0, 255.0)  # "to [0, 1]": the release
    as_tested = lambda images: images.each(resize_shorter_side(256), centre_crop(224)).map(scale)
    memory, test = as_tested(memory_of(run, train)), as_tested(test)
    encoder = encoder_of(resnet50(stride_in="3x3"), name="resnet50_encoder")
    return Recipe(
        model=simclr(encoder, temperature=0.1),
        train=train.each(one(simclr_views(224))).map(scale),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=LARS(cosine(0.3 * batch_size / 256, steps, min(10 * steps_per_epoch, steps // 10)), l2=1e-6),
        preprocessing=Preprocessing(224, shorter_side=256, scale=1 / 255),
        final_tests={"linear": linear_test(memory, test, run.seed)},
        claims=[
            Claim("SimCLR, ResNet-50, linear probe, top-1, %", "linear_accuracy", 69.3, id="P2", at_least=68.8),
        ],
        deviations=[
            SYNCHRONIZED,
            "crops are scaled bilinearly, without antialiasing, the paper's bicubically",
            PROBE,
            f"the neighbours after each epoch are of {NEIGHBOURS:,} training images",
        ],
        test_figures=knn_test(memory, NEIGHBOURS),
        **kept(encoder),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
