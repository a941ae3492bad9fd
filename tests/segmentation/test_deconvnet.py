"""DeconvNet: its size, its names, any image from 193 pixels on."""

import keras
import numpy as np
import pytest

from keras_cnns import deconvnet, load_layers


@pytest.mark.slow
def test_built_once():
    model = deconvnet((None, None, 3), classes=5, fc_filters=32)
    # Less than the paper's: of each label a 1x1 convolution of 64 channels; of each filter of fc6 its window, in
    # fc6-deconv too, its bias and its normalisation's four numbers; fc7, likewise.
    fc = 4096 * (2 * 49 * 512 + 5) + 4096 * (4096 + 5) - 32 * (2 * 49 * 512 + 5) - 32 * (32 + 5)
    assert model.count_params() == 251_839_061 - 16 * 65 - fc
    for size in ((193, 193), (224, 224), (200, 255)):
        assert model.compute_output_shape((1, *size, 3)) == (1, *size, 5)
    assert model(np.zeros((1, 200, 226, 3), "float32")).shape == (1, 200, 226, 5)
    names = [layer.name for layer in model.layers]
    assert {"bnfc6", "fc6-deconv", "fc6-deconv-bn", "unpool5", "deconv5_1", "debn5_1", "seg-score-voc"} <= set(names)
    assert [model.get_layer(f"deconv{i}").filters for i in ("4_2", "4_3", "3_3", "2_2", "1_2")] == [
        512,
        256,
        128,
        64,
        64,
    ]
    vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert len(load_layers(model, vgg)) == 13


def test_a_smaller_image_is_refused():
    with pytest.raises(ValueError, match="at least 193 pixels"):
        deconvnet((192, 224, 3))
