"""SimCLR: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

Deviations: the head has neither biases nor batch normalisation, as equation W2 relu(W1 h) prints it; the release
normalises after both of its layers.
"""

import keras
import tensorflow as tf

from keras_cnns.arguments import check_count
from keras_cnns.descent import descend
from keras_cnns.losses.contrastive import nt_xent
from keras_cnns.self_supervised.encoder import check_encoder


def simclr(encoder: keras.Model, dimensions: int = 128, temperature: float = 0.1, name: str = "simclr") -> keras.Model:
    """Return SimCLR's model: an encoder with a projection head, trained by NT-Xent on two views of each image.

    For ResNet-50's features of 2,048 the head has 4,456,448 parameters. The model maps images to projections
    `(batch, dimensions)`; `model.encoder` is what is kept after the training.

    Args:
        encoder: from images to features, such as `encoder_of(resnet50())`.
        dimensions: of the projections.
        temperature: of the loss: 0.1 in the paper on ImageNet, 0.5 on CIFAR-10.

    Raises:
        ValueError: an encoder that does not end in features, no dimension, or a temperature not above 0.

    Source: section 2.1; appendix B.9 for CIFAR-10.
    """
    check_encoder(encoder)
    check_count("dimensions", dimensions)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    width = encoder.output_shape[-1]
    features = x = keras.Input((width,), name="features")
    x = keras.layers.Dense(width, activation="relu", use_bias=False, name="project1")(x)
    x = keras.layers.Dense(dimensions, use_bias=False, dtype="float32", name="project2")(x)
    return SimCLR(encoder, keras.Model(features, x, name="projection_head"), temperature, name=name)


class SimCLR(keras.Model):
    """What `simclr` returns. A step takes (views, labels), views `(batch, 2, height, width, channels)`.

    The labels are not used. Under a strategy the negatives are those of all replicas.
    """

    def __init__(self, encoder, head, temperature, name="simclr"):
        super().__init__(name=name)
        self.encoder, self.head, self.temperature = encoder, head, temperature
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, images, training=False):
        return self.head(self.encoder(images, training=training), training=training)

    def train_step(self, data):
        views, _ = data
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            # Both views in one batch, so that batch normalisation cannot tell the one kind from the other.
            projections = self(tf.concat([views[:, 0], views[:, 1]], axis=0), training=True)
            first, second = tf.split(projections, 2)
            everyone = (first, second)
            if context.num_replicas_in_sync > 1:
                everyone = context.all_gather(everyone, axis=0)
            loss = nt_xent(first, second, self.temperature, *everyone)
        descend(self.optimizer, tape, loss, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        return self.get_metrics_result()
