"""benchmarks/results.json: how it is read and written, and the arithmetic in it."""

import json
from collections import Counter
from pathlib import Path
from statistics import quantiles

from reproductions.record import short

RESULTS = Path(__file__).parent / "results.json"


def load(path=RESULTS):
    """The results so far: {"peak": ..., "rows": {key: ...}, "input": ..., "waiting": ...}."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else {"peak": {}, "rows": {}, "input": {}, "waiting": {}}


def origins(measured):
    """When, how and from what some rows were measured, in words."""
    runs = Counter((each["date"][:10], each["command"], short(each["commit"])) for each in measured)
    told = [f"{date} by `{command}` at commit {commit}, {n} rows" for (date, command, commit), n in runs.items()]
    return f"Measured {'; '.join(told)}"


def spread(values):
    """[lower quartile, median, upper quartile], interpolated, to four digits."""
    quartiles = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return [float(f"{value:.4g}") for value in quartiles]


def ratios(ours, theirs):
    """How many times as fast as the peer we are, round by round, from the seconds of each round."""
    return [their / our for our, their in zip(ours, theirs, strict=True)]


def share_of_peak(images_per_second, multiply_adds, training, peak):
    """The share of the measured matrix-product peak (FLOP/s) that the network's own arithmetic is.

    A multiply-add is two FLOP; a training step has three times the forward pass's: outputs, and the gradients of inputs
    and of kernels.
    """
    return images_per_second * 2 * multiply_adds * (3 if training else 1) / peak
