"""A worker is a process that builds one thing, and runs it whenever its parent says so: both ends of that."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
# glibc gives large blocks back to the system and asks for them anew at each step, which halves PyTorch's speed.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**33)}


def serve(build):
    """Be a worker: `build(spec)` returns (step, about). Each line on stdin is a number of steps to be run, each line on
    stdout the seconds they took, and `about`, a dict to which the steps may add."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    step, about = build(json.loads(sys.argv[1]))
    step()
    step()
    print(json.dumps([0.0, about]), file=answers, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(json.dumps([time.perf_counter() - start, about]), file=answers, flush=True)


class Failed(Exception):
    """A worker that ended, or was not ready in time."""


class Worker:
    """The parent's end: a process of another Python that waits to be told to run.

    module: whose `serve` it is. spec: what it builds, to be sent as JSON.
    """

    def __init__(self, python, module, **spec):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [python, "-m", module, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **MALLOC, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.about, self.idle = {}, 0.0  # what it told; the largest share of a core that it used while it waited

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ready(self, timeout=None):
        """Wait until it is built and warm.

        Raises:
            Failed: it ended instead, or took longer than `timeout` seconds.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout):
                raise Failed(f"not ready {timeout:.0f} s after the others")
        self._answer()

    def run(self, steps):
        """Seconds for that many steps, alone on the machine."""
        began, used = self._rested
        busy = (self.cpu_seconds() - used) / max(time.monotonic() - began, 1e-9)
        if time.monotonic() - began > 1:  # a shorter rest says nothing, the clock ticks every 10 ms
            self.idle = max(self.idle, busy)
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines()
            raise Failed(lines[-1] if lines else f"ended with status {self.process.returncode}")
        seconds, self.about = json.loads(line)
        self._rested = time.monotonic(), self.cpu_seconds()
        return seconds

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory(self):
        """The largest resident memory so far, MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024
