"""Kill a small training again and again, at any moment of its life, and see that it ends as if nothing had happened.

    python -m tests.soak --kills 100

A training is started, killed (SIGKILL) at a random moment, resumed, killed again, until it ends by itself; its weights,
statistics, momenta, dropout seeds, figures and exported probabilities must be those of an undisturbed one, to the bit.
Then another training is begun, until there were so many kills. Moments are spread evenly over the life of an
undisturbed process, start and export included. About a quarter of an hour on two CPU cores.
"""

import argparse
import collections
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.data import digits
from reproductions.record import git_commit, hardware, now, versions, write_json
from tests.reproductions.test_resume import ROOT, epochs, final_state

STEPS = 160
COMMAND = [sys.executable, "-m", "tests.reproductions.small_recipe", "--checkpoint-steps", "3", "--steps", str(STEPS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, help="of the moments; a random one is printed and recorded")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "soak.json")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(f"seed {seed}")
    random, started = np.random.default_rng(seed), time.monotonic()
    phases, trainings, unreadable = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder, tqdm(total=options.kills, unit=" kills") as bar:
        whole = Path(folder, "whole")
        life = time.monotonic()
        live(whole)
        life = time.monotonic() - life
        expected = everything(whole)
        while phases.total() < options.kills:
            trainings += 1
            run, kills, began = Path(folder, str(trainings)), phases.total(), time.monotonic()
            bar.set_description(f"training {trainings}")
            while phase := live(run, random.uniform(0, life) if phases.total() < options.kills else None):
                phases[phase] += 1
                bar.update()
            if phases.total() == kills:  # the first run may have had a slower machine
                life = min(life, time.monotonic() - began)
            different = differences(expected, everything(run))
            if different:
                raise SystemExit(f"seed {seed}, training {trainings}: not as undisturbed: {', '.join(different)}")
            unreadable += Path(run, "log").read_text().count("cannot be read")
    record = {
        "kills": phases.total(),
        "trainings": trainings,
        "killed_while": dict(phases.most_common()),
        "unreadable_checkpoints": unreadable,
        "arrays_compared": len(expected),
        "different": 0,
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "seconds_of_an_undisturbed_run": round(life, 1),
        "command": " ".join(["python", *COMMAND[1:]]),
        "finished": now(),
        "commit": git_commit(),
        "versions": versions(),
        "hardware": hardware(tf.distribute.get_strategy()),
    }
    write_json(options.out, record)
    print(json.dumps(record, indent=1))


def live(run, seconds=None):
    """Go on with a run until it ends, or is killed after so many seconds; return what it was doing then, or None."""
    run.mkdir(exist_ok=True)
    sittings = count_of_sittings(run)
    with (run / "log").open("a") as log:
        process = subprocess.Popen([*COMMAND, "--out", run, "--resume"], cwd=ROOT, stdout=log, stderr=log)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
            if status < 0:  # not if it ended in between
                return doing(run, sittings)
    if status:
        raise SystemExit(f"exit status {status}:\n{(run / 'log').read_text()[-2000:]}")
    return None


def doing(run, sittings):
    """What a killed process was doing, by what it left."""
    if list(run.glob(".saved_model.part")):
        return "exporting"
    if list(run.rglob("*.part*")):
        return "writing a record, a picture or the model"
    if (run / "checkpoints" / "part").exists():
        return "writing a checkpoint"
    if count_of_sittings(run) == sittings:
        return "starting"
    return "between the files of the end" if "claims" in record(run) else "training or testing"


def record(run):
    file = run / "record.json"
    return json.loads(file.read_text()) if file.exists() else {}


def count_of_sittings(run):
    return len(record(run).get("sittings", []))


def everything(run):
    """All that a run leaves, by name."""
    arrays = final_state(run, STEPS)
    for row in epochs(run):
        arrays |= {f"epoch {row['epoch']}, {name}": value for name, value in row.items()}
    images, _ = digits("test").take(100).arrays
    saved = tf.saved_model.load(str(run / "saved_model"))
    arrays["probabilities"] = saved.signatures["serving_default"](tf.constant(images))["probabilities"].numpy()
    return arrays


def differences(expected, ours):
    """The names of what is not the same to the bit, or is in one of them only."""
    names = expected.keys() | ours.keys()
    return sorted(
        name for name in names if not (name in expected and name in ours and np.array_equal(expected[name], ours[name]))
    )


if __name__ == "__main__":
    main()
