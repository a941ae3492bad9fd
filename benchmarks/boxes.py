"""The box operations beside torchvision's, on the same boxes.

    python -m benchmarks.boxes --peers .venv-bench/bin/python

Each library works in a process of its own, one at a time, turn by turn. Every operation is written to
benchmarks/boxes.json as soon as it is measured.
"""

import argparse
import contextlib
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import results as files
from benchmarks.__main__ import TURN, environment, origin, take_turns
from benchmarks.serving import Worker
from reproductions.record import write_json

RESULTS = Path(__file__).parent / "boxes.json"
# An image's height and width, and its last map: Fast R-CNN's with VGG-16; a square one for RoIAlign.
POOLED = (600, 1000), (38, 63, 512)
ALIGNED = (800, 800), (50, 50, 256)
# What is measured, the boxes it takes, and the least ratio of torchvision's time to ours asked for, if any.
OPERATIONS = {
    "iou": ("IoU of 2,000 boxes with 2,000", 2000, 1.0),
    "nms": ("NMS at 0.7 of 6,000 boxes", 6000, 1.0),
    "nms_300": ("NMS at 0.7, the best 300 of 6,000 boxes", 6000, 50.0),
    **{
        f"nms{most}_of_{number}": (f"NMS at 0.7{words} {number:,} boxes", number, 1.0)
        for most, words, numbers in (
            ("", " of", (2000, 12_000, 20_000)),
            ("_300", ", the best 300 of", (2000, 12_000, 20_000)),
            ("_2000", ", the best 2,000 of", (12_000, 20_000)),  # as in the training of proposals
        )
        for number in numbers
    },
    "roi_pool": ("RoI pooling, 300 boxes to 7x7", 300, 2.5),
    "roi_pool_gradient": ("RoI pooling with its gradient, 300 boxes to 7x7", 300, None),
    **{
        f"roi_align_{size}{kind}_{number}": (f"RoIAlign{words}, {number:,} boxes to {size}x{size}", number, 1.0)
        for kind, words in (("", ""), ("_gradient", " with its gradient"))
        for number in (300, 1000)
        for size in (7, 14)
    },
}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.boxes", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--peers", required=True, help="the Python that has torch and torchvision")
    add("--only", choices=tuple(OPERATIONS), help="one operation")
    add("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for operation in tqdm([options.only] if options.only else OPERATIONS, unit="operation"):
            measured = measure(operation, options.peers, Path(folder))
            results = load(options.results)
            results["environment"] = environment()
            results["operations"][operation] = measured
            write_json(options.results, results)
            tqdm.write(f"{operation}: {measured}")
    print(section(options.results))


def load(path=RESULTS):
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else {"operations": {}}


def measure(operation, peers, folder):
    """Milliseconds of both, and how many times as fast ours is."""
    what, number, aim = OPERATIONS[operation]
    inputs = folder / f"{operation}.npz"
    np.savez(inputs, **random_inputs(number, *(ALIGNED if "align" in operation else POOLED)))
    spec = {"operation": operation, "inputs": str(inputs)}
    with contextlib.ExitStack() as stack:
        workers = {
            "keras_cnns": stack.enter_context(Worker(sys.executable, "benchmarks.tensorflow_boxes", **spec)),
            "torchvision": stack.enter_context(Worker(peers, "benchmarks.torch_boxes", **spec)),
        }
        for worker in workers.values():
            worker.ready()
        steps = max(1, round(TURN / max(worker.run(3) / 3 for worker in workers.values())))
        turns = take_turns(workers, steps, budget=30)
        about = [worker.about for worker in workers.values()]
    tolerance = 1e-5 if "align" in operation else 0.0  # means are rounded, maxima are not
    if not math.isclose(about[0]["result"], about[1]["result"], rel_tol=tolerance):
        raise SystemExit(f"{operation}: the results differ: {about[0]['result']} and {about[1]['result']}.")
    return {
        "what": what,
        "rounds": len(turns["keras_cnns"]),
        "steps_a_turn": steps,
        **origin("benchmarks.boxes"),
        "versions": {name: version for each in about for name, version in each["versions"].items()},
        "milliseconds": {name: files.spread([1e3 * t / steps for t in each]) for name, each in turns.items()},
        "ratio": files.spread(files.ratios(turns["keras_cnns"], turns["torchvision"])),
        "aim": aim,
    }


def random_inputs(number, image, map_size, seed=0):
    """Boxes of 16 to 512 pixels a side all over the image, each size as likely as twice it; scores; a map."""
    random = np.random.default_rng(seed)

    def boxes():
        height, width = image
        centres = random.uniform(0, 1, (number, 2)) * (width, height)
        sides = 2 ** random.uniform(4, 9, (number, 2))
        corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        return np.clip(corners, 0, (width, height, width, height)).astype("float32")

    inputs = {"boxes": boxes(), "others": boxes(), "scores": random.permutation(number).astype("float32")}
    return inputs | {"map": random.normal(size=map_size).astype("float32")}


def section(results=RESULTS):
    """The Markdown table, always the same for the same results."""
    measured = load(results)["operations"]
    lines = [f"{files.origins(measured.values())}:", ""]
    lines += ["| operation | ours, ms | torchvision, ms | ratio | aim | |", "|---|---|---|---|---|---|"]
    for operation in OPERATIONS:
        if operation in measured:
            each = measured[operation]
            low, middle, high = each["ratio"]
            times = [f"{each['milliseconds'][name][1]:.3g}" for name in ("keras_cnns", "torchvision")]
            aim = (
                ["", ""] if each["aim"] is None else [f"{each['aim']:g}", "met" if middle >= each["aim"] else "missed"]
            )
            lines.append(
                "| " + " | ".join([each["what"], *times, f"{middle:.3g} ({low:.3g} to {high:.3g})", *aim]) + " |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
