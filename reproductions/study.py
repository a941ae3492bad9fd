"""Several trainings that decide a claim together, each a reproduction script run by itself in a folder of its own.

A study that was stopped goes on where it was, and two studies may share trainings by sharing `--out`.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from matplotlib import pyplot as plt

from keras_cnns.files import whole
from reproductions.record import A_MINUTE, PREPARED, arithmetic, command, measured, publish
from reproductions.run import PRECISIONS

SEEDS = 3
# What a test gives, of a classifier, of a network that labels every pixel or of a detector, and what a study calls it.
SCORES = "pixel_accuracy", "mean_accuracy", "mean_iu", "map", "mask_ap", "mask_ap50", "knn_accuracy"
TESTED = {"top1_error": "test_error", **{name: name for name in SCORES}}


@dataclass(frozen=True)
class Training:
    script: str  # of reproductions/
    flags: str = ""


@dataclass(frozen=True)
class Difference:
    """A claim that one network's figure is larger than another's, and the rule, fixed before the run, that decides it.

    It holds if `figure(first) - figure(second)` is more than `margin` in every seed, of three or more, and does not
    hold if it is not in any.
    """

    id: str
    statement: str
    first: str  # names of trainings
    second: str
    figure: Callable  # of a run
    margin: float
    paper: float | str | None = None
    digits: int = 2  # of ours, after the point

    def decide(self, runs):
        """The row of the table: {"id", "statement", "paper", "ours", "rule", "verdict"}."""
        values = [
            self.figure(a) - self.figure(b)
            for a, b in zip(of(runs, self.first), of(runs, self.second), strict=False)  # seeds that both have
        ]
        above = [value > self.margin for value in values]
        verdict = "holds" if all(above) else "not decided" if any(above) else "does not hold"
        if len(values) < SEEDS or any(run["smoke"] for run in runs):
            verdict = "not decided (smoke run)" if any(run["smoke"] for run in runs) else "not decided (too few seeds)"
        return {
            "id": self.id,
            "statement": self.statement,
            "paper": self.paper,
            "ours": f"{self.signed(mean(values))} ({', '.join(map(self.signed, values))})",
            "rule": f"{self.first} more than {self.second} by over {self.margin:g}, in each of {SEEDS} seeds or more",
            "verdict": verdict,
        }

    def signed(self, value):
        return f"{value:+.{self.digits}f}"


@dataclass(frozen=True)
class Least:
    """A claim that a network's figure is more than another number, and the rule, fixed before the run, that decides it.

    It holds if it is so in every seed, of `seeds` or more, and does not hold if it is in none.
    """

    id: str
    statement: str
    name: str  # of the training
    figure: Callable  # of a run
    least: Callable  # from all runs to the number
    rule: str
    paper: float | str | None = None
    seeds: int = SEEDS

    def decide(self, runs):
        """The row of the table, as `Difference.decide`."""
        values, least = [self.figure(run) for run in of(runs, self.name)][: self.seeds], self.least(runs)
        above = [value > least for value in values]
        verdict = "holds" if all(above) else "not decided" if any(above) else "does not hold"
        if len(values) < self.seeds or any(run["smoke"] for run in runs):
            verdict = "not decided (smoke run)" if any(run["smoke"] for run in runs) else "not decided (too few seeds)"
        ours = f"{mean(values):.2f}"
        if len(values) > 1:
            ours += f" ({', '.join(f'{value:.2f}' for value in values)})"
        row = {"id": self.id, "statement": self.statement, "paper": self.paper, "ours": ours, "rule": self.rule}
        return {**row, "verdict": verdict}


@dataclass(frozen=True)
class Study:
    script: str
    description: str  # the script's documentation
    trainings: dict[str, Training]
    claims: list
    deviations: list[str] = field(default_factory=list)
    seeds: int = SEEDS
    finalists: Callable | None = None  # from the runs of the first seed to the names of those that get more seeds
    measure: Callable | None = None  # of a trained run, from (its folder, options): figures to be kept in its run


def main(study, arguments=None):
    """Run what is not trained yet, decide, write the record and its picture; 0, or the status that ended a training."""
    parser = argparse.ArgumentParser(
        f"python -m reproductions.{study.script}",
        description=study.description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data-dir", help=PREPARED)
    parser.add_argument("--out", type=Path, default=Path("runs/studies"), help="trainings that lie there are used")
    parser.add_argument("--seeds", type=int, default=study.seeds, help=f"of each network (default: {study.seeds})")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of every training's arithmetic")
    parser.add_argument("--smoke", action="store_true", help=A_MINUTE)
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")

    runs, chosen = [], list(study.trainings)
    for seed in range(options.seeds):
        if seed == 1 and study.finalists:
            chosen = study.finalists(runs)
        for number, name in enumerate(chosen, 1):
            folder = options.out / f"{name}-{seed}{'-smoke' if options.smoke else ''}"
            print(f"== seed {seed}, training {number} of {len(chosen)}: {name}", flush=True)
            status = train(study.trainings[name], seed, folder, options)
            if not finished(folder):  # its exit status may be 1 for a claim of its own that does not hold
                return status or 2
            runs.append(summary(name, folder, study, options))
    record = measured(
        study.script,
        versions=runs[0]["versions"],
        hardware=runs[0]["hardware"],
        runs=runs,
        claims=[claim.decide(runs) for claim in study.claims],
        deviations=[*study.deviations, *arithmetic(options.precision)],
        smoke=options.smoke,
    )
    publish(record, options.out / f"{study.script}.json")
    return 0


def train(training, seed, folder, options):
    """Run or resume one training; its exit status. A finished one is taken as it is.

    Raises:
        SystemExit: one of other flags is finished there.
    """
    file = folder / "record.json"
    flags = shlex.split(training.flags)
    if options.smoke:  # it is as short as the script's own
        pairs = zip(["", *flags], [*flags, ""], strict=True)
        flags = [now for last, now in pairs if now and not {last, now} & {"--steps", "--epochs"}]
    flags += ["--precision", options.precision] if options.precision != "float32" else []
    module, words = f"reproductions.{training.script}", [*flags, "--seed", str(seed), "--out", str(folder)]
    words += ["--smoke"] if options.smoke else []
    if finished(folder):
        made, wanted = json.loads(file.read_text())["command"], command(module, words)
        if made != wanted:
            raise SystemExit(f"error: {folder} has a finished run of `{made}`, not of `{wanted}`; name another --out.")
        return 0
    words += ["--resume"] if file.exists() else []
    if options.data_dir and not options.smoke:
        words += ["--data-dir", options.data_dir]
    return status_of([sys.executable, "-m", module, *words])


def status_of(words):
    """The exit status of a command that is waited for whatever comes: a signal to end is its own to obey, in its time.

    A terminal sends SIGINT to both; SIGTERM is passed on.
    """
    with subprocess.Popen(words) as process:
        passed = {signal.SIGTERM: lambda *_: process.terminate(), signal.SIGINT: lambda *_: None}
        before = {number: signal.signal(number, handler) for number, handler in passed.items()}
        try:
            while process.poll() is None:  # not wait(): a signal that another thread takes does not wake it
                time.sleep(0.1)
            return process.returncode
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def finished(folder):
    file = folder / "record.json"
    return file.exists() and "finished" in json.loads(file.read_text())


def summary(name, folder, study, options):
    """What the study keeps of a run's record."""
    record = json.loads((folder / "record.json").read_text())
    kept = ("command", "commit", "seed", "model", "steps", "batch_size", "precision", "deviations", "data", "smoke")
    run = {"name": name, **{key: record[key] for key in (*kept, "versions", "hardware", "finished")}}
    run["sittings"], run["seconds"] = len(record["sittings"]), round(record["training_seconds"])
    run["epochs"] = [
        {
            "step": row["step"],
            **({"training_error": round(100 * (1 - row["accuracy"]), 2)} if "accuracy" in row else {}),
            **{kept: round(row[f"test_{name}"], 2) for name, kept in TESTED.items() if f"test_{name}" in row},
            "loss": round(row["loss"], 4),
        }
        for row in record["epochs"]
    ]
    if study.measure:
        run["measured"] = study.measure(folder, options)
    return run


def of(runs, name):
    """The runs of one training, by seed."""
    return sorted((run for run in runs if run["name"] == name), key=lambda run: run["seed"])


def names(runs):
    return list(dict.fromkeys(run["name"] for run in runs))


def training_error(run):
    """In %, of the last epoch as it was trained: on augmented images, by changing weights."""
    return run["epochs"][-1]["training_error"]


def test_error(run):
    """In %, after the last step."""
    return run["epochs"][-1]["test_error"]


def final(figure):
    """A function from a run to a figure of its last test."""
    return lambda run: run["epochs"][-1][figure]


def band(axes, runs, figure, **look):
    """One line for the mean over the seeds of a figure of each epoch, in a band from the smallest to the largest."""
    curves = [[row[figure] for row in run["epochs"]] for run in runs]
    steps = [row["step"] for row in runs[0]["epochs"]]
    (line,) = axes.plot(steps, [mean(each) for each in zip(*curves, strict=True)], **look)
    low, high = ([extreme(each) for each in zip(*curves, strict=True)] for extreme in (min, max))
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def save(figure, path):
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=110, metadata={"Software": None})
    finally:
        plt.close(figure)
