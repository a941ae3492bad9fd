"""Several trainings that decide a claim together."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from reproductions import study
from reproductions.report import several
from reproductions.study import Difference, Least, Study, Training

CLAIM = Difference("X1", "deep is worse, points", "deep", "flat", study.test_error, margin=1.0)
RECORD = {
    "command": "python -m reproductions.some",
    "commit": "0" * 40,
    "model": {"name": "some", "parameters": 5},
    "steps": 20,
    "batch_size": 8,
    "precision": "float32",
    "deviations": [],
    "data": {},
    "versions": {},
    "hardware": {},
    "sittings": [{}],
    "training_seconds": 3.0,
    "finished": "2026-11-22T10:00:00+00:00",
    "smoke": False,
}


def runs(deep, flat, smoke=False):
    both = {"deep": deep, "flat": flat}
    return [
        {"name": name, "seed": seed, "smoke": smoke, "epochs": [{"test_error": 99.0}, {"test_error": error}]}
        for name, errors in both.items()
        for seed, error in enumerate(errors)
    ]


@pytest.mark.parametrize(
    ("deep", "flat", "verdict"),
    [
        ([12.5, 13.0, 12.0], [11.0, 11.0, 10.5], "holds"),
        ([12.5, 13.0, 12.0], [11.0, 12.0, 10.5], "not decided"),  # once it is the margin and no more
        ([11.5, 12.0, 10.0], [11.0, 12.0, 10.5], "does not hold"),
        ([12.5, 13.0], [11.0, 11.0], "not decided (too few seeds)"),
    ],
)
def test_a_difference_is_decided_in_every_seed_or_not_at_all(deep, flat, verdict):
    assert CLAIM.decide(runs(deep, flat))["verdict"] == verdict


@pytest.mark.parametrize(
    ("errors", "seeds", "verdict"),
    [
        ([5.1, 7.0, 6.0], 3, "holds"),
        ([5.1, 5.0, 6.0], 3, "not decided"),
        ([5.0, 4.0, 1.0], 3, "does not hold"),
        ([9.0, 9.0], 3, "not decided (too few seeds)"),
        ([9.0, 1.0], 1, "holds"),  # what is measured of the first seed alone
    ],
)
def test_a_least_is_asked_of_every_seed(errors, seeds, verdict):
    claim = Least("X1", "deep is bad", "deep", study.test_error, lambda runs: 5.0, "more than 5", seeds=seeds)
    row = claim.decide(runs(errors, [0.0] * len(errors)))
    assert row["verdict"] == verdict and row["rule"] == "more than 5"


def test_a_least_shows_its_mean_and_its_seeds():
    claim = Least("X1", "deep is bad", "deep", study.test_error, lambda runs: 5.0, "more than 5")
    assert claim.decide(runs([6.0, 7.0, 8.0], [0.0] * 3))["ours"] == "7.00 (6.00, 7.00, 8.00)"


def test_the_difference_is_taken_seed_by_seed():
    shuffled = runs([12.0, 14.0, 16.0], [10.0, 11.0, 12.0])[::-1]
    assert CLAIM.decide(shuffled)["ours"] == "+3.00 (+2.00, +3.00, +4.00)"


def test_small_figures_are_shown_with_their_own_digits():
    claim = Difference("X1", "deep is worse", "deep", "flat", study.test_error, margin=0.02, digits=3)
    row = claim.decide(runs([0.123, 0.1], [0.1, 0.1]))
    assert row["ours"] == "+0.011 (+0.023, +0.000)" and "by over 0.02" in row["rule"]


def test_a_smoke_run_decides_nothing():
    assert CLAIM.decide(runs([12.5] * 3, [10.0] * 3, smoke=True))["verdict"] == "not decided (smoke run)"


@pytest.fixture
def called(tmp_path, monkeypatch):
    """The trainings that a study starts; each writes a record whose error is 10, and 5 more if it is deep."""
    commands = []

    def status_of(words):
        commands.append(words[2:])
        flags = dict(zip(words[3::2], words[4::2], strict=False))
        seed, deep = int(flags["--seed"]), "--depth" in flags
        errors = {"accuracy": 0.5, "test_top1_error": 10.0 + 5 * deep, "loss": 1.0}
        folder = tmp_path / f"{'deep' if deep else 'flat'}-{seed}"
        folder.mkdir(exist_ok=True)
        made = " ".join(["python -m", *words[2 : words.index("--out")], *["--smoke"] * ("--smoke" in words)])
        record = RECORD | {"command": made, "seed": seed, "epochs": [{"step": 20, **errors}]}
        if seed == 1 and deep and len(commands) == 4:  # killed once, before its end
            del record["finished"]
            (folder / "record.json").write_text(json.dumps(record))
            return 143
        (folder / "record.json").write_text(json.dumps(record))
        return 1

    monkeypatch.setattr(study, "status_of", status_of)
    return commands


def test_a_study_that_was_stopped_goes_on_where_it_was(called, tmp_path):
    trainings = {"flat": Training("some"), "deep": Training("some", "--depth 9")}
    small = Study(
        "small", "About.", trainings, [CLAIM], ["short"], measure=lambda folder, options: {"from": folder.name}
    )
    flags = ["--out", str(tmp_path), "--data-dir", "DIR"]
    assert study.main(small, flags) == 143
    assert not (tmp_path / "small.json").exists()
    before = len(called)
    assert study.main(small, flags) == 0
    assert [words[words.index("--seed") + 1] for words in called[before:]] == ["1", "2", "2"]
    assert called[before][1:3] == ["--depth", "9"] and "--resume" in called[before] and "DIR" in called[before]
    assert all("--resume" not in words for words in called[:before])
    record = json.loads((tmp_path / "small.json").read_text())
    assert record["claims"][0]["ours"] == "+5.00 (+5.00, +5.00, +5.00)" and record["claims"][0]["verdict"] == "holds"
    assert {(run["name"], run["seed"], run["measured"]["from"]) for run in record["runs"]} == {
        (name, seed, f"{name}-{seed}") for name in trainings for seed in range(3)
    }


SAVES_AND_LEAVES = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(143)))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_a_signal_to_a_study_is_the_trainings_to_obey_in_its_time(tmp_path):
    def stop():
        while not (tmp_path / "begun").exists() or signal.getsignal(signal.SIGTERM) == before[0]:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)  # which a terminal sends to the training itself, too
        os.kill(os.getpid(), signal.SIGTERM)

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    threading.Thread(target=stop).start()
    assert study.status_of([sys.executable, "-c", SAVES_AND_LEAVES, str(tmp_path / "begun")]) == 143
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_finished_run_of_other_flags_is_not_taken_for_this_studys(called, tmp_path):
    flags = ["--out", str(tmp_path), "--seeds", "1"]
    assert study.main(Study("small", "About.", {"flat": Training("some", "--epochs 9")}, []), flags) == 0
    assert study.main(Study("small", "About.", {"flat": Training("some", "--epochs 9")}, []), flags) == 0
    told = r"flat-0 has a finished run of `python -m reproductions.some --epochs 9 --seed 0`, not of `.* --epochs 10 "
    with pytest.raises(SystemExit, match=told):
        study.main(Study("small", "About.", {"flat": Training("some", "--epochs 10")}, []), flags)
    assert len(called) == 1


def test_a_smoke_run_is_as_short_as_its_scripts(called, tmp_path):
    small = Study("small", "About.", {"flat": Training("some", "--steps 90 --rate 3 --epochs 2")}, [])
    study.main(small, ["--out", str(tmp_path), "--seeds", "1", "--smoke"])
    words = called[0]
    assert words[1:3] == ["--rate", "3"] and "--smoke" in words and not {"--steps", "--epochs"} & set(words)


def test_one_flag_sets_the_arithmetic_of_every_training(called, tmp_path):
    small = Study("small", "About.", {"flat": Training("some"), "deep": Training("some", "--depth 9")}, [])
    study.main(small, ["--out", str(tmp_path), "--seeds", "1", "--precision", "bfloat16"])
    assert [words[words.index("--precision") + 1] for words in called] == ["bfloat16"] * 2
    record = json.loads((tmp_path / "small.json").read_text())
    assert record["deviations"] == ["bfloat16 arithmetic, float32 weights"]
    with pytest.raises(SystemExit, match=r"--precision bfloat16 .*not of `python -m reproductions\.some --seed 0`"):
        study.main(small, ["--out", str(tmp_path), "--seeds", "1"])


def test_a_detector_is_known_by_its_map(tmp_path):
    record = RECORD | {"seed": 0, "epochs": [{"step": 20, "loss": 1.0, "rpn_loss": 0.5, "test_map": 40.004}]}
    (tmp_path / "record.json").write_text(json.dumps(record))
    run = study.summary("some", tmp_path, Study("small", "About.", {}, []), None)
    assert run["epochs"] == [{"step": 20, "loss": 1.0, "map": 40.0}]
    header, _, row, *_ = several([run]).splitlines()
    assert "mAP, %" in header and "|  | 40.00 |" in row


def test_a_network_that_labels_pixels_is_known_by_its_scores(tmp_path):
    scores = {"test_pixel_accuracy": 80.004, "test_mean_accuracy": 60.0, "test_mean_iu": 40.0, "test_iu_sky": 90.0}
    record = RECORD | {"seed": 0, "epochs": [{"step": 20, "accuracy": 0.75, "loss": 1.0, **scores}]}
    (tmp_path / "record.json").write_text(json.dumps(record))
    run = study.summary("some", tmp_path, Study("small", "About.", {}, []), None)
    figures = {"pixel_accuracy": 80.0, "mean_accuracy": 60.0, "mean_iu": 40.0}
    assert run["epochs"] == [{"step": 20, "training_error": 25.0, "loss": 1.0, **figures}]
    assert study.final("mean_accuracy")(run) == 60.0
    header, _, row, *_ = several([run]).splitlines()
    assert "mean IU, %" in header and "test error" not in header and "| 25.00 | 40.00 |" in row


def test_only_the_finalists_get_more_seeds(called, tmp_path):
    trainings = {"flat": Training("some"), "deep": Training("some", "--depth 9")}
    best = lambda runs: [min(runs, key=study.test_error)["name"]]
    small = Study("small", "About.", trainings, [], finalists=best)
    assert study.main(small, ["--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "small.json").read_text())
    assert [(run["name"], run["seed"]) for run in record["runs"]] == [
        ("flat", 0),
        ("deep", 0),
        ("flat", 1),
        ("flat", 2),
    ]
