"""Memory and time of a training step against batch size and depth: CIFAR ResNets, kept, accumulated and recomputed.

    python -m benchmarks.memory

Every row in a process of its own, on the CPU; what benchmarks/memory.json has already is not measured again.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from tqdm import tqdm

from benchmarks import results as files
from benchmarks.__main__ import environment, origin
from reproductions.record import versions, write_json

RESULTS = Path(__file__).parent / "memory.json"
GIB = 2**30
LIMIT = 18  # GiB a process may take, so that a machine of 24 does not begin to swap
PARTS = 4  # micro-batches


@dataclass(frozen=True)
class Row:
    depth: int
    batch: int
    precision: str = "float32"
    accumulate: int = 1
    recompute: bool = False

    @property
    def key(self):
        return f"ResNet-{self.depth}, batch {self.batch}, {self.precision}, {self.way}"

    @property
    def way(self):
        """How the step is done, in words."""
        ways = [f"{self.accumulate} micro-batches"] * (self.accumulate > 1) + ["recomputed"] * self.recompute
        return ", ".join(ways) or "all kept"


WAYS = [{"accumulate": parts, "recompute": again} for parts in (1, PARTS) for again in (False, True)]
BATCHES = [Row(20, batch, **way) for batch in (16, 32, 64, 128, 256, 512) for way in WAYS]
DEPTHS = [Row(depth, 128, **way) for depth in (20, 56, 110, 164) for way in WAYS]
# The paper's deepest, at the paper's batch.
DEEPEST = [
    Row(1202, 128, "bfloat16", recompute=True),
    Row(1202, 128, "bfloat16"),
    Row(1202, 128, recompute=True),
    Row(1202, 128, accumulate=PARTS, recompute=True),
]
ROWS = list(dict.fromkeys([*BATCHES, *DEPTHS, *DEEPEST]))


def main(arguments=None):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(measure(Row(**json.loads(options.worker)))))
        return
    for row in tqdm([row for row in ROWS if options.only in row.key], unit="row"):
        if row.key not in load(options.results)["rows"]:
            measured = origin("benchmarks.memory") | in_a_process(row)
            results = load(options.results)
            results["rows"][row.key] = measured
            write_json(options.results, results)
            tqdm.write(f"{row.key}: {measured}")


def load(path=RESULTS):
    """The results so far: {"environment": ..., "rows": {key: ...}}."""
    if Path(path).exists():
        return json.loads(Path(path).read_text())
    return {"environment": {**environment(), "versions": versions()}, "rows": {}}


def in_a_process(row):
    """What `measure` returns, from a process of its own; or {"failed": why}."""
    command = [sys.executable, "-m", "benchmarks.memory", "--worker", json.dumps(asdict(row))]
    settings = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if "bad_alloc" in done.stderr or "OOM" in done.stderr or "allocate" in done.stderr:
        return {"failed": f"takes more than {LIMIT} GiB"}
    raise RuntimeError(f"{row.key}: status {done.returncode}\n{done.stderr[-2000:]}")


def measure(row):
    """Peak memory and times of a few training steps, in this process."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT * GIB, LIMIT * GIB))
    import keras
    import tensorflow as tf

    from keras_cnns import resnet_cifar
    from keras_cnns.training import JIT_COMPILE, SGD, small_memory_step
    from reproductions.run import PRECISIONS

    times, start = {}, time.perf_counter()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(PRECISIONS[row.precision])
    model = resnet_cifar(row.depth)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGD(0.001, l2=1e-4), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
    batch = tf.random.normal((row.batch, *model.input_shape[1:])), tf.zeros(row.batch, tf.int64)
    model._symbolic_build(data_batch=batch)
    train_step = model.train_step
    if row.accumulate > 1 or row.recompute:
        train_step = small_memory_step(model, row.accumulate, row.recompute)
    times["build_seconds"], start = time.perf_counter() - start, time.perf_counter()
    step = tf.function(lambda: train_step(batch)["loss"]).get_concrete_function()
    times["trace_seconds"], start = time.perf_counter() - start, time.perf_counter()
    before = resident("VmRSS")
    first = float(step())  # TensorFlow optimizes the graph here
    times["first_step_seconds"] = time.perf_counter() - start
    seconds = []
    while len(seconds) < 3 or (sum(seconds) < 5 and len(seconds) < 20):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    times["step_seconds"] = statistics.median(seconds)
    memory = {"before_gib": before / GIB, "peak_gib": resident("VmHWM") / GIB}
    figures = {name: float(f"{value:.4g}") for name, value in (memory | times).items()}
    return figures | {"steps": len(seconds), "parameters": model.count_params(), "first_loss": round(first, 4)}


