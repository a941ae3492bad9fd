"""The soak can fail."""

import numpy as np

from tests.soak import differences


def test_the_last_bit_a_figure_and_a_missing_array_are_told():
    expected = {"weights": np.ones(5, "float32"), "momenta": np.ones(5, "float32"), "loss": 0.5}
    assert differences(expected, expected | {"weights": np.ones(5, "float32")}) == []
    ours = {"weights": expected["weights"] + np.float32([0, 0, 2**-23, 0, 0]), "loss": 0.25}
    assert differences(expected, ours) == ["loss", "momenta", "weights"]
