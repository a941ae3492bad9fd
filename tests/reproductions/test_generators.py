"""The studies of generators: their rules on figures made by hand, records that go on, the three games' networks."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from reproductions import gan_dissection_fashion_mnist as dissection
from reproductions import gan_inversion_fashion_mnist as inversion
from reproductions import three_generators_digits as three
from reproductions.generators import measure_all, options_of
from reproductions.record import told


def verdicts(rows):
    return [row["verdict"] for row in rows]


def test_the_rules_of_the_dissection():
    """Mean and standard error of (0.3, 0.1) are 0.2 and 0.1; of (0.3, 0.2) 0.25 and 0.05."""
    unit = lambda removed, at_random: {"removed": removed, "removed_at_random": at_random}
    of_set = {"effect": 0.1, "effect_at_random": 0.09}
    runs = [
        {"name": "relu2", "units": [unit(0.4, 0.1), unit(0.2, 0.1)], "set": of_set},
        {"name": "relu3", "units": [unit(0.4, 0.1), unit(0.3, 0.1)], "set": {**of_set, "effect": 0.2}},
    ]
    rows = dissection.claims(runs)
    assert verdicts(rows) == ["does not hold", "does not hold", "holds", "holds"]
    assert rows[0]["ours"] == "0.200 ± 0.100" and rows[2]["ours"] == "0.250 ± 0.050" and rows[3]["ours"] == "0.11"
    assert dissection.claims([{"name": "relu2", "units": [], "set": None}, runs[1]]) == rows[2:]


def test_the_rules_of_the_inversion():
    errors = {"random z": [1.0, 3.0], "encoder": [0.8], "optimisation": [0.9], "both": [0.6], "adapted": [0.2]}
    rows = inversion.claims([{"errors": errors, "prior_moved": 0.1, "prior_apart": 0.4}])
    ours = ["0.4", "0.45", "0.3", "0.1", "0.75", "0.67", "0.33", "0.25"]
    assert [row["ours"] for row in rows] == ours and verdicts(rows) == ["holds"] * 8
    rows = inversion.claims([{"errors": {**errors, "adapted": [0.4]}, "prior_moved": 0.3, "prior_apart": 0.4}])
    assert verdicts(rows)[-2:] == ["does not hold"] * 2


def test_the_rules_of_the_three_generators():
    run = lambda name, right, rarest: {"name": name, "right": right, "named": [rarest, *[0.1] * 9]}
    runs = [run("unconditional", None, 0.02), run("conditional", 0.9, 0.1), run("joint", 0.7, 0.0)]
    assert verdicts(three.claims(runs)) == ["holds", "does not hold", "holds", "holds", "does not hold"]


@pytest.mark.parametrize("kind", three.KINDS)
def test_the_samples_of_each_kind(kind):
    generator = three.game(kind, seed=0, filters=4).generator
    images, labels = three.samples(generator, kind, 20, seed=0)
    assert images.shape == (20, 32, 32, 1)
    if kind == "unconditional":
        assert labels is None
    elif kind == "conditional":
        np.testing.assert_array_equal(labels, [*range(10)] * 2)
    else:
        assert labels.shape == (20,) and set(labels) <= set(range(10))


def test_a_record_goes_on_where_it_was_stopped_and_is_of_one_kind(tmp_path, capsys):
    options, seen = SimpleNamespace(out=tmp_path / "r.json", smoke=False), []

    def measure(name, seed):
        seen.append((name, seed))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return {"figure": seed}

    claim = {"id": "X1", "statement": "is", "paper": None, "ours": "1", "rule": "1", "verdict": "holds"}
    go = lambda: measure_all("some", options, "ab", measure, lambda runs: [claim], "data", [])
    with pytest.raises(KeyboardInterrupt):
        go()
    record = go()
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert record == json.loads(options.out.read_text()) and record["claims"] == [claim]
    options.smoke = True
    assert told(lambda _: go(), options) == 2
    assert "is the record of no smoke run; --out another" in capsys.readouterr().err
    options.out = tmp_path / "smoke.json"
    assert verdicts(go()["claims"]) == ["not decided (smoke run)"]


def test_a_smoke_run_has_a_record_of_its_own():
    assert options_of("some", "About.", ["--smoke"]).out.name == "some-smoke.json"
    assert options_of("some", "About.", []).out.name == "some.json"


def test_a_folder_without_a_run_is_told(tmp_path, capsys):
    assert inversion.main(["--run", str(tmp_path)]) == 2
    assert "holds no finished run of dcgan_fashion_mnist" in capsys.readouterr().err