def resident(field):
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def section(picture=None, results=RESULTS):
    """The Markdown text, always the same for the same results; the plot is written to `picture` where that is given.

    Raises:
        FileNotFoundError: there are no results yet.
    """
    if not Path(results).exists():
        raise FileNotFoundError(f"{results} is not there; `python -m benchmarks.memory` writes it.")
    content = load(results)
    rows = [(row, content["rows"][row.key]) for row in ROWS if row.key in content["rows"]]
    if picture:
        draw(dict(rows), picture)
    here = content["environment"]
    libraries = ", ".join(f"{name} {here['versions'][name]}" for name in ("tensorflow", "keras"))
    lines = [
        f"{files.origins(figures for _, figures in rows)}. {here['processor']}, {here['cores']} cores, "
        f"{here['memory_gib']:g} GiB; {libraries}. Training steps of CIFAR "
        f"ResNets, each row in a process of its own. *Peak* is the most that was resident; *for steps*, what the steps "
        "added to the process that had built and traced them. *To first step*: building, tracing and the first step, "
        "in which TensorFlow optimizes the graph.",
        "",
        "| network | batch | arithmetic | activations | peak, GiB | for steps, GiB | images/s | s a step "
        "| to first step, s |",
        "|---|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    for row, figures in rows:
        start = f"| ResNet-{row.depth} | {row.batch} | {row.precision} | {row.way} "
        if "failed" in figures:
            lines.append(f"{start}| {figures['failed']} | | | | |")
            continue
        preparation = sum(figures[f"{name}_seconds"] for name in ("build", "trace", "first_step"))
        lines.append(
            f"{start}| {figures['peak_gib']:.2f} | {figures['peak_gib'] - figures['before_gib']:.2f} "
            f"| {row.batch / figures['step_seconds']:.1f} | {figures['step_seconds']:.2f} | {preparation:.0f} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows, picture):
    """Peak memory above, time an image below; against batch size on the left, against depth on the right."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex="col", layout="constrained")
    deep = [*DEPTHS, *(row for row in DEEPEST if row.precision == "float32")]
    for column, (kind, name) in enumerate(((BATCHES, "batch"), (deep, "depth"))):
        for way in dict.fromkeys(row.way for row in BATCHES):
            points = [(row, rows[row]) for row in kind if row.way == way and "peak_gib" in rows.get(row, ())]
            x = [getattr(row, name) for row, _ in points]
            axes[0, column].plot(x, [figures["peak_gib"] for _, figures in points], marker="o", label=way)
            axes[1, column].plot(x, [1000 * each["step_seconds"] / row.batch for row, each in points], marker="o")
        axes[0, column].set(xscale="log", ylabel="peak memory, GiB", ylim=(0, None))
        ticks = sorted({getattr(row, name) for row in kind})
        axes[1, column].set_xticks(ticks, ticks, fontsize=8)
        axes[1, column].minorticks_off()
    axes[0, 0].legend(fontsize=8)
    axes[0, 0].set_title("ResNet-20, float32")
    axes[0, 1].set_title("batch 128, float32")
    axes[1, 0].set(xlabel="images a batch", ylabel="ms an image", ylim=(0, None))
    axes[1, 1].set(xlabel="depth, weighted layers", ylabel="ms an image", yscale="log")
    axes[1, 1].yaxis.set_major_formatter("{x:g}")
    figure.savefig(picture, dpi=110, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
