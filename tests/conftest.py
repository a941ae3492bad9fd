"""Two CPU devices for every test, so that strategies can be tested anywhere; to be set before TensorFlow starts."""

import keras
import pytest
import tensorflow as tf

from keras_cnns.training import mirrored

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def two_replicas():
    return mirrored(2)


@pytest.fixture
def save_and_load(tmp_path):
    """A function that takes a model and returns it as read back from its file."""

    def save_and_load(model):
        model.save(tmp_path / "model.keras")
        return keras.models.load_model(tmp_path / "model.keras")

    return save_and_load
