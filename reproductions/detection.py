"""What the scripts for networks that find objects share."""

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.data.detection import truth
from keras_cnns.evaluation import voc_scores
from keras_cnns.files import whole


def detection_test(detector_of, loss, labels, metric):
    """A test of (model, batches): the loss of the objects, VOC's average precisions and their mean, in %.

    detector_of: from the model to one of (boxes, scores, labels) on the same images. metric: as in `voc_scores`. An
    image that is stretched in training is tested so too: stretching changes no IoU.
    """
    detectors = {}

    def figures(model, batches):
        if id(model) not in detectors:  # traced once, not after every epoch
            detector = detector_of(model)
            detectors[id(model)] = tf.function(lambda images: (model(images), detector(images)), reduce_retracing=True)
        losses, found, truths = [], [], []
        for images, objects in tqdm(batches, "test", unit=" batches", leave=False, mininterval=2):
            outputs, (boxes, scores, numbers) = detectors[id(model)](images)
            losses += [float(loss(objects, outputs))] * len(images)
            for each in zip(boxes.numpy(), scores.numpy(), numbers.numpy(), strict=True):
                there = each[1] > 0
                found.append(dict(zip(("boxes", "scores", "labels"), (part[there] for part in each), strict=True)))
            truths += [truth(each) for each in objects.numpy()]
        if not losses:
            raise ValueError("there are no images to test on.")
        return {"loss": float(np.mean(losses)), **voc_scores(found, truths, labels, metric), "images": len(losses)}

    return figures


def save_photographs(model, images, folder, count=4):
    """Write test images as PNG files named by their order: what a user would send to the exported model."""
    folder.mkdir(exist_ok=True)
    stride = max(len(images) // count, 1)
    for number, (image, _) in enumerate(images.originals().batches(1).shard(stride, 0).take(count)):
        with whole(folder / f"{number}.png") as part:
            part.write_bytes(tf.io.encode_png(image[0]).numpy())
