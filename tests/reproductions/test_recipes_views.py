"""What recipes show their networks: the papers' augmentations, and the crops and scales of the final tests."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import Images
from keras_cnns.evaluation import classification_errors
from reproductions import imagenet
from tests.reproductions.declared import IMAGENET, declared, module, stand_in


class Augmentation(NamedTuple):
    """What a paper does to its training images."""

    script: str
    flags: tuple = ()
    side: int = 256  # of the pictures tried here
    scale: tuple = (256, 256)  # the shorter side, drawn from..to
    offsets: set = frozenset()  # of a patch; none: they are not looked at
    noise: bool = False  # AlexNet's, N(0, (0.1 * standard deviation)^2)
    brightness: tuple = ()  # drawn from..to
    area: bool = False  # patches of 8 to 100 % of the area, of 3:4 to 4:3


AUGMENTATIONS = [
    Augmentation("alexnet_imagenet", offsets=set(range(32)), noise=True),
    Augmentation("zfnet_imagenet", offsets={0, 16, 32}),
    Augmentation("vgg_imagenet", offsets=set(range(33)), noise=True),
    Augmentation("vgg_imagenet", ("--scale", "256-512"), scale=(256, 512), noise=True),
    Augmentation("googlenet_imagenet", brightness=(0.5, 1.5), area=True),
    Augmentation("resnet_imagenet", scale=(256, 480), noise=True),
    Augmentation("densenet_imagenet", noise=True, brightness=(0.6, 1.4), area=True),
    Augmentation("densenet_cifar10", side=32, offsets=set(range(-4, 5))),
    Augmentation("resnet_cifar10", side=32, offsets=set(range(-4, 5))),
]


@pytest.mark.slow
@pytest.mark.parametrize("paper", AUGMENTATIONS, ids=lambda paper: "-".join([paper.script, *paper.flags[1:]]))
def test_the_augmentation_is_the_papers(paper, monkeypatch, tmp_path):
    """On 64 copies of a picture whose red is the column, whose green is the row, and of a grey one."""
    count, side = 64, paper.side
    ramp = np.arange(side) * (256 // side)
    picture = np.stack([*np.meshgrid(ramp, ramp), np.full((side, side), 128)], axis=-1).astype("uint8")

    def variants(picture, epoch=0, without=()):
        """What the network is given of each copy, in pixels again, some distortions left out."""
        images = Images("", "", range(10), count, arrays=(np.stack([picture] * count), np.zeros(count, "int64")))
        with monkeypatch.context() as patch:
            stand_in(paper.script, patch)
            for name in without:
                nothing = lambda *arguments: lambda images, keys: tf.cast(images, tf.float32)
                patch.setattr(module(paper.script), name, nothing, raising=False)
            recipe = declared(paper.script, paper.flags, count, patch, tmp_path, train=images)
            ((given, _),) = recipe.train.batches(count, epoch=epoch)
        return given.numpy() * (60.0 if "densenet" in paper.script else 1.0) + 100.0  # as `declared` has them

    first, second = variants(picture), variants(picture, epoch=1)
    assert np.mean(np.abs(first - second).max(axis=(1, 2, 3)) > 1) > 0.8  # zfnet has only ten variants
    given = variants(picture, without=("pca_colour_noise", "photometric_distortion"))
    middle = slice(8, -8)  # within what padding leaves
    red, green = given[:, middle, middle, 0].mean(axis=1), given[:, middle, middle, 1].mean(axis=2)
    at = np.arange(given.shape[1])[middle]
    (along, _), (down, top) = np.polyfit(at, red.T, 1), np.polyfit(at, green.T, 1)
    assert 0.3 < np.mean(along < 0) < 0.7 and np.all(down > 0)  # mirrored, never turned upside down
    wide, high = np.abs(along) / (256 // side), down / (256 // side)  # pixels of the picture to one of the network's
    if paper.area:
        area, aspect = (224 / 256) ** 2 * wide * high, wide / high
        assert 0.075 < area.min() < 0.2 and 0.8 < area.max() < 1.005
        assert 0.74 < aspect.min() < 0.85 and 1.2 < aspect.max() < 1.35
    else:
        shorter = side / high * (256 / side if side < 256 else 1)
        smallest, largest = paper.scale
        room = (largest - smallest) / 8
        # Patches are of whole pixels of the picture: half a one more or less changes their scale by its share.
        half = lambda scale: 0.7 + scale * 0.5 / (224 * 256 / scale)
        assert smallest - half(smallest) < shorter.min() <= smallest + room + half(smallest)
        assert largest - room - half(largest) <= shorter.max() < largest + half(largest)
        # A line through whole levels errs by up to 0.0052 (at a scale of 511 / 256), but by 0.0003 at most scales.
        np.testing.assert_allclose(wide, high, rtol=2 * 0.0052)
        assert np.quantile(abs(wide / high - 1), 0.9) < 2e-3
    if paper.offsets:
        found = set(np.rint(top / (256 // side)).astype(int))
        assert found <= paper.offsets and {min(paper.offsets), max(paper.offsets)} <= found

    grey = np.full_like(picture, 128)
    colours = variants(grey)[:, given.shape[1] // 2, given.shape[1] // 2]  # the middle pixel's
    if not (paper.noise or paper.brightness):
        np.testing.assert_allclose(colours, 128, atol=1e-3)
    if paper.noise:
        tints = (colours[:, 0] - colours[:, 1]) / np.sqrt(2)
        assert 4.5 < np.std(tints) < 7.5  # 0.1 of `declared`'s 60, for each colour by itself
    if paper.brightness:
        low, high = paper.brightness
        factors = variants(grey, without=("pca_colour_noise",))[:, 20, 20].mean(axis=-1) / 128
        assert low - 1e-3 < factors.min() < low + 0.1 and high - 0.1 < factors.max() < high + 1e-3


# Of the network's inputs in each final test: crops and sides. Digits are square, so that the shorter side is both.
FINAL_TESTS = {
    "googlenet_imagenet": {"10_crops": [(10, 224)], "144_crops": [(144, 224)]},
    "vgg_imagenet": {"single_scale": [(2, 256)], "multi_scale": [(2, 224), (2, 256), (2, 288)]},
    "vgg_imagenet --scale 384": {"single_scale": [(2, 384)], "multi_scale": [(2, 352), (2, 384), (2, 416)]},
    "vgg_imagenet --scale 256-512": {"single_scale": [(2, 384)], "multi_scale": [(2, 256), (2, 384), (2, 512)]},
    "resnet_imagenet --multi-scale": {
        "ten_crop": [(10, 224)],
        "multi_scale": [(2, 224), (2, 256), (2, 384), (2, 480), (2, 640)],
    },
    "resnet_imagenet": {"ten_crop": [(10, 224)]},
    "densenet_imagenet": {"ten_crop": [(10, 224)]},
}


@pytest.mark.slow
@pytest.mark.parametrize("command", FINAL_TESTS)
def test_the_final_tests_run_on_the_papers_crops_and_scales(command, monkeypatch, tmp_path):
    script, *flags = command.split()
    given = []

    def errors(model, batches):
        views = tf.nest.flatten(next(iter(batches))[0])
        given.append([(view.shape[1], view.shape[2]) for view in views])
        assert all(view.shape[2] == view.shape[3] for view in views)
        return classification_errors(model, batches)

    stand_in(script, monkeypatch)
    for place in (module(script), imagenet):
        monkeypatch.setattr(place, "classification_errors", errors, raising=False)
    recipe = declared(script, flags, IMAGENET, monkeypatch, tmp_path, tests=2)
    figures = {name: test(recipe.model) for name, test in recipe.final_tests.items()}
    assert dict(zip(figures, given, strict=True)) == FINAL_TESTS[command]
    for each in figures.values():
        assert each["images"] == 2 and np.isfinite(each["loss"]) and 0 <= each["top5_error"] <= each["top1_error"]
