"""What the scripts that learn features without labels share."""

import keras
import tensorflow as tf

from keras_cnns.arguments import check_choice
from keras_cnns.classification.blocks import batch_norm, conv, relu
from keras_cnns.classification.resnet import residual_stage
from keras_cnns.evaluation import features_of, knn_accuracy, linear_probe

TEST_BATCH = 250
VOTES = 200
SMOKE_MEMORY = 256
PROBE = (
    "the linear probe learns from features of one view of each image, standardised, at one learning rate; the paper's "
    "from random crops"
)
SYNCHRONIZED = "batch statistics are each replica's own; the paper's are of all of them, which --synchronized gives"


def encoder_for_32(depth, input_shape=(32, 32, 3)):
    """ResNet-18 or 50 for images of 32x32: conv1 of 3x3 with stride 1, no pool1, no classifier: SimCLR, appendix B.9.

    Features `(batch, 512)` or `(batch, 2048)`. Bottlenecks stride in their 3x3, as the releases of both papers.
    """
    check_choice("--depth", depth, (18, 50))
    image = keras.Input(input_shape, name="image")
    x = relu(batch_norm(conv(image, 64, 3, "conv1"), "bn_conv1"), "conv1_relu")  # 32x32x64
    for stage in (2, 3, 4, 5):  # 32x32, 16x16, 8x8, 4x4
        x = residual_stage(x, stage, depth, stride_in="3x3")
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    return keras.Model(image, x, name=f"resnet{depth}_encoder")


def cosine(rate, steps, warm_up=0):
    """A learning rate that grows from 0 in a straight line for `warm_up` steps, then falls to 0 along a cosine."""
    if not warm_up:
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - warm_up, warmup_target=rate, warmup_steps=warm_up)


def groups_of(batch_size, size):
    """Into how many parts of `size` images MoCo divides a replica's part of a batch, for batch normalisation."""
    share = batch_size // tf.distribute.get_strategy().num_replicas_in_sync
    if share > size and share % size:
        raise ValueError(f"a replica's part of a batch is {share} images; groups of {size} must divide it.")
    return max(share // size, 1)


def memory_of(run, train):
    """The training images, as they are tested, whose features neighbours and probes look at; some in a smoke run."""
    return train.take(SMOKE_MEMORY) if run.smoke else train


def some(images, count):
    """Batches of all images, or of as many of them as `count`, drawn once and for all."""
    whole = count is None or count >= len(images)
    return images.batches(TEST_BATCH, shuffle=not whole, count=None if whole else count // TEST_BATCH)


def knn_test(memory, count=None, temperature=0.07):
    """A test after each epoch: a function from (encoder, batches) to the accuracy of 200 neighbours' votes, in %.

    memory: the training images; fewer than 200 all vote. count: of them, drawn at random; by default all.
    """

    def figures(encoder, batches):
        train, test = features_of(encoder, some(memory, count)), features_of(encoder, batches)
        accuracy = knn_accuracy(train, test, min(VOTES, len(train[1])), temperature)
        return {"knn_accuracy": accuracy, "images": len(test[1])}

    return figures


def linear_test(memory, test, seed):
    """A final test: a function from an encoder to its linear probe's accuracy, in %."""

    def figures(encoder):
        train, tested = (features_of(encoder, images.batches(TEST_BATCH)) for images in (memory, test))
        return {"accuracy": linear_probe(train, tested, seed), "images": len(tested[1])}

    return figures


def kept(encoder):
    """What a recipe says of the encoder that it keeps: the fields of `Recipe`."""
    return {"tested": encoder, "encoder": True, "loss": None, "metrics": None, "curve": "knn_accuracy"}
