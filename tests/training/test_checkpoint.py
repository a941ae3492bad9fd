"""Checkpoints on a full disk, in damaged files, and of weights that are no numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.training import Checkpoints, checkpoint, mirrored, train
from tests.training.test_loop import batches, compiled

DATA, INDEX = "step-2.data-00000-of-00001", "step-2.index"


def model_of(value):
    """A compiled model whose variables, momenta included, are all `value`."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2000), keras.layers.BatchNormalization()])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    fill(model, value)
    return model


def floats(model):
    variables = model.variables + model.optimizer.variables
    return [each for each in variables if tf.as_dtype(each.dtype).is_floating]


def fill(model, value):
    for variable in floats(model):
        variable.assign(np.full(variable.shape, value, "float32"))


def assert_all(model, value):
    for variable in floats(model):
        np.testing.assert_array_equal(variable, np.full(variable.shape, value, "float32"), err_msg=variable.path)


@pytest.mark.parametrize("left", [0, 20_000])
def test_a_full_disk_keeps_the_checkpoints_before(disk, left):
    folder, full = disk
    checkpoints = Checkpoints(folder / "checkpoints", model := model_of(1))
    checkpoints.save(1, "one")
    before = {file.name: file.read_bytes() for file in checkpoints.folder.iterdir()}
    fill(model, 2)
    sentence = r"the checkpoint of step 2 could not be written in .*: (No space left on device|File too large); "
    with full(left), pytest.raises(OSError, match=sentence + r"the checkpoint of step 1 is kept\.$"):
        checkpoints.save(2, "two")
    assert {file.name: file.read_bytes() for file in checkpoints.folder.iterdir()} == before
    assert checkpoints.restore() == (1, "one")
    assert_all(model, 1)
    fill(model, 2)
    checkpoints.save(2, "two")  # there is space again
    assert Checkpoints(checkpoints.folder, model_of(0)).restore() == (2, "two")


def test_the_first_checkpoint_of_all_on_a_full_disk(disk):
    folder, full = disk
    checkpoints = Checkpoints(folder / "checkpoints", model_of(1))
    with full(), pytest.raises(OSError, match=r"; there is no checkpoint\.$"):
        checkpoints.save(1, None)
    assert not list(checkpoints.folder.iterdir())
    assert checkpoints.restore() == (0, None)


def test_where_the_chief_cannot_write_the_others_end_as_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "agree", lambda strategy, values: [1])
    monkeypatch.setattr(checkpoint, "is_chief", lambda strategy: False)
    with pytest.raises(OSError, match=r"step 1 could not be written in .*: the first worker's message says why; "):
        Checkpoints(tmp_path, model_of(1)).save(1, None)
    assert not list(tmp_path.iterdir())


def test_the_others_are_told_that_the_chief_cannot_write(disk, monkeypatch):
    folder, full = disk
    told = []
    monkeypatch.setattr(checkpoint, "agree", lambda strategy, values: told.extend(values) or values)
    checkpoints = Checkpoints(folder / "checkpoints", model_of(1))
    with full(), pytest.raises(OSError, match="could not be written"):
        checkpoints.save(1, None)
    assert told == [True]


def test_what_a_killed_process_left_does_not_count_and_goes(tmp_path):
    checkpoints = Checkpoints(tmp_path, model_of(1))
    (tmp_path / "part").mkdir()
    for name in ("step-7.data-00000-of-00001", "step-4.data-00000-of-00002"):
        (tmp_path / "part" / name).write_bytes(b"half")
    (tmp_path / "step-6.data-00000-of-00001").write_bytes(b"moved, its index not")
    assert checkpoints.restore() == (0, None)
    for step in (4, 6):
        checkpoints.save(step, None)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "step-4.data-00000-of-00001",
        "step-4.index",
        "step-6.data-00000-of-00001",
        "step-6.index",
    ]
    assert checkpoints.restore() == (6, None)


def flipped(content, bit):
    content = bytearray(content)
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


DAMAGES = {
    "empty": lambda content: b"",
    "a byte short": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "a bit flipped at the start": lambda content: flipped(content, 0),
    "a bit flipped in the middle": lambda content: flipped(content, 4 * len(content)),
    "gone": lambda content: None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [DATA, INDEX])
def test_a_damaged_file_is_named_and_the_checkpoint_before_used(tmp_path, name, damage, capsys):
    checkpoints = Checkpoints(tmp_path, model := model_of(1))
    checkpoints.save(1, "one")
    fill(model, 2)
    checkpoints.save(2, "two")
    content = DAMAGES[damage]((tmp_path / name).read_bytes())
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    fill(model, 3)
    assert checkpoints.restore() == (1, "one")
    assert_all(model, 1)
    if (name, damage) != (INDEX, "gone"):  # then there is no checkpoint of step 2
        assert f"checkpoint {tmp_path / 'step-2'} cannot be read" in capsys.readouterr().err
    fill(model, 2)
    checkpoints.save(2, "again")
    assert checkpoints.restore() == (2, "again")
    assert_all(model, 2)


def test_no_flipped_bit_is_taken_for_a_weight(tmp_path, capsys):
    """Whatever bit it is, what is restored is one of the two checkpoints, to the bit."""
    checkpoints = Checkpoints(tmp_path, model := model_of(1))
    checkpoints.save(1, 1)
    fill(model, 2)
    checkpoints.save(2, 2)
    files = {name: (tmp_path / name).read_bytes() for name in (DATA, INDEX)}
    random = np.random.default_rng(0)
    for damaged, content in files.items():
        for bit in random.integers(0, 8 * len(content), 40):
            for name in files:
                (tmp_path / name).write_bytes(flipped(content, bit) if name == damaged else files[name])
            fill(model, 3)
            step, notes = checkpoints.restore()
            assert step == notes, f"bit {bit} of {damaged}"
            assert_all(model, step)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["kernel", "moving_variance", "momentum"])
def test_weights_that_are_no_numbers_do_not_replace_good_ones(tmp_path, which, bad):
    checkpoints = Checkpoints(tmp_path, model := model_of(1), keep=1)
    checkpoints.save(1, "good")
    variable = next(each for each in floats(model) if each.path.endswith(which))
    variable.assign(np.where(np.arange(variable.shape[-1]) == 5, bad, np.ones(variable.shape)))
    with pytest.raises(FloatingPointError, match=rf"{which} is not finite after step 2; the checkpoint of step 1 is"):
        checkpoints.save(2, "bad")
    assert checkpoints.restore() == (1, "good")
    assert_all(model, 1)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_step_without_a_finite_loss_is_named(tmp_path, bad):
    def linear():
        return keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])

    def spoilt(epoch, skip, count):
        spoil = lambda number, batch: (tf.where(number + skip == 3, bad, 1.0) * batch[0], batch[1])
        return batches(epoch, skip, count).enumerate().map(spoil)

    checkpoints = Checkpoints(tmp_path, model := compiled(mirrored(1), linear))
    train(model, batches, 2, 2, checkpoints)
    with pytest.raises(
        FloatingPointError, match="the training loss is nan at step 4; the checkpoint of step 2 is kept"
    ):
        train(model, spoilt, 8, 8, checkpoints)
    assert checkpoints.steps() == [2]
