"""The papers' experiments, a script each: `python -m reproductions` lists them."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow: its start-up notes would bury the progress
