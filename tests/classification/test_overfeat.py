"""OverFeat: both networks, sizes other than the paper's, and its dropout."""

import numpy as np
import pytest

from keras_cnns import overfeat
from keras_cnns.inspection import layer_table


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "parameters"), [("fast", 145_920_872), ("accurate", 144_656_488)])
def test_hundred_classes(variant, parameters):
    assert overfeat(variant, classes=100).count_params() == parameters - 900 * (4096 + 1)


@pytest.mark.parametrize(
    ("variant", "side", "maps"),
    [
        ("fast", 71, (16, 8, 4, 2, 2, 1)),
        ("fast", 112, (26, 13, 9, 4, 4, 2)),  # floor((112 - 11) / 4) + 1
        ("accurate", 77, (36, 12, 6, 3, 3, 1)),
        ("accurate", 120, (57, 19, 13, 6, 6, 2)),  # floor((120 - 7) / 2) + 1
    ],
)
def test_maps_of_other_inputs(variant, side, maps):
    model = overfeat(variant, input_shape=(side, side, 3), classes=2)
    last = {"fast": 5, "accurate": 6}[variant]
    names = ("conv1", "pool1", "conv2", "pool2", f"conv{last}", f"pool{last}")
    assert tuple(model.get_layer(name).output.shape[1] for name in names) == maps
    first_dense = {"fast": 3072, "accurate": 4096}[variant]
    assert model.get_layer(f"fc{last + 1}").kernel.shape == (maps[-1] ** 2 * 1024, first_dense)


def test_the_accurate_network_refuses_less_than_77_pixels():
    with pytest.raises(ValueError, match="at least 77 pixels"):
        overfeat("accurate", input_shape=(77, 76, 3))


def test_an_unknown_variant_is_told_both():
    with pytest.raises(ValueError, match="variant is 'small'; it must be one of 'fast', 'accurate'"):
        overfeat("small")


@pytest.mark.slow
def test_dropout_stands_after_the_hidden_dense_layers_and_scales_at_test_time():
    plain = overfeat(input_shape=(71, 71, 3), classes=2)
    model = overfeat(input_shape=(71, 71, 3), classes=2, dropout=0.5)
    assert [row.name for row in layer_table(model)][-5:] == ["fc6", "drop6", "fc7", "drop7", "fc8"]
    for layer in plain.layers:
        scale = 2 if layer.name in ("fc7", "fc8") else 1
        model.get_layer(layer.name).set_weights([scale * weight for weight in layer.get_weights()])
    images = np.random.default_rng(0).normal(size=(2, 71, 71, 3)).astype("float32")
    np.testing.assert_allclose(model(images), plain(images), rtol=1e-5)
