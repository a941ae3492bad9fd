"""GoogLeNet: its heads, its reductions, and sizes other than the paper's."""

import keras
import numpy as np
import pytest

from keras_cnns import googlenet
from keras_cnns.classification.googlenet import AUXILIARY_LOSS_WEIGHT
from keras_cnns.inspection import layer_table


def images(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")


def take_weights(model, trained):
    """As the builder's docstring says."""
    for layer in model.layers:
        layer.set_weights(trained.get_layer(layer.name).get_weights())


def test_without_heads_it_takes_the_weights_of_one_with_heads_by_name():
    trained = googlenet(input_shape=(79, 79, 3), classes=10)
    model = googlenet(input_shape=(79, 79, 3), classes=10, auxiliary_heads=False)
    take_weights(model, trained)
    logits, *auxiliary = trained(images(79, 79))
    np.testing.assert_array_equal(model(images(79, 79)), logits)
    assert [head.shape for head in auxiliary] == [(2, 10), (2, 10)]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_without_heads_it_takes_a_weights_file_of_one_with_heads_by_name(tmp_path):
    trained = googlenet(input_shape=(79, 79, 3), classes=10)
    trained.save(tmp_path / "trained.h5")
    model = googlenet(input_shape=(79, 79, 3), classes=10, auxiliary_heads=False)
    model.load_weights(tmp_path / "trained.h5", by_name=True)
    np.testing.assert_array_equal(model(images(79, 79)), trained(images(79, 79))[0])


def test_the_heads_leave_4a_and_4d_and_their_losses_weigh_three_tenths():
    model = googlenet(input_shape=(79, 79, 3), classes=10)
    before = [model.get_layer(f"loss{i}_ave_pool").input._keras_history.operation.name for i in (1, 2)]
    assert before == ["inception_4a_output", "inception_4d_output"]
    assert [output._keras_history.operation.name for output in model.outputs] == [
        "loss3_classifier",
        "loss1_classifier",
        "loss2_classifier",
    ]
    assert [model.get_layer(name).rate for name in ("drop", "loss1_drop", "loss2_drop")] == [0.4, 0.7, 0.7]
    assert AUXILIARY_LOSS_WEIGHT == 0.3


def test_hundred_classes():
    assert googlenet(classes=100, auxiliary_heads=False).count_params() == 6_998_552 - 900 * (1024 + 1)
    assert googlenet(classes=100).count_params() == 13_378_280 - 3 * 900 * (1024 + 1)


def test_the_reduction_of_3as_5x5_branch():
    """Claim C3: 192 to 16 to 32 channels, beside 192 to 32."""
    model = googlenet(input_shape=(31, 31, 3), classes=10, auxiliary_heads=False)
    reduced = sum(model.get_layer(f"inception_3a_{name}").count_params() for name in ("5x5_reduce", "5x5"))
    assert reduced == (192 * 16 + 16) + (5 * 5 * 16 * 32 + 32) == 15_920
    block_input = model.get_layer("inception_3a_5x5_reduce").input
    plain = keras.layers.Conv2D(32, 5, padding="same")
    assert plain(block_input).shape[1:] == model.get_layer("inception_3a_5x5").output.shape[1:]
    assert plain.count_params() == 5 * 5 * 192 * 32 + 32 == 153_632  # 9.65 times as many


def test_it_has_5_percent_of_vgg_ds_parameters():
    """Claim G1; 138,357,544 are VGG-D's."""
    assert round(100 * googlenet(auxiliary_heads=False).count_params() / 138_357_544, 2) == 5.06


@pytest.mark.parametrize(
    ("side", "maps"),
    [
        (31, (16, 8, 4, 2, 1, 1)),
        (63, (32, 16, 8, 4, 2, 1)),
        (65, (33, 16, 8, 4, 2, 1)),
        (100, (50, 25, 12, 6, 3, 1)),
        (256, (128, 64, 32, 16, 8, 1)),
    ],
)
def test_maps_of_other_inputs(side, maps):
    """Half of the side rounded up, then the ceiling of (side - 1) / 2 four times."""
    model = googlenet(input_shape=(side, side, 3), classes=10, auxiliary_heads=False)
    names = ("conv1_7x7_s2", "pool1_3x3_s2", "pool2_3x3_s2", "pool3_3x3_s2", "pool4_3x3_s2", "pool5_7x7_s1")
    assert tuple(model.get_layer(name).output.shape[1] for name in names) == maps
    assert model.count_params() == 6_998_552 - 990 * (1024 + 1)


def test_the_heads_first_dense_layer_grows_with_the_input():
    rows = {row.name: row for row in layer_table(googlenet(input_shape=(256, 256, 3), classes=10))}
    assert rows["loss1_ave_pool"].output_shape == (4, 4, 512)  # floor((16 - 5) / 3) + 1
    rows = {row.name: row for row in layer_table(googlenet(input_shape=(79, 127, 3), classes=10))}
    assert rows["loss2_ave_pool"].output_shape == (1, 2, 528)  # 127, 64, 32, 16, 8
    assert rows["loss2_fc"].weights == 2 * 128 * 1024


@pytest.mark.parametrize("shape", [(31, 31), (64, 45)])
def test_free_size_is_the_same_network(shape):
    free = googlenet(input_shape=(None, None, 3), classes=10, auxiliary_heads=False)
    fixed = googlenet(input_shape=(*shape, 3), classes=10, auxiliary_heads=False)
    take_weights(fixed, free)
    np.testing.assert_allclose(fixed(images(*shape)), free(images(*shape)), rtol=1e-5, atol=1e-6)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least 31 pixels, or None for any size"):
        googlenet(input_shape=(30, 31, 3), auxiliary_heads=False)
    with pytest.raises(ValueError, match=r"at least 79 pixels"):
        googlenet(input_shape=(None, None, 3))
