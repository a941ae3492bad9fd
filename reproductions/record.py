"""The record of a run: what a reader needs to believe it and to repeat it."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import keras
import tensorflow as tf

from keras_cnns.files import reason, whole

# Of a repository's changes those that can change what a run gives: all but the records of other runs.
RECORDS = ("benchmarks/*.json", "reproductions/results", "tests/*.json")
NO_RECORDS = (":/", *(f":(top,exclude){each}" for each in RECORDS))
PATHS = (
    "--out",
    "--data-dir",
    "--peers",
    "--results",
    "--proposals-dir",
    "--classifier",
)  # flags that name a place on this machine


def open_record(run):
    """The record of a run that is resumed, or a new one. Refused: another run's folder, one that cannot be written."""
    file = run.out / "record.json"
    if not file.exists():
        if list(run.out.glob("checkpoints/*.index")):
            raise ValueError(f"{run.out} has checkpoints and no record.json; --out must name another folder.")
        check_writable(run.out)
        return {"arguments": run.arguments(), "sittings": [], "epochs": []}
    if not run.options.resume:
        raise ValueError(f"{run.out} holds a run already; --resume goes on with it, --out names another folder.")
    try:
        record = json.loads(file.read_text())
        if not isinstance(record, dict) or not {"arguments", "sittings", "epochs"} <= record.keys():
            raise ValueError("it is no record of a run")
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); --out must name another folder.") from None
    other = {k: v for k, v in record["arguments"].items() if run.arguments().get(k) != v}
    if other:
        raise ValueError(f"the run in {run.out} was started with {other}; --resume needs the same.")
    if "finished" not in record:
        check_writable(run.out)
    return record


def check_writable(out):
    """Refuse a folder that the run could not write to, before it costs a download or an epoch."""
    try:
        for folder in (out, out / "checkpoints", out / "tensorboard"):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"nothing")
    except OSError as error:
        raise OSError(f"{out} cannot be written to ({reason(error)}); --out must name another folder.") from None


def describe(recipe, run, strategy, record):
    """Fill in what the run is, and add this sitting. A resumed run must still be what it was.

    Raises:
        ValueError: the data, the schedule or the network are no longer those that the run was started with.
    """
    here = {
        "started": now(),
        "command": command(f"reproductions.{run.script}"),
        "commit": git_commit(),
        "versions": versions(),
        "hardware": hardware(strategy),
    }
    what = {
        "script": run.script,
        "smoke": run.smoke,
        "seed": run.seed,
        "data": {
            "train": recipe.train.description,
            "test": recipe.test.description,
            "labels": [] if recipe.encoder else recipe.train.labels,  # of what is kept
        },
        "model": {"name": recipe.model.name, "parameters": recipe.model.count_params()},
        "curve": recipe.curve,
        "batch_size": recipe.batch_size,
        "steps": recipe.steps,
        "precision": run.options.precision,
        "replicas": strategy.num_replicas_in_sync,
        "deviations": deviations(recipe, run),
        "proxy": bool(run.departures),
    }
    for key, value in what.items():
        if record.get(key, value) != value:
            raise ValueError(f"the run in {run.out} was started with {key} {record[key]}; now it would be {value}.")
    first = {} if record["sittings"] else here  # a run is known by its first sitting
    record |= {**first, **what}
    record["sittings"] = [*record["sittings"], here]


def deviations(recipe, run):
    """What departs from the paper: in the recipe, and by the flags."""
    flags = [*run.departures, *arithmetic(run.options.precision)]
    parts = run.options.accumulate
    layers = recipe.model._flatten_layers()
    if parts > 1 and any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers):
        flags.append(f"batch statistics of micro-batches, {parts} a step, whose gradients are accumulated")
    return [*recipe.deviations, *flags]


def arithmetic(precision):
    """The deviation of another precision than float32, in a list, which is empty otherwise."""
    return [f"{precision} arithmetic, float32 weights"] * (precision != "float32")


def decide(recipe, record, figures):
    """Every claim beside its figure. A run on other data, or shorter than the recipe, decides nothing."""
    undecided = "smoke run" if record["smoke"] else "proxy" if record["proxy"] else None
    record["claims"] = []
    for claim in recipe.claims:
        ours = figures[claim.metric]
        row = {
            "id": claim.id,
            "statement": claim.statement,
            "metric": claim.metric,
            "rule": claim.rule,
        }
        verdict = f"not decided ({undecided})" if undecided else claim.verdict(ours)
        record["claims"].append({**row, "paper": claim.paper, "ours": ours, "verdict": verdict})


def versions():
    libraries = ("tensorflow", "keras", "numpy", "tensorflow-datasets")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}


def processor():
    """The processor's name."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(strategy):
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "gpus": [gpu.get("device_name", "unknown") for gpu in gpus],
        "replicas": strategy.num_replicas_in_sync,
    }


def git_commit():
    """The commit of this tree, with a + when it has changes other than records; None outside a repository."""
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not when installed inside another project's tree
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", *NO_RECORDS) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def command(module, arguments=None):
    """How this program was called, for others to repeat: without --resume, and without the paths of this machine.

    arguments: those of another call, in the place of this program's own.
    """
    words, kept = iter(sys.argv[1:] if arguments is None else arguments), []
    for word in words:
        flag, _, value = word.partition("=")
        if flag in PATHS:
            _ = value or next(words, None)
        elif word != "--resume":
            kept.append(Path(word).name if Path(word).is_absolute() else word)
    return " ".join([f"python -m {module}", *kept])


def short(commit):
    """A commit as `git_commit` gives it, shortened; the + stays."""
    return commit[:10] + commit[40:] if commit else "unknown"


# What flags that several scripts have say of themselves.
PREPARED = "where TensorFlow Datasets keeps its prepared data"
CAMVID = "CamVid's folder, or the one that it lies in"
BCCD = "BCCD's folder, in the layout of VOC"
BESIDE = "the record to write; the trainings lie beside it, and go on if they are there"
A_MINUTE = "about a minute a training; decides nothing"


def parser_of(script, documentation, out="the record to write"):
    """The flags of a script that makes such a record: --out, which `out` explains; the script adds its own."""
    parser = argparse.ArgumentParser(f"python -m reproductions.{script}", description=documentation)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("runs", f"{script}.json"), help=out)
    return parser


def told(study, options):
    """Run a study, and return its exit status; what is wrong with its input is told in one sentence."""
    try:
        status = study(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status or 0


def measured(script, **contents):
    """The record of what is no single training: who made it, from what, on what, and its contents."""
    return {
        "script": script,
        "command": command(f"reproductions.{script}"),
        "commit": git_commit(),
        "versions": versions(),
        "hardware": hardware(tf.distribute.get_strategy()),
        **contents,
        "finished": now(),
    }


def publish(record, path):
    """Write such a record, and print its claims."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    for claim in record["claims"]:
        print(f"{claim['id']}: {claim['statement']}: {claim['ours']}: {claim['verdict']} ({claim['rule']})")
    print(f"  {path}")


def print_table(record):
    """The paper's figures beside ours."""
    print(f"\n{'claim':<58} {'paper':>8} {'ours':>8}  verdict")
    for claim in record["claims"]:
        paper = "-" if claim["paper"] is None else f"{claim['paper']:.2f}"
        print(f"{claim['statement']:<58} {paper:>8} {claim['ours']:>8.2f}  {claim['verdict']} ({claim['rule']})")
    for deviation in record["deviations"]:
        print(f"deviation: {deviation}")
    print()


def write_json(path, content):
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def now():
    return datetime.now(UTC).isoformat(timespec="seconds")
