"""A run whose disk fills up, whose folder cannot be written, whose loss is no number: nothing is lost."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digits
from keras_cnns.training import Checkpoints
from reproductions import runner
from tests.reproductions.small_recipe import recipe
from tests.reproductions.test_resume import epochs, final_state

FLAGS = ["--checkpoint-steps", "4"]
FULL = "No space left on device", "File too large"


def run(out, *flags):
    return runner.main(recipe, [*FLAGS, "--out", str(out), *flags])


@contextlib.contextmanager
def full_during(monkeypatch, full, owner, name, when=lambda *arguments: True):
    """Have the disk full while this function runs."""
    real = getattr(owner, name)

    def on_a_full_disk(*arguments, **named):
        with full() if when(*arguments) else contextlib.nullcontext():
            return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, on_a_full_disk)
        yield


def assert_whole(out):
    """Whatever is in a run's folder can be read."""
    json.loads((out / "record.json").read_text())
    for index in (out / "checkpoints").glob("*.index"):
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    for picture in [*out.glob("*.png"), *out.glob("test_images/*.png")]:
        tf.io.decode_png(picture.read_bytes())
    if (out / "model.keras").exists():
        keras.models.load_model(out / "model.keras")
    assert not [file for file in out.rglob("*") if "part" in file.name]


@pytest.mark.slow
@pytest.mark.parametrize("disk", ["either"], indirect=True)
def test_a_disk_that_fills_up_again_and_again(disk, tmp_path, monkeypatch, capsys):
    """Full at a checkpoint, at the record, at the model and at the export; each time resumed. Curves can wait."""
    folder, full = disk
    whole, out = tmp_path / "whole", folder / "run"
    assert run(whole) == 0
    capsys.readouterr()
    for owner, name, when, what in [
        (Checkpoints, "save", lambda self, step, notes: step == 8, "the checkpoint of step 8 could not be written"),
        (runner, "write_json", lambda path, content: content["epochs"], f"{out / 'record.json'} could not be written"),
        (keras.Model, "save", lambda *_: True, f"{out / 'model.keras'} could not be written"),
        (runner, "export", lambda *_: True, f"{out / 'saved_model'} could not be written"),
    ]:
        no_curves_yet = full_during(
            monkeypatch, full, runner, "draw_curves", lambda record, path: "claims" not in record
        )
        with no_curves_yet, full_during(monkeypatch, full, owner, name, when):
            assert run(out, "--resume") == 2
        lines = capsys.readouterr().err.splitlines()
        (sentence,) = [line for line in lines if line.startswith("error: ")]
        assert what in sentence and any(reason in sentence for reason in FULL)
        warnings = [line for line in lines if "warning: " in line and "curves.png could not be written: " in line]
        assert len(warnings) == (3 if owner is keras.Model else 0)  # after each of its epochs
        assert_whole(out)
    assert run(out, "--resume") == 0
    ours, theirs = final_state(out), final_state(whole)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert epochs(out) == epochs(whole)
    assert_whole(out)


def test_no_space_for_tensorboard(disk, capsys):
    """The training goes on; what was written before, and by the next sitting, can be read."""
    folder, full = disk
    row = {"step": 1, "loss": 1.0, "accuracy": 0.5, "test_loss": 1.0, "test_top1_error": 50.0}
    record = {"epochs": [row], "model": {"name": "small"}, "smoke": False, "data": {"train": "digits"}}
    writer = runner.draw(tf.summary.create_file_writer(str(folder / "events")), record, folder)
    assert (folder / "curves.png").stat().st_size > 0 and not capsys.readouterr().err
    record["epochs"].append(row | {"step": 2} | {f"{number}": 0.0 for number in range(1000)})
    with full():
        writer = runner.draw(writer, record, folder)
    errors = capsys.readouterr().err
    assert "warning: no more TensorBoard events in this sitting: " in errors
    assert f"warning: {folder / 'curves.png'} could not be written: " in errors
    (events,) = (folder / "events").iterdir()
    size = events.stat().st_size
    runner.draw(writer, record, folder)
    assert "warning" not in capsys.readouterr().err
    assert events.stat().st_size == size  # nothing after half an event
    seen = []
    with contextlib.suppress(tf.errors.DataLossError):
        for event in tf.compat.v1.train.summary_iterator(str(events)):
            seen += [(event.step, value.tag) for value in event.summary.value]
    assert seen[:5] == [(1, name) for name in row]
    tf.io.decode_png((folder / "curves.png").read_bytes())


