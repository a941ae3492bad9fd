"""Two CPU devices for every test, so that strategies can be tested anywhere; to be set before TensorFlow starts."""

import contextlib
import json
import resource
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from keras_cnns.training import mirrored

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def without_values():
    """What a test builds has variables with a shape and no numbers: to draw these is most of a large network's time."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.backend.clear_session(free_memory=False)  # else Keras keeps them, and gives all of them numbers later


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


WITHOUT_LIBRARY = """
import contextlib, io, json, os, sys, traceback
sys.modules["keras_cnns"] = sys.modules["keras"] = None  # importing either raises
answers = sys.stdout
for line in sys.stdin:
    code, sys.argv, folder = json.loads(line)
    os.chdir(folder)
    printed, failure = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {})
    except Exception:
        failure = traceback.format_exc()
    print(json.dumps([printed.getvalue(), failure]), file=answers, flush=True)
"""


@pytest.fixture(scope="session")
def without_library():
    """A function that runs code with its arguments where TensorFlow is, but neither Keras nor this library, and returns
    what was printed: in one process for all tests, since TensorFlow's start takes seconds."""
    command = [sys.executable, "-c", WITHOUT_LIBRARY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(code, *arguments, folder):
            print(json.dumps([code, ["-c", *map(str, arguments)], str(folder)]), file=process.stdin, flush=True)
            printed, failure = json.loads(process.stdout.readline())
            assert not failure, failure
            return printed

        yield run


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, tmp_path):
    """A folder, and a context in which no more than so many bytes can be written there: for root a small file system
    that is full; for everybody a limit on the size of every file, which the system keeps as strictly. "either": the
    first where mounting is allowed, else the other."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]
    if request.param != "limit" and subprocess.run(mount, capture_output=True).returncode == 0:
        yield folder, lambda left=0: filled(folder / "ballast", left)
        subprocess.run(["umount", "--lazy", folder], check=True)
    elif request.param == "tmpfs":
        pytest.skip("mounting is not allowed here")
    else:
        yield folder, limited


@contextlib.contextmanager
def limited(left=0):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def filled(ballast, left=0):
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(max(file.tell() - left, 0))
    try:
        yield
    finally:
        ballast.unlink()
