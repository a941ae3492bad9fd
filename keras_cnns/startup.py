"""TensorFlow's start-up notes, which would bury what a command has to say."""

import os


def import_tensorflow_quietly():
    """Import TensorFlow with standard error turned away: its first notes come before it reads any level of logging."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
