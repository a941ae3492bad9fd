"""The boxes of a folder: kept, not computed twice, gone on with after a kill, and what cannot be read is named."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from keras_cnns.detection import compute_proposals, proposals, read_proposals, selective_search
from reproductions.proposals import main


@pytest.fixture
def photos(tmp_path):
    """A folder like VOC's with five small images, the third of them cut off and the fourth no image at all."""
    folder = tmp_path / "voc/JPEGImages"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(5):
        blocks = random.integers(0, 256, (4, 5, 3)).astype("uint8")
        Image.fromarray(np.kron(blocks, np.ones((12, 12, 1), "uint8"))).save(folder / f"{number}.jpg", quality=95)
    content = (folder / "2.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(content[: len(content) // 2])
    (folder / "3.jpg").write_text("no image")
    return folder


def test_they_are_those_of_each_image(photos, tmp_path):
    good = [photos / f"{number}.jpg" for number in (0, 1, 4)]
    assert compute_proposals(good, tmp_path / "boxes", "single", seed=3, processes=2) == {}
    for path in good:
        expected = selective_search(np.asarray(Image.open(path)), "single", seed=3)
        np.testing.assert_array_equal(read_proposals(path, tmp_path / "boxes", "single", seed=3), expected)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_cannot_be_read_is_named_and_left_out(photos, tmp_path, processes, capsys):
    faults = compute_proposals(photos.iterdir(), tmp_path / "boxes", "single", processes=processes)
    assert set(faults) == {str(photos / "2.jpg"), str(photos / "3.jpg")}
    assert len(list((tmp_path / "boxes").rglob("*.npy"))) == 3
    assert capsys.readouterr().err.count("left out: ") == 2
    with pytest.raises(ValueError, match=r"[23].jpg cannot be read: .* \(--strict makes that an error\)"):
        compute_proposals(photos.iterdir(), tmp_path / "boxes", "single", processes=processes, strict=True)


def test_what_is_there_is_not_computed_again(photos, tmp_path, monkeypatch):
    paths, boxes = [photos / "0.jpg", photos / "1.jpg"], tmp_path / "boxes"
    compute_proposals(paths[:1], boxes, "single", processes=1)
    searched = []
    monkeypatch.setattr(proposals, "selective_search", lambda image, *_: searched.append(image) or np.zeros((1, 4)))
    compute_proposals(paths, boxes, "single", processes=1)
    assert len(searched) == 1
    compute_proposals(paths, boxes, "single", seed=1, processes=1)  # other parameters: other boxes
    assert len(searched) == 3


def test_a_changed_image_has_none(photos, tmp_path):
    path = photos / "0.jpg"
    compute_proposals([path], tmp_path, "single", processes=1)
    assert len(read_proposals(path, tmp_path, "single"))
    path.write_bytes((photos / "1.jpg").read_bytes())
    with pytest.raises(ValueError, match=r"has no single proposals with seed 0 of .*0.jpg as it is now"):
        read_proposals(path, tmp_path, "single")


def test_what_cannot_be_asked_for(photos, tmp_path):
    with pytest.raises(ValueError, match="there are no images"):
        compute_proposals([], tmp_path)
    with pytest.raises(ValueError, match="processes is 0; it must be at least 1"):
        compute_proposals([photos / "0.jpg"], tmp_path, processes=0)
    with pytest.raises(ValueError, match="mode is 'slow'"):
        compute_proposals([photos / "0.jpg"], tmp_path, "slow")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_is_no_fault_of_the_image(photos, tmp_path, processes, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)  # the processes are forked from this one
    with pytest.raises(OSError, match="could not be written: No space left on device"):
        compute_proposals([photos / "0.jpg", photos / "1.jpg"], tmp_path, "single", processes=processes)
    assert not list(tmp_path.rglob("*.npy"))


def test_the_command(photos, tmp_path, capsys):
    arguments = ["--data-dir", str(photos.parent), "--out", str(tmp_path / "boxes"), "--mode", "single"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "3 of 5 images" in said.out
    assert said.err.count("2.jpg cannot be read") == 2  # as it was met, and at the end
    assert main([*arguments, "--strict"]) == 2
    assert main(["--data-dir", str(tmp_path / "nothing"), "--out", str(tmp_path / "boxes")]) == 2
    assert "nothing is no folder" in capsys.readouterr().err


def running(group):
    """The processes of a group that have not ended."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@pytest.mark.slow
def test_a_kill_leaves_no_process_and_no_half_file_and_the_same_command_goes_on(photos, tmp_path):
    for number in range(5, 40):
        (photos / f"{number}.jpg").write_bytes((photos / "0.jpg").read_bytes())
    boxes = tmp_path / "boxes"
    words = ["--data-dir", str(photos.parent), "--out", str(boxes), "--mode", "quality", "--processes", "2"]
    started = subprocess.Popen(
        [sys.executable, "-m", "reproductions.proposals", *words],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(list(boxes.rglob("*.npy"))) < 4:
        assert started.poll() is None
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    try:
        for _ in range(600):
            if not running(started.pid):
                break
            time.sleep(0.1)
        assert not running(started.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    done = {file: file.read_bytes() for file in boxes.rglob("*.npy")}
    assert 4 <= len(done) < 38
    assert main(words) == 0
    files = [file for file in boxes.rglob("*") if file.is_file()]
    assert len(files) == 38
    assert all(file.read_bytes() == content for file, content in done.items())
