"""When a training error is reached, and whether that decides."""

from math import inf

import pytest

from reproductions.relu_cifar10 import Sooner, epochs_to_target, finalists


def run(name, seed, *errors, smoke=False):
    return {"name": name, "seed": seed, "smoke": smoke, "epochs": [{"training_error": error} for error in errors]}


@pytest.mark.parametrize(
    ("errors", "epochs"),
    [((50, 25, 20), 2), ((50, 30, 20), 2.5), ((20,), 13 / 14), ((50, 40), inf)],  # 90 % of chance before the first
)
def test_epochs_are_counted_on_the_line_between_two(errors, epochs):
    assert epochs_to_target(run("relu-0.01", 0, *errors)) == pytest.approx(epochs)


def test_the_best_rate_is_the_first_seeds_and_decides_in_every_seed():
    runs = [
        run("relu-0.01", 0, 30, 25),  # 2 epochs
        run("relu-0.1", 0, 90, 90),
        run("tanh-0.01", 0, 40, 35, 30, 27),  # not there, but nearer
        run("tanh-0.1", 0, 40, 35, 30, 28),
    ]
    assert finalists(runs) == ["relu-0.01", "tanh-0.01"]
    assert Sooner().decide(runs)["verdict"] == "not decided"  # one seed
    more = [run("relu-0.01", seed, 30, 25) for seed in (1, 2)]
    four = [run("tanh-0.01", seed, 40, 35, 30, 25) for seed in (1, 2)]
    row = Sooner().decide([*runs, *more, *four])
    assert row["verdict"] == "holds" and row["ours"] == "6.0, 2.0, 2.0 (tanh 12.0, 4.0, 4.0; ReLU 2.0, 2.0, 2.0 epochs)"
    three = [run("tanh-0.01", seed, 40, 35, 25) for seed in (1, 2)]
    assert Sooner().decide([*runs, *more, *three])["verdict"] == "not decided"
