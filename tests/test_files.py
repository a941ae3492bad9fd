"""Files that stand whole or not at all."""

import os
import subprocess
import sys

import pytest

from keras_cnns.files import alone, whole

HAS_IT = """
import sys, time
from keras_cnns.files import alone
with alone(sys.argv[1]):
    print("has it", flush=True)
    time.sleep(60)
"""
SENTENCE = r"record\.json could not be written: (No space left on device|File too large)\.$"


@pytest.mark.parametrize("left", [0, 4096])
def test_a_full_disk_leaves_the_old_file_and_nothing_of_the_new(disk, left):
    folder, full = disk
    with whole(folder / "record.json") as part:
        part.write_text("old")
    with pytest.raises(OSError, match=SENTENCE), full(left), whole(folder / "record.json") as part:
        part.write_text("new" * 10_000)
    assert [file.name for file in folder.iterdir()] == ["record.json"]
    assert (folder / "record.json").read_text() == "old"
    with whole(folder / "record.json") as part:
        part.write_text("new")
    assert (folder / "record.json").read_text() == "new"


def test_what_a_killed_process_left_is_overwritten(tmp_path):
    (tmp_path / "curves.part.png").write_text("half of a picture")
    with whole(tmp_path / "curves.png") as part:
        assert part.suffix == ".png"
        part.write_text("whole")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("curves.png", "whole")]


def test_another_error_passes_as_it_is_and_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="of the writer"), whole(tmp_path / "a.json") as part:
        part.write_text("half")
        raise RuntimeError("of the writer")
    assert not list(tmp_path.iterdir())


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    """As far as that can be seen without cutting the power."""
    events = []
    for name, told in (("fsync", lambda number: os.readlink(f"/proc/self/fd/{number}")), ("replace", str)):
        real = getattr(os, name)

        def wrapped(first, *rest, real=real, name=name, told=told):
            events.append((name, told(first)))
            return real(first, *rest)

        monkeypatch.setattr(os, name, wrapped)
    with whole(tmp_path / "a.json") as part:
        part.write_text("a")
    assert events == [("fsync", str(part)), ("replace", str(part)), ("fsync", str(tmp_path))]


def test_one_process_at_a_time_has_a_folder_alone(tmp_path):
    with (
        alone(tmp_path),
        pytest.raises(ValueError, match=f"another process is writing to {tmp_path}"),
        alone(tmp_path),
    ):
        raise AssertionError("two had it")
    with alone(tmp_path):
        assert not list(tmp_path.iterdir())


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HAS_IT, str(tmp_path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ValueError, match="another process"), alone(tmp_path):
            raise AssertionError("two had it")
        process.kill()
        process.wait()
    with alone(tmp_path):
        pass
