"""A worker with a thread that never rests."""

import threading

from benchmarks.serving import serve


def build(spec):
    about = {"steps": 0}
    threading.Thread(target=spin, daemon=True).start()
    return lambda: about.update(steps=about["steps"] + 1), about


def spin():
    while True:
        pass


if __name__ == "__main__":
    serve(build)
