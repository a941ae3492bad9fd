"""Logits beside those of keras.applications and PyTorch, from the same random weights."""

import numpy as np
import pytest

from tests.parity_table import PAIRS, compare

TOLERANCE = 1e-4  # absolute, in float32
SMALL = (33, 65)  # odd and not square, and legal everywhere but in torchvision's VGG
FAST = {
    "keras.applications-vgg16",
    "keras.applications-resnet50",
    "keras.applications-densenet121",
    "torchvision-resnet18",
    "torchvision-resnet50_3x3",
    "torchvision-densenet121",
    "PyTorch-resnet_cifar_20",
    "PyTorch-resnet_cifar_20_B",
}
# Depths of a family of which another is compared here; `python -m tests.parity_table` compares these too.
DEPTHS = ("vgg19", "resnet101", "resnet152", "densenet169", "densenet201")
OTHER_DEPTHS = {f"keras.applications-{name}" for name in DEPTHS}


def check(pair, sides, classes):
    if pair.library != "keras.applications":
        pytest.importorskip("torchvision")
    ours, theirs, exchanged = compare(pair, sides, classes)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    assert abs(exchanged - ours).max() > 100 * TOLERANCE  # or any weights would have done


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if str(pair) in FAST], ids=str)
def test_logits_of_a_small_image_are_equal(pair):
    check(pair, SMALL, classes=10)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if str(pair) not in OTHER_DEPTHS], ids=str)
def test_logits_are_equal(pair):
    for sides in pair.sides[:1] if str(pair) in FAST else pair.sides:  # of FAST a small image has odd sides
        check(pair, sides, classes=1000)
