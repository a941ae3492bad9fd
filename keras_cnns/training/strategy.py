"""Which devices a run uses, and how."""

import contextlib
import functools

import tensorflow as tf

# XLA halves the training speed of these networks on CPU, and Keras's "auto" would switch it on with one GPU.
JIT_COMPILE = False


def mirrored(replicas=None):
    """A `MirroredStrategy` over the visible GPUs, or over the CPU where there is none.

    replicas: number of replicas; all GPUs, or one CPU, by default. More than one on a CPU divides it into as many
        logical devices, which must happen before TensorFlow has run anything.

    Raises:
        ValueError: fewer GPUs than `replicas`, or a CPU that TensorFlow has already begun to use.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and replicas and replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        with contextlib.suppress(RuntimeError):  # already in use: as it was divided then
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    replicas = replicas or (len(devices) if kind == "GPU" else 1)
    if not 1 <= replicas <= len(devices):
        raise ValueError(f"replicas is {replicas}; there are {len(devices)} {kind} devices.")
    return strategy_over(tuple(devices[:replicas]))


@functools.cache
def strategy_over(devices):
    """One strategy for the same devices: the collective operations of two would be taken for one another."""
    return tf.distribute.MirroredStrategy(devices)
