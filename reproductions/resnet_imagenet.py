"""ResNet on ImageNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, sections 3.4 and 4.1.

    python -m reproductions.resnet_imagenet --depth 50 --data-dir DIR

Paper: 600,000 steps of 256 images; ten-crop top-1 error 27.94 (plain-18), 27.88 (ResNet-18 A), 28.54 (plain-34),
25.03 (ResNet-34 A), 24.52 (B), 24.19 (C), 22.85 (ResNet-50 B), 21.75 (101 B), 21.43 % (152 B).
`--shortcut` is A, B (unless given) or C: ResNet-18 A is `--depth 18 --shortcut A`.
`--no-residual` is the plain network; `--multi-scale` adds the fully convolutional test at five scales.
Needs ImageNet prepared by TensorFlow Datasets (imagenet2012), and GPUs: the paper trained on eight.
"""

import sys

import keras_cnns
from keras_cnns.arguments import check_choice
from keras_cnns.classification.resnet import BLOCKS, preprocessing
from keras_cnns.data.augmentation import (
    centre_crop,
    pca_colour_noise,
    random_flip,
    random_scaled_crop,
    resize_shorter_side,
    scaled_centre_crop,
    subtract_mean,
    ten_crop,
)
from keras_cnns.evaluation import classification_errors
from keras_cnns.training import SGD, step_decay
from reproductions.imagenet import dense_test, error_claims
from reproductions.recipe import Recipe
from reproductions.runner import main

# Tables 2 and 3: top-1 and, where printed, top-5 error, %, ten crops. Plain networks have no shortcut.
TEN_CROP = {
    (18, None): (27.94,),
    (18, "A"): (27.88,),
    (34, None): (28.54, 10.02),
    (34, "A"): (25.03, 7.76),
    (34, "B"): (24.52, 7.46),
    (34, "C"): (24.19, 7.40),
    (50, "B"): (22.85, 6.71),
    (101, "B"): (21.75, 6.05),
    (152, "B"): (21.43, 5.71),
}
MULTI_SCALE = {  # Table 4
    (34, "B"): (21.84, 5.71),
    (34, "C"): (21.53, 5.60),
    (50, "B"): (20.74, 5.25),
    (101, "B"): (19.87, 4.60),
    (152, "B"): (19.38, 4.49),
}


def recipe(run, depth=50, shortcut="B", residual=True, multi_scale=False):
    check_choice("--depth", depth, tuple(BLOCKS) if residual else (18, 34))
    if not residual and shortcut != "B":
        raise ValueError(f"--shortcut is {shortcut!r}; with --no-residual there are no shortcuts, so leave it out.")
    train, test = run.data("imagenet2012", channels=3)
    mean, covariance = run.statistics(train.each(scaled_centre_crop(256, 224)))
    batch_size = run.batch_size(256, smoke=4)
    steps = run.steps(600_000, steps_per_epoch=len(train) // batch_size)
    arguments = {"shortcut": shortcut} if residual else {}
    model = getattr(keras_cnns, f"{'resnet' if residual else 'plain'}{depth}")
    ten = run.final(test).each(resize_shorter_side(256), centre_crop(256)).map(ten_crop(224), subtract_mean(mean))
    final_tests = {"ten_crop": lambda model: classification_errors(model, ten.batches(32))}
    tested, key = model.__name__ + (f" ({shortcut})" if residual else ""), (depth, shortcut if residual else None)
    id = "R2" if depth > 34 else "R1"
    claims = error_claims(f"{tested}, ten crop", "ten_crop", TEN_CROP.get(key, ()), id)
    if multi_scale:
        scales = (224, 256, 384, 480, 640)
        final_tests["multi_scale"] = dense_test(run.final(test), mean.mean(axis=(0, 1)), *scales)
        claims += error_claims(f"{tested}, multi scale", "multi_scale", MULTI_SCALE.get(key, ()), id)

    return Recipe(
        model=model(classes=len(train.labels), **arguments),
        # "resized with its shorter side randomly sampled in [256, 480] for scale augmentation"
        train=train.each(random_scaled_crop(256, 480, 224)).map(
            random_flip, subtract_mean(mean), pca_colour_noise(covariance)
        ),
        test=test.each(resize_shorter_side(256), centre_crop(224)).map(subtract_mean(mean)),
        final_tests=final_tests,
        batch_size=batch_size,
        steps=steps,
        optimizer=SGD(step_decay(0.1, at=(steps // 4, steps // 2, steps * 3 // 4)), momentum=0.9, l2=1e-4),
        preprocessing=preprocessing(mean),
        claims=claims,
        deviations=[
            "the learning rate drops after 150,000, 300,000 and 450,000 steps, every 30 epochs as in the Torch release "
            "to which the authors point, not by watching the validation error",
            "batch normalisation tests with moving averages, the authors' release with averages taken after training",
            "the mean image subtracted is that of the training images' centre crops",
            *(
                ["the multi-scale test subtracts the mean colour, since its images have many sizes"]
                if multi_scale
                else []
            ),
            "the errors after each epoch are of the centre crop; the paper's tests follow at the end",
        ],
    )


if __name__ == "__main__":
    sys.exit(main(recipe))
