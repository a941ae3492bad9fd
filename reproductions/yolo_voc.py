"""YOLO on Pascal VOC: Redmon et al., "You Only Look Once", CVPR 2016, sections 2.2 and 4.1.

    python -m reproductions.yolo_voc --data-dir DIR --initial RUN_FOLDER

Paper: mAP 63.4 % on VOC 2007's test images (YOLO), 52.7 % (Fast YOLO, `--variant fast`), trained for 135 epochs on the
train and val images of 2007 and 2012. `--initial` is a run of the pre-training network (`yolo_classifier`) on ImageNet,
or an earlier run of this script. `--side`, `--grid` and `--boxes` are the input's pixels, S and B; 0 boxes are the
variant's own, 2, or 3 for `local`, the release of 2016. `--from-scratch` is for a training of few images from random
weights, with which the recipe learns no more than each class's mean box: the images, less their mean and over their
deviation, differ more, and Adam takes SGD's place.
DIR holds voc/2007 and voc/2012 of TensorFlow Datasets, or they are downloaded there; `--dataset FOLDER` is another
folder in VOC's layout, with the lists trainval and test. Wants a GPU.
"""

import sys
from functools import partial

import keras
import numpy as np

from keras_cnns import yolo
from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import random_exposure, subtract_mean
from keras_cnns.data.boxes import jitter_objects, random_flip_objects
from keras_cnns.data.segmentation import image_alone
from keras_cnns.detection import yolo_detector
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import YOLOLoss
from keras_cnns.training import SGD, Adam
from reproductions.detection import detection_test
from reproductions.pictures import save_detections
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main
from reproductions.segmentation import start_from

TABLE_1 = {"paper": 63.4, "fast": 52.7}  # mAP on VOC 2007's test images, %
EPOCHS = 135  # "10^-2 for 75 epochs, then 10^-3 for 30 epochs, and finally 10^-4 for 30 epochs"
UNDECAYED = ("bias", "gamma", "beta")
ADAM = 5e-4  # the rate of `--from-scratch`, where the paper's is 10^-2
WARM_UP = {0: 1e-3, 200: 2.5e-3, 400: 5e-3, 600: 1e-2}  # rates from these of the release's 40,000 steps on


def recipe(run, variant="paper", initial="", side=448, grid=7, boxes=0, from_scratch=False):
    check_choice("--variant", variant, ("paper", "fast", "local"))
    train, test = run.boxes(("voc/2007", "voc/2012"), ("voc/2007",))
    side = 64 if run.smoke else side
    classes, size = len(train.labels), (side, side)
    model = yolo((*size, 3), classes, variant, grid, boxes or None)
    batch_size = run.batch_size(64, smoke=4)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(EPOCHS * steps_per_epoch, steps_per_epoch)
    at = [steps * step // 40_000 for step in WARM_UP] + [steps * epoch // EPOCHS for epoch in (75, 105)]
    # The paper's rates are of 64 images; half of them: see `YOLOLoss`.
    share = ADAM / WARM_UP[600] if from_scratch else batch_size / 64 / 2
    rates = [rate * share for rate in (*WARM_UP.values(), 1e-3, 1e-4)]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([step - 1 for step in at[1:]], rates)
    tested = jitter_objects(0.0, *size)
    mean, deviation = 0.0, 255.0
    if from_scratch:
        image, covariance = run.statistics(train.each(tested))
        mean, deviation = image.mean(axis=(0, 1)), np.sqrt(np.diag(covariance))
    preprocessing = Preprocessing(side, mean=mean, scale=1 / deviation)
    scale = image_alone(subtract_mean(mean, deviation))
    return Recipe(
        model=model,
        train=train.each(jitter_objects(0.2, *size), random_flip_objects).map(image_alone(random_exposure(1.5)), scale),
        test=test.each(tested).map(scale),
        batch_size=batch_size,
        steps=steps,
        optimizer=Adam(schedule) if from_scratch else SGD(schedule, momentum=0.9, l2=5e-4, undecayed=UNDECAYED),
        loss=YOLOLoss(classes, size),
        metrics=[],
        preprocessing=preprocessing,
        test_batch_size=16,
        test_figures=detection_test(
            lambda model: yolo_detector(model, classes), YOLOLoss(classes, size), train.labels, "11-point"
        ),
        curve="map",
        examples=partial(save_detections, preprocessing=preprocessing),
        exported=lambda model: yolo_detector(model, classes),
        claims=[
            Claim(f"YOLO ({variant}) on VOC 2007, mAP, %", "map", paper, id="B8", at_least=paper - 0.5)
            for paper in [TABLE_1.get(variant)]
            if paper and (side, grid, boxes) == (448, 7, 0)
        ],
        deviations=[
            start_from(model, initial),
            "the learning rate is raised by the release's steps; the paper prints how far, and not how long",
            f"Adam's rates are the paper's times {ADAM / WARM_UP[600]:g}"
            if from_scratch
            else "rates are half of the paper's, as Darknet's gradient leaves out the square's factor of 2; with "
            "another batch than 64 they go with it",
            "mirrored at random as in Darknet; the paper does not say",
            "of several objects in a cell the first of the file is learned, in Darknet one by chance",
            *(["pixels less their mean, over their deviation, and Adam without decay"] if from_scratch else []),
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
