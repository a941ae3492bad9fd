"""Packages that only some functions need: each comes with an extra, as in `pip install "keras-cnns[figures]"`."""

import importlib


class Extra:
    """A module that is imported when it is first used, since not everybody has it, or since that takes long.

    Raises:
        ImportError: at its first use, if it is not installed; the sentence names the extra that brings it.
    """

    def __init__(self, module, extra):
        self._module, self._extra = module, extra

    def __getattr__(self, name):
        try:
            module = importlib.import_module(self._module)
        except ModuleNotFoundError as error:
            package = error.name.partition(".")[0]
            raise ImportError(f'{package} is not installed: pip install "keras-cnns[{self._extra}]"') from error
        return getattr(module, name)
