"""FCN-32s, 16s and 8s on Pascal VOC: Long et al., "Fully Convolutional Networks", CVPR 2015, sections 4 and 5.

    python -m reproductions.fcn_voc --data-dir DIR --initial imagenet --out runs/fcn32s
    python -m reproductions.fcn_voc --data-dir DIR --skips 16s --initial runs/fcn32s --out runs/fcn16s
    python -m reproductions.fcn_voc --data-dir DIR --skips 8s --initial runs/fcn16s --out runs/fcn8s

Paper: mean IU 59.4, 62.4 and 62.7 % on 736 val images of VOC 2011, 89.1, 90.0 and 90.3 % of the pixels right, of 8,498
for training; "at least 175 epochs" is said of Table 1's networks (section 4.1). `--schedule reference` is that of the
authors' release (one image a step, the loss summed, momentum 0.99, 100,000 steps; 63.6, 65.0 and 65.5 %). `--trunk
alexnet` and `googlenet` are 32s of Table 1.
DIR holds VOC2012, or it is downloaded there. `--train-list trainaug --train-masks SegmentationClassAug` are the masks
of Hariharan et al. as PNG files beside VOC's, which the paper's images include, and `--test-list seg11valid` its test's
list, both to be put into that folder. Wants a GPU.
"""

import sys

from keras_cnns.arguments import check_choice
from keras_cnns.data import voc_masks
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.data.segmentation import fit_both, image_alone
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.segmentation import fcn8s, fcn16s, fcn32s
from keras_cnns.training import SGD
from reproductions.recipe import Recipe
from reproductions.runner import main
from reproductions.segmentation import VGG_MEAN, labelling, score_claims, start_from

NETWORKS = {"32s": fcn32s, "16s": fcn16s, "8s": fcn8s}
LAST = {"32s": "upscore", "16s": "upscore16", "8s": "upscore8"}
TABLE_2 = {"32s": (89.1, 59.4), "16s": (90.0, 62.4), "8s": (90.3, 62.7)}  # pixel accuracy, mean IU, %
RELEASE = {"32s": (None, 63.6), "16s": (None, 65.0), "8s": (None, 65.5)}
TABLE_1 = {"vgg16": 56.0, "alexnet": 39.8, "googlenet": 42.5}  # mean IU, %, of another validation set
RATES = {"vgg16": 1e-4, "alexnet": 1e-3, "googlenet": 5e-5}  # section 4.3
LARGEST = 500  # pixels, of any of VOC's images


def recipe(
    run,
    skips="32s",
    trunk="vgg16",
    schedule="paper",
    initial="",
    train_list="train",
    train_masks="SegmentationClass",
    test_list="val",
):
    check_choice("--skips", skips, tuple(NETWORKS) if trunk == "vgg16" else ("32s",))
    check_choice("--schedule", schedule, ("paper", "reference"))
    train, test = run.masks(
        "VOC2012", lambda folder, split, strict: voc_masks(folder, split, strict, train_list, train_masks, test_list)
    )
    if train_list == "train":
        run.departures.append(f"{len(train):,} training images of VOC 2012; the paper's 8,498 include others' masks")
    if test_list == "val":
        run.departures.append("tested on VOC 2012's val images; the paper's are 736 of VOC 2011's")
    model = NETWORKS[skips](classes=len(train.labels), trunk=trunk)
    deviations = [start_from(model, initial)]
    subtract = image_alone(subtract_mean(VGG_MEAN))
    finer = list(NETWORKS).index(skips)
    if schedule == "paper":
        model.get_layer(LAST[skips]).trainable = False  # "fixed to bilinear interpolation"
        batch_size = run.batch_size(20, smoke=4)
        steps_per_epoch = len(train) // batch_size
        # Three days for 32s and "about one day each" for the finer ones, of which no epochs are printed.
        steps = run.steps((58 if finer else 175) * steps_per_epoch, steps_per_epoch)
        optimizer = SGD(RATES[trunk] / 100**finer, momentum=0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",))
        side = 32 if run.smoke else LARGEST
        train = train.each(subtract, fit_both(side, side))
        deviations += [
            f"images are padded to {side}x{side} pixels with the mean colour, void in the masks, to train on several",
            "the loss is averaged image by image",
            *([] if finer else ["175 epochs; the paper trains until it converges, at least so many"]),
            *(["58 epochs, a third of those of FCN-32s, as of the days; none are printed"] if finer else []),
            *(["the learning rate falls to a hundredth once more; it is printed for FCN-16s"] if finer == 2 else []),
        ]
        printed = TABLE_2
    else:
        for layer in model.layers:
            if layer.name.startswith("upscore"):
                layer.trainable = False
        batch_size = run.batch_size(1, smoke=1)
        steps = run.steps(100_000, steps_per_epoch=len(train) // batch_size)
        optimizer = SGD(1e-10 / 100**finer, momentum=0.99, l2=5e-4, undecayed=("bias",), doubled=("bias",))
        train = train.each(subtract)
        printed = RELEASE
    names = {"vgg16": f"FCN-{skips}"}.get(trunk, f"FCN-32s of {trunk}")
    accuracy, iu = printed[skips] if trunk == "vgg16" else (None, TABLE_1[trunk])
    figures = {"pixel_accuracy": accuracy, "mean_iu": iu}
    return Recipe(
        model=model,
        train=train,
        test=test.map(subtract),
        batch_size=batch_size,
        steps=steps,
        optimizer=optimizer,
        loss=PixelCrossEntropy(normalized=schedule == "paper"),
        preprocessing=Preprocessing(None, mean=VGG_MEAN),
        test_batch_size=1,
        claims=score_claims(f"{names} on VOC", {name: each for name, each in figures.items() if each}, "S2"),
        deviations=deviations,
        **labelling(train.labels),
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