def never(run):
    raise AssertionError("the data were read")


never.__module__ = recipe.__module__


def assert_refused(capsys, out, *flags):
    assert runner.main(never, ["--out", str(out), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {out} cannot be written to (") and "); --out must name another folder." in error


def test_what_is_no_folder_is_refused_before_the_data_are_read(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    for out in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        assert_refused(capsys, out)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("disk", ["tmpfs"], indirect=True)
def test_a_read_only_disk_is_refused_before_the_data_are_read(disk, capsys):
    folder, _ = disk
    (folder / "old").mkdir()
    (folder / "old" / "record.json").write_text(json.dumps({"arguments": {}, "sittings": [], "epochs": []}))
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    assert_refused(capsys, folder / "new")
    assert_refused(capsys, folder / "old", "--resume")


def test_a_folder_of_somebody_else_is_refused_before_the_data_are_read(capsys):
    if root := os.geteuid() == 0:  # whom no permission stops
        os.seteuid(65534)
    try:
        assert_refused(capsys, Path("/no-run-may-be-here"))
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("content", ["", '{"half', "[]", '{"arguments": {}}', "\0" * 100])
def test_a_damaged_record_beside_good_checkpoints(tmp_path, content, capsys):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-4.index").write_bytes(b"good")
    (tmp_path / "record.json").write_text(content)
    assert run(tmp_path, "--resume") == 2
    error = capsys.readouterr().err
    assert f"error: {tmp_path / 'record.json'} is damaged (" in error and "--out must name another" in error
    assert (tmp_path / "record.json").read_text() == content
    assert (tmp_path / "checkpoints" / "step-4.index").read_bytes() == b"good"


@pytest.mark.parametrize("content", [b"", b"PK\3\4 half", b"\0" * 100])
def test_damaged_statistics_are_computed_again(tmp_path, content):
    options = runner.Run("script", *runner.parse(recipe, "script", ["--out", str(tmp_path)]))
    images = digits("test").take(20)
    mean, covariance = options.statistics(images)
    (tmp_path / "statistics.npz").write_bytes(content)
    again = options.statistics(images)
    np.testing.assert_array_equal(again[0], mean)
    np.testing.assert_array_equal(again[1], covariance)


def test_no_space_for_statistics(disk):
    folder, full = disk
    options = runner.Run("script", *runner.parse(recipe, "script", ["--out", str(folder)]))
    with full(), pytest.raises(OSError, match=r"statistics\.npz could not be written: "):
        options.statistics(digits("test").take(20))
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_weights_that_are_no_numbers_end_the_run_with_all_that_was_good(tmp_path, capsys):
    """The images of step 19 are at fault. ReLU makes 0 of them, so that no loss ever shows it: the weights do."""

    bad_steps = [19]

    def broken(run, filters=8):
        made = recipe(run, filters)
        batches = made.train.batches

        def spoilt(*arguments, **options):
            data = batches(*arguments, **options)
            if options.get("epoch") != 1 or not bad_steps:
                return data
            first = 15 + options["skip"] + 1
            spoil = lambda number, batch: (tf.where(number + first == bad_steps[0], np.nan, 1.0) * batch[0], batch[1])
            return data.enumerate().map(spoil)

        made.train.batches = spoilt
        return made

    broken.__module__ = recipe.__module__
    flags = ["--out", str(tmp_path), "--checkpoint-steps", "2"]
    for sitting in (flags, [*flags, "--resume"]):  # told again
        assert runner.main(broken, sitting) == 2
        assert "kernel is not finite after step 20; the checkpoint of step 18 is kept." in capsys.readouterr().err
        assert sorted(file.stem for file in (tmp_path / "checkpoints").glob("*.index")) == ["step-16", "step-18"]
        record = json.loads((tmp_path / "record.json").read_text())
        assert [row["step"] for row in record["epochs"]] == [15]
        assert_whole(tmp_path)
    bad_steps.clear()
    assert runner.main(broken, [*flags, "--resume"]) == 0  # with the images mended it goes on
