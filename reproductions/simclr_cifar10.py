"""SimCLR on CIFAR-10: Chen et al., "A Simple Framework for Contrastive Learning", ICML 2020, appendix B.9.

    python -m reproductions.simclr_cifar10 --data-dir DIR

Paper: 94.0 % of a linear classifier on the features of ResNet-50 after 1,000 epochs in batches of 1,024; the release
has about 91 % for `--depth 18`, in batches of 512. Wants GPUs; `--synchronized` has the paper's batch statistics.
"""

import sys

from keras_cnns import simclr
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.views import simclr_views
from keras_cnns.layers import Preprocessing
from keras_cnns.training import LARS
from reproductions.recipe import Claim, Recipe
from reproductions.representation import (
    PROBE,
    SYNCHRONIZED,
    cosine,
    encoder_for_32,
    kept,
    knn_test,
    linear_test,
    memory_of,
)
from reproductions.runner import main

LINEAR, BATCH = {18: 91.0, 50: 94.0}, {18: 512, 50: 1024}  # %; images


def recipe(run, depth=50):
    encoder = encoder_for_32(depth)
    train, test = run.data("cifar10", side=32)
    batch_size = run.batch_size(BATCH[depth])
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(1000 * steps_per_epoch, steps_per_epoch)
    scale = subtract_mean(0.0, 255.0)
    memory, test = memory_of(run, train).map(scale), test.map(scale)
    paper = LINEAR[depth]
    statement = f"SimCLR, ResNet-{depth} on CIFAR-10, linear probe, %"
    return Recipe(
        model=simclr(encoder, temperature=0.5),
        train=train.map(simclr_views(32, strength=0.5, blur=False), scale),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=LARS(cosine(batch_size / 256, steps, min(10 * steps_per_epoch, steps // 10)), l2=1e-6),
        preprocessing=Preprocessing(32, shorter_side=32, scale=1 / 255),
        final_tests={"linear": linear_test(memory, test, run.seed)},
        claims=[Claim(statement, "linear_accuracy", paper, id="P2", at_least=paper - 0.5)],
        deviations=[
            "a learning rate of 1.0 * batch / 256 and a temperature of 0.5, of those that the paper tried",
            SYNCHRONIZED,
            "crops are scaled bilinearly, without antialiasing, the paper's bicubically",
            PROBE,
        ],
        test_figures=knn_test(memory),
        **kept(encoder),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
