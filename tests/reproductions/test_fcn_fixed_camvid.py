"""FCN's skips on features that stay as they are: the features on the disk, and the heads that learn from them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digit_masks
from reproductions import fcn_fixed_camvid, fcn_voc


def test_the_features_are_made_once_and_scaled(tmp_path):
    image = keras.Input((32, 32, 3))
    x = image
    for pool in reversed(fcn_fixed_camvid.POOLS):
        x = keras.layers.AveragePooling2D(2, name=pool)(x)
    network, images = keras.Model(image, x), digit_masks("test").take(6)
    maps = fcn_fixed_camvid.maps_of(images, network, tmp_path, "test")
    expected = images.arrays[0].reshape(6, 16, 2, 16, 2, 3).mean(axis=(2, 4)) - np.array([122.679, 116.669, 104.007])
    np.testing.assert_allclose(maps[2], expected, atol=0.1)  # float16: a sixteenth of a level near 128
    assert [each.shape for each in maps] == [(6, 4, 4, 3), (6, 8, 8, 3), (6, 16, 16, 3)]
    again = fcn_fixed_camvid.maps_of(images, None, tmp_path, "test")  # read, not made
    np.testing.assert_array_equal(again[0], maps[0])
    with pytest.raises(ValueError, match="features of other images"):
        fcn_fixed_camvid.maps_of(images.take(5), None, tmp_path, "test")
    scales = [fcn_fixed_camvid.rms(each) for each in maps]
    assert scales[2] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-3)
    part = fcn_fixed_camvid.Part(images, maps, scales)
    *_, ((size, deep, middle), masks) = part.batches(2, np.array([5, 0, 3, 1, 4, 2]))
    assert size.shape == (2, 32, 32, 3)  # the last two of the order, as they lie on the disk
    np.testing.assert_array_equal(masks, images.arrays[1][[2, 4]])
    np.testing.assert_allclose(middle, maps[1][[2, 4]] / scales[1], rtol=1e-3)
    np.testing.assert_allclose(deep, maps[0][[2, 4]] / scales[0], rtol=1e-3)


@pytest.mark.slow
def test_fixed_features_train_and_go_on(tmp_path, monkeypatch, capsys):
    flags = ["--smoke", "--seeds", "1", "--out", str(tmp_path)]
    assert fcn_fixed_camvid.main(flags) == 0
    file = tmp_path / "fcn_fixed_camvid.json"
    record = json.loads(file.read_text())
    assert [run["name"] for run in record["runs"]] == ["32s", "32s longer", "16s", "16s longer", "8s"]
    assert {claim["verdict"] for claim in record["claims"]} == {"not decided (smoke run)"}
    assert all((tmp_path / f"fcn_fixed_camvid{end}.png").exists() for end in ("", "-examples"))
    # The last training is lost: it alone is done again, from the same start to the same end.
    (tmp_path / "8s-0.json").unlink()
    monkeypatch.setattr(fcn_fixed_camvid, "permutation", lambda size, seed, epoch: trained.append(epoch) or order(size))
    trained, order = [], lambda size: np.random.default_rng([0, 0]).permutation(size)
    assert fcn_fixed_camvid.main(flags) == 0
    again = json.loads(file.read_text())
    assert trained == [0] and again["runs"][-1]["losses"] == record["runs"][-1]["losses"]
    assert again["runs"][-1]["scores"] == record["runs"][-1]["scores"]
    assert fcn_fixed_camvid.main(["--out", str(tmp_path / "none"), "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("error: ") == 1


def test_a_head_is_the_network_behind_its_poolings():
    """A 16s on its own trunk's maps gives what the whole network gives."""
    network = fcn_voc.NETWORKS["16s"]((32, 32, 3), classes=3, fc_filters=4)
    for name in ("score_fr", "score_pool4"):  # they start at zero
        layer = network.get_layer(name)
        layer.set_weights([np.random.default_rng(0).normal(size=layer.kernel.shape), np.ones(3)])
    head, pools = fcn_fixed_camvid.head_of(network, 2), fcn_fixed_camvid.POOLS[:2]
    image = tf.random.stateless_normal((1, 32, 32, 3), (0, 0))
    maps = keras.Model(network.input, [network.get_layer(pool).output for pool in pools])(image)
    np.testing.assert_allclose(head([0 * image, *maps]), network(image), atol=1e-4)
    assert not any(layer.name.startswith("conv") for layer in head.layers)
