"""Training and inference beside keras.applications and torchvision, in one run, turn by turn.

    python -m benchmarks --peers .venv-bench/bin/python            the short selection
    python -m benchmarks --peers .venv-bench/bin/python --full     all rows
    python -m benchmarks --rows 'resnet50.*training'               some of them

Every library works in a process of its own, one at a time, the others stopped: ours, peer, peer, ours, ... Each row is
written to benchmarks/results.json as soon as it is measured. Needs Linux, and 16 GB of memory for VGG-16's rows.
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import results as files
from benchmarks.rows import FULL, NETWORKS, PRECISIONS, aim, in_short
from benchmarks.serving import MALLOC, Failed, Worker
from reproductions.record import command, git_commit, now, processor, write_json

TENSORFLOW, TORCH = "benchmarks.tensorflow_worker", "benchmarks.torch_worker"
MATMUL_SIDE = 4096
PATIENCE = 90  # seconds for a candidate to be ready after the plain ones: XLA and Inductor compile long
TURN = 1.0  # seconds a turn at least


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--peers", help="the Python that has torch and torchvision; without it those columns stay empty")
    add("--full", action="store_true", help="all rows, more rounds, and XLA and PyTorch's compiler too")
    add("--rows", help="only rows whose key matches this, such as 'resnet50 training 16 bfloat16'; XLA too")
    add("--resume", action="store_true", help="leave out rows that the results have of this commit")
    add("--results", type=Path, default=files.RESULTS, help="another machine has its own, benchmarks/results-*.json")
    options = parser.parse_args(arguments)
    rows = [row for row in FULL if options.full or options.rows or in_short(row)]
    rows = [row for row in rows if re.search(options.rows or "", row.key)]
    if not rows:
        parser.error(f"--rows {options.rows!r} matches none of: {'; '.join(row.key for row in FULL)}")

    results = files.load(options.results)
    results["environment"], here = environment(), origin("benchmarks")
    failed = 0
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(rows) + 1, unit="row") as bar:
        bar.set_description("matrix products")
        results["peak"] = {precision: peak(options.peers, precision) for precision in PRECISIONS}
        write_json(options.results, results)
        bar.update()
        for row in rows:
            bar.set_description(row.key)
            done = results["rows"].get(row.key)
            if not (options.resume and done and done["commit"] == here["commit"]):
                try:
                    results["rows"][row.key] = measured = here | measure(row, options, Path(folder), results)
                    write_json(options.results, results)
                    tqdm.write(line(row, measured))
                except Failed as error:
                    failed += 1
                    tqdm.write(f"{row.key}: failed: {error}", file=sys.stderr)
            bar.update()
    print(f"written: {options.results}")
    return int(failed > 0)


def environment():
    """The machine. When and from what a row was measured stands in the row."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "malloc": MALLOC,
    }


def origin(module):
    """When, from what and how something was measured."""
    return {"date": now(), "commit": git_commit(), "command": command(module)}


def peak(peers, precision):
    """FLOP/s of a large matrix product, in each library."""
    kinds = {"tensorflow": (sys.executable, TENSORFLOW)} | ({"torch": (peers, TORCH)} if peers else {})
    figures = {}
    with contextlib.ExitStack() as stack:
        spec = {"mode": "matmul", "side": MATMUL_SIDE, "precision": precision}
        workers = {name: stack.enter_context(Worker(*where, **spec)) for name, where in kinds.items()}
        for worker in workers.values():
            worker.ready()
        for name, worker in workers.items():
            seconds = min(worker.run(5) for _ in range(5))
            figures[name] = float(f"{5 * 2 * MATMUL_SIDE**3 / seconds:.4g}")
    return figures


def candidates(row, options, folder):
    """{library: {setting: Worker}}, all starting at once."""
    network, workers = NETWORKS[row.network], {}

    def start(python, module, library, setting, side):
        images = folder / f"{row.batch}x{side}.npy"
        if not images.exists():
            from benchmarks.pictures import patches

            np.save(images, patches(row.batch, side))
        spec = {**row._asdict(), "library": library, "candidate": setting, "images": str(images)}
        workers.setdefault(library, {})[setting] = Worker(python, module, **spec)

    start(sys.executable, TENSORFLOW, "keras_cnns", "as it is", network.side)
    if network.keras and (row.mode == "training" or options.full or options.rows):
        for setting in ("without XLA", *["XLA"] * (options.full or bool(options.rows))):
            start(sys.executable, TENSORFLOW, "keras", setting, network.side)
    if network.torchvision and options.peers:
        settings = ["eager", *["channels first"] * (row.network == "max-unpooling")]
        if row.mode == "inference":
            settings += ["converted"] * (row.precision == "bfloat16") + ["compiled"] * options.full
        for setting in settings:
            start(options.peers, TORCH, "torchvision", setting, network.torchvision_side)
    return workers


