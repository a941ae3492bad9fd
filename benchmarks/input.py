"""Input: our pipelines beside torchvision's DataLoader, and the share of a training step spent waiting for them.

    python -m benchmarks.input --peers .venv-bench/bin/python

Each of torchvision's ways (decoding to tensors or by PIL, with two worker processes or none) takes turns with ours.
Results go to benchmarks/results.json.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import results as files
from benchmarks.__main__ import environment, origin
from benchmarks.pictures import jpeg_folder
from benchmarks.rows import INPUT_AIMS, NETWORKS
from benchmarks.serving import Worker
from reproductions.record import write_json

KINDS = {
    "cifar": "CIFAR's: 32 px, padded, cropped, mirrored, batches of 128",
    "alexnet": "AlexNet's: JPEG, shorter side 256, centre 256, random 224, mirrored",
    "inception": "Inception's: JPEG, random 8 to 100 % of the area, to 224, mirrored",
    "simclr": "SimCLR's: two views of 32 px, cropped, mirrored, colours jittered or left out, batches of 128",
}
WAYS = ("tensors, 2 workers", "tensors, 0 workers", "PIL, 2 workers", "PIL, 0 workers")
TRAININGS = {"resnet20": ("cifar", 128), "resnet50": ("resnet", 16), "alexnet": ("alexnet", 16)}
JPEGS = 1024
ROUNDS = 5
TURN = 1.5  # seconds


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.input", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", help="the Python that has torch and torchvision")
    parser.add_argument("--only", choices=[*KINDS, "waiting"], help="one part")
    parser.add_argument("--results", type=Path, default=files.RESULTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        jpeg_folder(Path(folder), JPEGS)
        parts = [*KINDS, *(f"waiting of {network}" for network in TRAININGS)]
        for part in tqdm([each for each in parts if (options.only or "") in each], unit="part"):
            if part in KINDS:
                change = {"input": {part: throughput(part, options.peers, folder)}}
            else:
                change = {"waiting": {part.split()[-1]: waiting(part.split()[-1], folder)}}
            results = files.load(options.results)
            results["environment"] = environment()
            for group, rows in change.items():
                results[group] |= rows
            write_json(options.results, results)
            tqdm.write(f"{part}: {next(iter(change.values()))}")


def race(workers, batch, rounds=ROUNDS):
    """{name: images/s of every round}."""
    for worker in workers.values():
        worker.ready()
    worth = {}
    for name, worker in workers.items():
        batches = 10
        while (seconds := worker.run(batches)) < TURN / 2:  # the first come from buffers filled before
            batches *= 2
        worth[name] = round(batches * TURN / seconds) or 1  # batches a turn
    rates = {name: [] for name in workers}
    for number in range(rounds):
        names = list(workers)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rates[name].append(batch * worth[name] / workers[name].run(worth[name]))
    return rates


def throughput(kind, peers, folder):
    """One kind of input: every way beside ours."""
    small = kind in ("cifar", "simclr")  # images held in memory
    batch = 128 if small else 32
    spec = {"mode": "input", "kind": kind, "batch": batch, "side": 224, "folder": folder}
    with contextlib.ExitStack() as stack:
        start = lambda *arguments, **extra: stack.enter_context(Worker(*arguments, **spec, **extra))
        workers = {"keras_cnns": start(sys.executable, "benchmarks.tensorflow_input")}
        if not small:
            workers["keras_cnns, accurate DCT"] = start(sys.executable, "benchmarks.tensorflow_input", dct="accurate")
        if kind == "inception":
            workers["keras_cnns, decoded whole"] = start(
                sys.executable, "benchmarks.tensorflow_input", candidate="decoded whole"
            )
        if peers:
            if small:
                from keras_cnns.data import digits

                spec["images"] = str(Path(folder) / "cifar.npy")
                np.save(spec["images"], digits("train", channels=3).arrays[0])
            workers |= {way: start(peers, "benchmarks.torch_input", candidate=way) for way in WAYS}
        rates = race(workers, batch)
        measured = {"what": KINDS[kind], "rounds": ROUNDS, **origin("benchmarks.input"), "ways": {}}
        for name, each in rates.items():
            way = measured["ways"][name] = {"images_per_second": files.spread(each)}
            if name in WAYS:
                way["ratio"] = files.spread([our / their for our, their in zip(rates["keras_cnns"], each, strict=True)])
        # The aim is held against the faster number of workers; for JPEG, of those that decode to tensors.
        rivals = [way for way in WAYS if way in rates and (small or way.startswith("tensors"))]
        if rivals:
            measured["best"] = max(rivals, key=lambda way: measured["ways"][way]["images_per_second"][1])
            measured["aim"] = INPUT_AIMS["cifar" if kind == "cifar" else "jpeg"]
    return measured


def waiting(network, folder):
    """One training: its steps on batches of the pipeline beside the same steps on one repeated batch."""
    kind, batch = TRAININGS[network]
    spec = {"mode": "waiting", "network": network, "precision": "float32", "batch": batch, "kind": kind}
    spec |= {"side": NETWORKS[network].side, "folder": folder}
    with contextlib.ExitStack() as stack:
        start = lambda way: stack.enter_context(
            Worker(sys.executable, "benchmarks.tensorflow_input", **spec, candidate=way)
        )
        workers = {way: start(way) for way in ("pipeline", "repeated")}
        for worker in workers.values():
            worker.ready()
        steps = max(2, round(TURN / workers["repeated"].run(1)))
        seconds = {way: [] for way in workers}
        waited = []
        for number in range(ROUNDS):
            for way in sorted(workers, reverse=number % 2 == 1):
                workers[way].run(1)
                before = workers[way].about.get("waiting", 0.0)
                seconds[way].append(workers[way].run(steps))
                if way == "pipeline":
                    waited.append((workers[way].about["waiting"] - before) / seconds[way][-1])
    longer = [a / b - 1 for a, b in zip(seconds["pipeline"], seconds["repeated"], strict=True)]
    return {
        "batch": batch,
        "precision": spec["precision"],
        "rounds": ROUNDS,
        "steps_a_turn": steps,
        **origin("benchmarks.input"),
        "images_per_second": files.spread([batch * steps / each for each in seconds["pipeline"]]),
        "waiting_share": files.spread(waited),
        "longer_than_repeated": files.spread(longer),
    }


if __name__ == "__main__":
    main()
