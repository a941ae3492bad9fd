"""How Faster R-CNN is trained: Ren et al., NIPS 2015, section 3.2, and the released approximate joint training.

Batches are (images, objects) as `keras_cnns.data` gives them through `size_among_objects` and `pad_objects`. Difficult
objects are left out, as in the release; an image without objects trains as background.
"""

from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from keras_cnns.descent import descend
from keras_cnns.detection.faster_rcnn import DEVIATIONS
from keras_cnns.losses.detection import RoICrossEntropy, RoISmoothL1
from keras_cnns.losses.rpn import rpn_loss
from keras_cnns.ops import grid_anchors, propose, rpn_targets
from keras_cnns.ops.targets import sample_rois


class FasterRCNNTraining(keras.Model):
    """A network of `faster_rcnn` with its own `train_step`: one of (images, objects), the losses among its metrics.

    Images are `(batch, height, width, channels)`, objects float32 `(batch, most, 6)` as `keras_cnns.data.voc_boxes` has
    them, in pixels, with the size of the image in a last row (`size_among_objects`).

    Both parts together are the approximate joint training: proposals are taken for constants. One part alone is a step
    of the alternating training, `alternating_steps`.

    Args:
        network: as `faster_rcnn` returns it. What of it is not trainable stays as it is.
        learns: of "rpn" and "detector", those that learn.
        proposer: the network whose proposals the detector learns from; by default the network itself.
        paper_loss: whether the proposal network's loss is normalised as in the paper (`rpn_loss`); as released, if not.
        before, after: proposals, as in `keras_cnns.ops.propose`.
        rois: of an image that the detector learns from, a quarter of them of objects.
        seed: of the anchors and boxes drawn.

    Raises:
        ValueError: a network that is none of `faster_rcnn`.
    """

    def __init__(
        self,
        network: keras.Model,
        learns: Sequence[str] = ("rpn", "detector"),
        proposer: keras.Model | None = None,
        paper_loss: bool = True,
        before: int = 12_000,
        after: int = 2_000,
        rois: int = 128,
        seed: int = 0,
        name: str = "faster_rcnn_training",
    ):
        super().__init__(name=name)
        self.network, self.learns, self.proposer = network, tuple(learns), proposer or network
        self.paper_loss, self.before, self.after, self.rois, self.seed = paper_loss, before, after, rois, seed
        self.first, self.second = first_stage(network), second_stage(network)
        self.proposing = self.first if self.proposer is network else first_stage(proposer)
        self.built = True
        self.means = {part: keras.metrics.Mean(part) for part in ("loss", *(f"{part}_loss" for part in self.learns))}

    @property
    def metrics(self):
        return list(self.means.values())

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def learning(self):
        """The variables that get a gradient: the trunk's, and those of the parts that learn."""
        first = self.first if "rpn" in self.learns else trunk(self.network)
        second = self.second.trainable_variables if "detector" in self.learns else []
        return [*first.trainable_variables, *second]

    def train_step(self, data):
        images, objects = data
        with tf.GradientTape() as tape:
            losses = self.losses_of(images, objects)
            loss = tf.add_n(list(losses.values()))
        descend(self.optimizer, tape, loss, self.learning())
        for part, value in {"loss": loss, **{f"{part}_loss": value for part, value in losses.items()}}.items():
            self.means[part].update_state(value)
        return {part: mean.result() for part, mean in self.means.items()}

    def losses_of(self, images, objects):
        """The mean loss of each part that learns, a dict."""
        boxes, labels, sizes = ground_truth(objects)
        features, scores, moves = self.first(images, training=True)
        layer = self.network.get_layer("proposal")
        cells = tf.shape(scores)[1], tf.shape(scores)[2]
        anchors = grid_anchors(layer.anchors, cells, layer.stride)
        batch = tf.shape(images)[0]
        losses = {}
        if "rpn" in self.learns:
            wanted, targets = anchors_drawn(anchors, boxes, sizes, self.random((batch, tf.shape(anchors)[0]), 0))
            logits, deltas = tf.reshape(scores, (batch, -1, 2)), tf.reshape(moves, (batch, -1, 4))
            locations = cells[0] * cells[1] if self.paper_loss else None
            losses["rpn"] = tf.reduce_mean(rpn_loss(wanted, targets, logits, deltas, locations))
        if "detector" in self.learns:
            if self.proposing is not self.first:
                _, scores, moves = self.proposing(images)
            logits, deltas = tf.reshape(scores, (batch, -1, 2)), tf.reshape(moves, (batch, -1, 4))
            certain = logits[..., 1] - logits[..., 0]
            settings = (self.before, self.after, layer.iou_threshold, layer.smallest)
            proposals = tf.stop_gradient(propose(certain, deltas, anchors, sizes, *settings))
            random = self.random((batch, self.after + tf.shape(boxes)[1]), 1)
            rois, wanted, targets = rois_drawn(proposals, boxes, labels, random, self.rois)
            losses["detector"] = detector_loss(wanted, targets, *self.second([features, rois], training=True))
        return losses

    def random(self, shape, stream):
        """Numbers as `of_step` gives them, of this step."""
        return of_step(self.optimizer, self.seed, shape, stream)


