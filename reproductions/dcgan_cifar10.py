"""DCGAN on CIFAR-10, and what its discriminator's features are good for: Radford et al., ICLR 2016, section 5.1.

    python -m reproductions.dcgan_cifar10 --data-dir DIR

Paper: 82.8 % accuracy of a linear SVM on the features of a discriminator trained on ImageNet-1k. Here it is trained on
CIFAR-10's own images, without labels. The SVM learns from `--probed` of them (0: none is trained), a fifth of which
choose its C; of all 50,000 it takes hours. `--classifier` as in `dcgan_fashion_mnist`.
"""

import sys

import tensorflow as tf

from keras_cnns.evaluation import pooled_features, svm_scores
from keras_cnns.training import population_statistics
from reproductions.dcgan import dcgan_recipe, scaled
from reproductions.generation import features_of, fitted
from reproductions.recipe import Claim
from reproductions.runner import main

EPOCHS = 100
AT_ONCE = 500


def probe(discriminator, train, test, count):
    """The accuracy of a linear SVM on a discriminator's features, learnt from the first `count` of the training images.

    Batch normalisation has the statistics of these images, as in the authors' release on SVHN.
    """
    images = train.take(count)
    with population_statistics(discriminator, images.batches(AT_ONCE)):
        parts = []
        for each in (images, test):
            labels = tf.concat([labels for _, labels in each.batches(AT_ONCE)], axis=0).numpy()
            parts.append((pooled_features(discriminator, each.batches(AT_ONCE)), labels))
    (features, labels), tested = parts
    first = len(labels) * 4 // 5
    return svm_scores((features[:first], labels[:first]), (features[first:], labels[first:]), tested)


def recipe(run, base_filters=64, kernel_size=4, probed=50_000, classifier=""):
    train, test = (each.map(fitted(32)) for each in run.data("cifar10", side=32))
    count = min(probed, 500) if run.smoke else probed
    more = {
        "deviations": ["trained on CIFAR-10, the paper's on ImageNet-1k", f"{EPOCHS} epochs; the paper prints none"]
    }
    if probed:
        tests = lambda model: probe(model.discriminator, train.map(scaled), test.map(scaled), count)
        claim = Claim("CIFAR-10, linear SVM on D's features, %", "probe_accuracy", 82.8, id="N3", at_least=82.3)
        more |= {"final_tests": {"probe": tests}, "claims": [claim]}
        if count < 50_000:
            more["deviations"].append(f"the SVM learns from {count:,} images, a fifth of which choose its C")
    features = features_of(classifier)
    return dcgan_recipe(run, train, test, EPOCHS, 32, base_filters, kernel_size, features, **more)


if __name__ == "__main__":
    sys.exit(main(recipe))
