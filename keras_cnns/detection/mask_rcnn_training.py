"""How Mask R-CNN learns: He et al., "Mask R-CNN", ICCV 2017, sections 3 and 3.1."""

import keras
import tensorflow as tf

from keras_cnns.descent import descend
from keras_cnns.detection.faster_rcnn_training import anchors_drawn, detector_loss, ground_truth, of_step, rois_drawn
from keras_cnns.detection.mask_rcnn import by_kind
from keras_cnns.losses import mask_loss, rpn_loss
from keras_cnns.ops import best_matches, mask_targets, propose_over_levels


class MaskRCNNTraining(keras.Model):
    """Mask R-CNN as it learns, from batches of (images, (objects, masks)): L = L_cls + L_box + L_mask, and the region
    proposal network's loss, as released. Proposals are taken for constants.

    Objects are float32 `(batch, most, 6)` as `keras_cnns.data.coco_instances` gives them, with the size of the image in
    a last row (`size_among_objects`); masks `(batch, most - 1, 56, 56)`, of 255, each over its box. A crowd is none to
    learn from.

    Args:
        network: as `mask_rcnn` returns it. What of it is not trainable stays as it is.
        rois: boxes of an image that the heads learn from, a quarter of them of objects at most: 64 ("c4") or 512
            ("fpn") in section 3.1.
        before, after: proposals, as in `keras_cnns.ops.propose_over_levels`; by default 2,000 of each level of a
            pyramid enter the suppression, or 12,000 of a single map.
        seed: of the anchors and boxes drawn.

    Raises:
        ValueError: a network that is none of `mask_rcnn`.
    """

    def __init__(
        self,
        network: keras.Model,
        rois: int = 512,
        before: int | None = None,
        after: int = 2000,
        seed: int = 0,
        name: str = "mask_rcnn_training",
    ):
        super().__init__(name=name)
        self.network, self.rois, self.after, self.seed = network, rois, after, seed
        self.layer = network.get_layer
        self.before = before or (2_000 if len(self.layer("proposals").strides) > 1 else 12_000)
        self.activation = network.get_layer("masks").activation
        self.built = True
        self.means = {part: keras.metrics.Mean(part) for part in ("loss", "rpn_loss", "box_loss", "mask_loss")}

    @property
    def metrics(self):
        return list(self.means.values())

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def train_step(self, data):
        images, (objects, masks), _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            losses = self.losses_of(images, objects, masks)
            loss = tf.add_n(list(losses.values()))
        descend(self.optimizer, tape, loss, self.network.trainable_variables)
        for part, value in {"loss": loss, **losses}.items():
            self.means[part].update_state(value)
        return {part: mean.result() for part, mean in self.means.items()}

    def losses_of(self, images, objects, masks):
        """The mean loss of each part, a dict."""
        boxes, labels, sizes = ground_truth(objects)
        proposals = self.layer("proposals")
        maps, scores, moves = by_kind(self.layer("features")(images, training=True), len(proposals.strides))
        anchors = proposals.anchors([tf.unstack(tf.shape(each)[1:3]) for each in scores])
        batch = tf.shape(images)[0]
        scores = [tf.reshape(each, (batch, -1)) for each in scores]
        moves = [tf.reshape(each, (batch, -1, 4)) for each in moves]
        losses = {"rpn_loss": self.proposing_loss(anchors, boxes, sizes, scores, moves)}

        settings = (self.before, self.after, proposals.iou_threshold, proposals.smallest)
        candidates = tf.stop_gradient(propose_over_levels(scores, moves, anchors, sizes, *settings))
        random = self.random((batch, self.after + tf.shape(boxes)[1]), 1)
        rois, wanted, targets = rois_drawn(candidates, boxes, labels, random, self.rois)
        losses["box_loss"] = detector_loss(wanted, targets, *self.of_boxes("box", maps, rois))

        most = self.rois // 4  # of objects, which come first
        rois, wanted = rois[:, :most], wanted[:, :most]
        own = tf.map_fn(lambda each: best_matches(*each)[1], (rois, boxes), fn_output_signature=tf.int32)
        own.set_shape((None, most))
        (logits,) = self.of_boxes("mask", maps, rois)
        of_objects = tf.cast(tf.gather(masks, own, batch_dims=1), tf.float32) / 255
        inside = mask_targets(of_objects, tf.gather(boxes, own, batch_dims=1), rois, logits.shape[2])
        losses["mask_loss"] = tf.reduce_mean(mask_loss(wanted, inside, logits, self.activation))
        return losses

    def proposing_loss(self, anchors, boxes, sizes, scores, moves):
        """Of all levels together: 256 anchors of an image."""
        anchors, scores, moves = tf.concat(anchors, 0), tf.concat(scores, 1), tf.concat(moves, 1)
        wanted, targets = anchors_drawn(anchors, boxes, sizes, self.random(tf.shape(scores), 0))
        logits = tf.stack([tf.zeros_like(scores), scores], axis=-1)  # their softmax is the score's sigmoid
        return tf.reduce_mean(rpn_loss(wanted, targets, logits, moves))

    def of_boxes(self, head, maps, rois):
        """What a head says of boxes, `(batch, number, ...)` each."""
        x = self.layer(f"{head}_roi")(maps[:4], rois)
        number = rois.shape[1]
        x = tf.reshape(x, (-1, *x.shape[2:]))
        if len(maps) == 1:
            x = self.layer("res5")(x, training=True)
        outputs = self.layer(f"{head}_head")(x, training=True)
        return [tf.reshape(each, (-1, number, *each.shape[1:])) for each in tf.nest.flatten(outputs)]

    def random(self, shape, stream):
        """Numbers as `of_step` gives them, of this step."""
        return of_step(self.optimizer, self.seed, shape, stream)
