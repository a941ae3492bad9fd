"""Files that stand whole or not at all: on a full disk, after a kill, after a power cut."""

import contextlib
import os
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