def of_step(optimizer, seed, shape, stream):
    """Numbers in [0, 1) of the seed, the step and the replica, the first's those of one alone; stream: 0 or 1."""
    replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
    step = tf.cast(optimizer.iterations, tf.int32)
    return tf.random.stateless_uniform(shape, [seed + 1_000_000 * replica, 2 * step + stream])


def anchors_drawn(anchors, boxes, sizes, random):
    """`rpn_targets` of each image of a batch: labels `(B, A)` and deltas `(B, A, 4)`."""
    return tf.map_fn(
        lambda each: rpn_targets(anchors, *each),
        (boxes, sizes, random),
        fn_output_signature=(tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 4), tf.float32)),
    )


def rois_drawn(proposals, boxes, labels, random, count):
    """`sample_rois` of each image of a batch: boxes `(B, count, 4)`, labels `(B, count)` and deltas `(B, count, 4)`."""
    four = tf.TensorSpec((count, 4), tf.float32)
    return tf.map_fn(
        lambda each: sample_rois(*each, count, background=(0.0, 0.5), deviations=DEVIATIONS),
        (proposals, boxes, labels, random),
        fn_output_signature=(four, tf.TensorSpec((count,), tf.int32), four),
    )


def detector_loss(labels, targets, logits, deltas):
    """L_cls + L_loc of Fast R-CNN, a number."""
    with_label = tf.concat([tf.cast(labels, tf.float32)[..., None], targets], axis=-1)
    # Means taken here: on several replicas Keras's own would be divided by their number, and the gradients are again.
    classes, places = RoICrossEntropy(reduction="none"), RoISmoothL1(reduction="none")
    return tf.reduce_mean(classes(labels, logits)) + tf.reduce_mean(places(with_label, deltas))


def alternating_steps(first: keras.Model, second: keras.Model, **settings) -> Iterator[FasterRCNNTraining]:
    """Yield the four trainings of section 3.2, each to be run to its end before the next is asked for.

    1. `first` learns to propose. 2. `second`, another network with the same beginning, learns to detect from the first
    one's proposals. 3. With its trunk fixed from here on, `second` learns to propose. 4. It learns to detect again,
    from its own proposals. It is the result: one network whose parts share a trunk.

    settings: as those of `FasterRCNNTraining`, whose errors are its too.
    """
    yield FasterRCNNTraining(first, ("rpn",), **settings)
    yield FasterRCNNTraining(second, ("detector",), first, **settings)
    trunk(second).trainable = False
    yield FasterRCNNTraining(second, ("rpn",), **settings)
    yield FasterRCNNTraining(second, ("detector",), **settings)


def trunk(network):
    """The network from its image to the last map that both parts share."""
    return keras.Model(network.inputs[0], network.get_layer("rpn_conv_3x3").input, name="trunk")


def first_stage(network):
    """From the image to the last map, the scores and the moves of the anchors."""
    outputs = [network.get_layer("rpn_conv_3x3").input, *network.outputs[3:]]
    return keras.Model(network.inputs[0], outputs, name="first_stage")


def second_stage(network):
    """From the last map and any number of boxes to logits and deltas."""
    features = keras.Input(network.get_layer("rpn_conv_3x3").input.shape[1:])
    boxes = keras.Input((None, 4))
    x = network.get_layer("roi_pool5")(features, boxes)
    for name in ("flatten", "fc6", "drop6", "fc7", "drop7"):
        x = network.get_layer(name)(x)
    outputs = [network.get_layer(name)(x) for name in ("cls_score", "bbox_pred")]
    return keras.Model([features, boxes], outputs, name="second_stage")


def ground_truth(objects):
    """Boxes `(B, most, 4)`, without area where there is none to learn, labels `(B, most)` and sizes `(B, 2)`."""
    there = (objects[..., 4] >= 0) & (objects[..., 5] == 0)
    boxes = tf.where(there[..., None], objects[..., :4], 0.0)
    return boxes, tf.cast(tf.where(there, objects[..., 4], 0.0), tf.int32), tf.reverse(objects[:, -1, 2:4], [1])
