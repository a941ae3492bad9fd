"""ZFNet on crops of road scenes, a network to look into: Zeiler & Fergus, ECCV 2014, sections 3 and 4.

    python -m reproductions.camvid_crops --data-dir CAMVID --out CROPS
    python -m reproductions.zfnet_camvid --data-dir CROPS --keep-checkpoints 100
    python -m reproductions.zfnet_camvid --data-dir CROPS --network alexnet --out runs/alexnet_camvid
    python -m keras_cnns visualize runs/zfnet_camvid --images CROPS --against runs/alexnet_camvid

Paper: Fig. 7, where the object is covered the probability of its class falls; no figure is printed. Ours is a proxy on
photographs of 128x128 pixels in place of 256x256; 62 of the 233 test images that they are cut from are of a drive that
the training has, too. `--network alexnet` is AlexNet in one tower, trained alike, for Fig. 6.
"""

import sys

import numpy as np
import tensorflow as tf

from keras_cnns import alexnet, zfnet
from keras_cnns.arguments import check_choice
from keras_cnns.data import folder_images
from keras_cnns.data.augmentation import centre_crop, random_flip, random_sub_crop, scaled_centre_crop, subtract_mean
from keras_cnns.inspection.occlusion import cover
from keras_cnns.layers import Preprocessing
from keras_cnns.training import SGD, limit_filters, plateaus, step_decay
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main

SIDE, CROP, SQUARE = 128, 112, 48  # as 256, 224 in the paper; the square covers what lies in the middle 32
OBJECTS = ("car", "cyclist", "pedestrian", "sign")  # of the classes those that lie in a crop's middle and end there
COVERED = "class probability, object covered / corner covered, %"


def recipe(run, network="zfnet"):
    check_choice("--network", network, ("zfnet", "alexnet"))
    train, test = data(run)
    mean, _ = run.statistics(train)
    batch_size = run.batch_size(128)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(30 * steps_per_epoch, steps_per_epoch)
    shape, classes = (CROP, CROP, 3), len(train.labels)
    model = zfnet(shape, classes) if network == "zfnet" else alexnet(shape, classes, two_towers=False)
    limit_filters(model, 0.1)
    test = test.map(subtract_mean(mean), middle)
    return Recipe(
        model=model,
        train=train.map(subtract_mean(mean), random_sub_crop(CROP), random_flip),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(step_decay(0.01, at=plateaus(steps)), momentum=0.9),
        preprocessing=Preprocessing(CROP, shorter_side=SIDE, mean=centre_crop(CROP)(mean, None)),
        final_tests={"occlusion": lambda model: occluded(model, run.final(test))},
        claims=[Claim(COVERED, "occlusion_object_by_corner", paper=None, at_most=50.0, id="Z3")],
        deviations=[
            "crops of CamVid in 10 classes of 128x128 pixels, cut to 112x112, in place of ImageNet's 256 and 224",
            f"{steps:,} steps of a small data set; the learning rate drops at the same shares of them as AlexNet's",
            "tested on the centre crop alone",
            "62 of the 233 test images that the crops are from are of a drive that the training has, too",
        ],
    )


def data(run):
    """The (train, test) crops: of --data-dir, or of --dataset, or digits in a smoke run."""
    if run.smoke or run.options.dataset:
        both = [images.each(scaled_centre_crop(SIDE, SIDE)) for images in run.data("camvid_crops", channels=3)]
    elif run.options.data_dir is None:
        raise ValueError("--data-dir must name the folder that reproductions.camvid_crops has written.")
    else:
        run.asked_for_data = True
        both = [folder_images(run.options.data_dir, split, run.options.strict) for split in ("train", "test")]
    return [images.in_memory() for images in both]


def middle(images, keys):
    """The centre crop of each image."""
    edge = (SIDE - CROP) // 2
    return images[:, edge : edge + CROP, edge : edge + CROP]


def occluded(model, test):
    """What covering the object does to the probability of its class, over the test images of objects named right.

    As a share of the probability with an equal grey square in a corner, the mean of four, in %.
    """
    objects = [label for label, name in enumerate(test.labels) if name in OBJECTS] or list(range(len(test.labels)))
    near, far = SQUARE // 2, CROP - SQUARE // 2
    places = [(CROP // 2, CROP // 2), (near, near), (near, far), (far, near), (far, far)]
    sums, looked_at = np.zeros(len(places)), 0
    for images, labels in test.batches(100):
        images = images.numpy()
        named = tf.argmax(model(images, training=False), axis=1)
        right = np.isin(labels, objects) & (labels == named).numpy()
        for number, place in enumerate(places):
            covered = np.stack([cover(image, *place, SQUARE) for image in images])
            probabilities = tf.nn.softmax(model(covered, training=False))
            sums[number] += tf.gather(probabilities, labels, axis=1, batch_dims=1).numpy()[right].sum()
        looked_at += int(right.sum())
    if not looked_at:
        return {"object_by_corner": 100.0, "images": 0}
    by_object, by_corner = sums[0], sums[1:].mean()
    return {
        "object_by_corner": float(100 * by_object / by_corner),
        "object": float(100 * by_object / looked_at),
        "corner": float(100 * by_corner / looked_at),
        "images": looked_at,
    }


if __name__ == "__main__":
    sys.exit(main(recipe))
