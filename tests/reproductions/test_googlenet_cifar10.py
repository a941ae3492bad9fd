"""GoogLeNet in small: its maps and modules."""

import keras
import pytest

from reproductions import googlenet_cifar10, runner
from reproductions.googlenet_cifar10 import BRANCHES, small_googlenet


def test_maps_are_a_quarter_as_deep_on_the_stated_sides():
    """Table 1's depths by 4: 64, 192, 256, 480, 512, 832, 1024."""
    model = small_googlenet(classes=10)
    shapes = {name: model.get_layer(name).output.shape[1:] for name in ("conv1_7x7_s2", "conv2_3x3")}
    assert shapes == {"conv1_7x7_s2": (32, 32, 16), "conv2_3x3": (16, 16, 48)}
    depths = {"3a": (16, 64), "3b": (16, 120), "4a": (8, 128), "4d": (8, 132), "4e": (8, 208), "5b": (4, 256)}
    for block, (side, depth) in depths.items():
        assert model.get_layer(f"inception_{block}_output").output.shape[1:] == (side, side, depth)
    assert [output.shape for output in model.outputs] == [(None, 10)] * 3
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 59  # 3 + 9 x 6, two of the heads


@pytest.mark.parametrize(("branch", "depth"), list(zip(BRANCHES, (48, 32, 56, 56), strict=True)))
def test_a_branch_is_left_out_of_every_module(branch, depth):
    """3a: 64 + 128 + 32 + 32 filters, a quarter of them."""
    model = small_googlenet(classes=10, auxiliary_heads=False, without=branch)
    assert model.get_layer("inception_3a_output").output.shape[-1] == depth
    joins = [layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    assert [len(join.input) for join in joins] == [3] * 9 and len(model.outputs) == 1


def test_an_unknown_branch_is_refused(tmp_path, capsys):
    flags = ["--smoke", "--without", "7x7", "--out", str(tmp_path)]
    assert runner.main(googlenet_cifar10.recipe, flags) == 2
    assert "--without is '7x7'" in capsys.readouterr().err