def measure(row, options, folder, results):
    """One row: the best setting of each library is chosen by a turn each, then all take turns."""
    with contextlib.ExitStack() as stack:
        workers = candidates(row, options, folder)
        everyone = [worker for settings in workers.values() for worker in settings.values()]
        for worker in everyone:
            stack.enter_context(worker)
        tried = {}
        plain = [settings[next(iter(settings))] for settings in workers.values()]
        for worker in plain:
            worker.ready()
        deadline = time.monotonic() + PATIENCE
        for library, settings in workers.items():
            for setting, worker in settings.items():
                if worker not in plain:
                    try:
                        worker.ready(max(deadline - time.monotonic(), 0.0))
                    except Failed as error:
                        worker.__exit__()
                        tried.setdefault(library, {})[setting] = f"failed: {error}"
        chosen = {}
        for library, settings in workers.items():
            ready = {setting: worker for setting, worker in settings.items() if worker.about}
            seconds = {setting: worker.run(2) / 2 for setting, worker in ready.items()}
            chosen[library] = best = min(seconds, key=seconds.get)
            figures = {setting: float(f"{row.batch / each:.4g}") for setting, each in seconds.items()}
            tried[library] = figures | tried.get(library, {})
            for setting, worker in ready.items():
                if setting != best:
                    worker.__exit__()
            if library == "keras_cnns":
                steps = max(1, round(TURN / seconds[best]))

        racing = {library: workers[library][setting] for library, setting in chosen.items()}
        turns = take_turns(racing, steps, budget=90 if options.full else 15)
        rates = {name: [row.batch * steps / each for each in seconds] for name, seconds in turns.items()}
        own = racing["keras_cnns"].about
        measured = {
            **row._asdict(),
            "rounds": len(turns["keras_cnns"]),
            "steps_a_turn": steps,
            "versions": {name: v for worker in racing.values() for name, v in worker.about["versions"].items()},
            "libraries": {
                name: {
                    "setting": chosen[name],
                    "tried": tried[name],
                    "threads": worker.about["threads"],
                    "images_per_second": files.spread(rates[name]),
                    "peak_memory_mib": worker.peak_memory(),
                }
                for name, worker in racing.items()
            },
        }
        for name, library in measured["libraries"].items():
            if name != "keras_cnns":
                library["ratio"] = files.spread(files.ratios(turns["keras_cnns"], turns[name]))
                library["aim"] = aim(row, name)
        rate, best = (
            measured["libraries"]["keras_cnns"]["images_per_second"][1],
            max(results["peak"][row.precision].values()),
        )
        share = files.share_of_peak(rate, own["multiply_adds"], row.mode == "training", best)
        measured |= {"multiply_adds": own["multiply_adds"], "share_of_peak": float(f"{share:.3g}")}
        return measured


def take_turns(racing, steps, budget, least=5, most=15):
    """Seconds of every turn, by name: round by round, each round beginning with another, for about `budget` seconds."""
    turns, names = {name: [] for name in racing}, list(racing)
    for worker in racing.values():  # what the others displaced from the caches
        worker.run(1)
    start = time.monotonic()
    while len(turns[names[0]]) < most:
        done = len(turns[names[0]])
        if done >= least and (time.monotonic() - start) * (done + 1) / done > budget:
            break
        first = done % len(names)
        for name in names[first:] + names[:first]:
            turns[name].append(racing[name].run(steps))
    return turns


def line(row, measured):
    """What is told of a row as soon as it is measured."""
    told = [f"{row.key}: {measured['libraries']['keras_cnns']['images_per_second'][1]:g} images/s"]
    for name, library in measured["libraries"].items():
        if "ratio" in library:
            low, middle, high = library["ratio"]
            told.append(f"{middle:.2f} ({low:.2f} to {high:.2f}) x {name}, {library['setting']}")
    return "; ".join(told)


if __name__ == "__main__":
    sys.exit(main())
