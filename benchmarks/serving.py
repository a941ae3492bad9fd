"""A worker is a process that builds one thing, and runs it whenever its parent says so: both ends of that."""

import contextlib
import json
import os
import selectors
import signal
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
            # With its children, such as a DataLoader's; no session, so that the kernel ends a stopped one left alone.
            process_group=0,
            env={**os.environ, **MALLOC, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.about = {}  # what it told

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

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
        """Seconds for that many steps. It is stopped before and after: it makes no batches ahead while others run.

        Raises:
            Failed: it has ended.
        """
        self._signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # the answer tells why
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
        self._signal(signal.SIGSTOP)
        return seconds

    def peak_memory(self):
        """The largest resident memory so far, MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024
