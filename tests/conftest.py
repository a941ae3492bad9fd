"""Two CPU devices for every test, so that strategies can be tested on any machine; it must be said before TensorFlow starts."""

import keras
import pytest
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def two_replicas():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def save_and_load(tmp_path):
    """A function that takes a model and returns it as read back from its file."""

    def save_and_load(model):
        model.save(tmp_path / "model.keras")
        return keras.models.load_model(tmp_path / "model.keras")

    return save_and_load
