"""Where the time of a step goes, by kind of operation.

    python -m benchmarks.profile resnet50 --precision bfloat16

Prints the kinds' shares of the operations' time in our training step (or the exported network's with --mode inference),
and writes them to benchmarks/profiles/.
"""

import argparse
import os
import re
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.__main__ import origin
from benchmarks.pictures import patches
from benchmarks.rows import NETWORKS, PRECISIONS
from benchmarks.tensorflow_worker import build
from reproductions.record import write_json

PROFILES = Path(__file__).parent / "profiles"
STEPS = 3
# Kinds that only wait for, or hold, others.
CONTAINERS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "_Recv", "_Send"}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.profile", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--mode", choices=("training", "inference"), default="training")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images.npy")
        np.save(images, patches(options.batch, NETWORKS[options.network].side))
        step, _ = build({**vars(options), "library": "keras_cnns", "images": str(images)})
        step()
        step()
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        seconds = by_kind(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    total = sum(seconds.values())
    shares = {kind: round(each / total, 4) for kind, each in seconds.most_common(15)}
    for kind, share in shares.items():
        print(f"{100 * share:5.1f} %  {kind}")
    PROFILES.mkdir(exist_ok=True)
    name = f"{options.network}-{options.mode}-{options.batch}-{options.precision}.json"
    # Operations of one step may run side by side: the sum is more than the step's time.
    about = {
        **origin("benchmarks.profile"),
        **vars(options),
        "milliseconds_a_step": round(1000 * total / STEPS, 1),
        "shares": shares,
    }
    write_json(PROFILES / name, about)
    print(f"written: {PROFILES / name}")


def by_kind(trace):
    """Seconds of each kind of operation in a trace (XSpace), whose events of operations are named `name:Kind`."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space, seconds = xplane_pb2.XSpace.FromString(trace), Counter()
    for plane in space.planes:
        named = {key: re.fullmatch(r"[^:]+:(\w+)", each.name) for key, each in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            match = named[event.metadata_id]
            if match and match[1] not in CONTAINERS:
                seconds[match[1]] += event.duration_ps / 1e12
    return seconds


if __name__ == "__main__":
    main()
