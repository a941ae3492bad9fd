"""Files that stand whole or not at all: on a full disk, after a kill, after a power cut."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

import tensorflow as tf


@contextlib.contextmanager
def whole(path):
    """A path to write a file to, moved to `path` once it is complete and on the disk; until then the old file stays.

    It ends like `path`, since some writers choose a format by that, and is the same each time, so that what a killed
    process left of it is overwritten.

    Raises:
        OSError: the file could not be written, in one sentence that says why; nothing is left of it.
    """
    path = Path(path)
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        yield part
        sync(part)
        part.replace(path)
        sync(path.parent)
    except (OSError, tf.errors.OpError) as error:
        raise OSError(f"{path} could not be written: {reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder):
    """A lock on a folder that one process at a time may have; it leaves no file, and ends with the process.

    Raises:
        ValueError: another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is writing to {folder}; wait for its end, or stop it.") from None
        except OSError:
            pass  # not every network's file system has locks on folders
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path, force):
    """A path to write to, moved to `path` once it is complete; what was there stays until then, and on failure.

    Raises:
        FileExistsError: something is there and `force` is not given, or something that is no export.
        OSError: it could not be written, in one sentence that says why.
    """
    path = Path(path).resolve()
    beside = path.with_name(f".{path.name}.part")  # of one name, so that what a killed process left is found again
    if (beside / "old").exists() and not path.exists():  # killed between the two moves
        (beside / "old").rename(path)
    if path.exists():
        if not force:
            raise FileExistsError(f"{path} exists; --force (force=True) replaces it.")
        empty = path.is_dir() and not any(path.iterdir())
        if not (empty or (path / "saved_model.pb").exists() or (path.is_file() and path.suffix == ".onnx")):
            raise FileExistsError(f"{path} is no SavedModel and no .onnx file; remove it yourself.")
    new, old = beside / "new", beside / "old"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        try:
            beside.mkdir(parents=True)
            yield new
        except (OSError, tf.errors.OpError) as error:
            raise OSError(f"{path} could not be written: {reason(error)}.") from error
        for written in (new, *new.rglob("*")):
            sync(written)
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        sync(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def sync(path):
    """Wait until a file, or a folder's list of files, is on the disk.

    Without it a file system may move a file into place before it writes what is in it, and a power cut then leaves an
    empty file where a whole one was.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def reason(error):
    """Why something could not be written, without the path and the operation that TensorFlow wraps it in."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.message.partition("\n")[0].rpartition("; ")[2].partition(" [Op:")[0]
