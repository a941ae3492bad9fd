import contextlib

with contextlib.suppress(ImportError):
    import torchvision  # noqa: F401  before TensorFlow: the Triton it brings crashes when loaded after it
