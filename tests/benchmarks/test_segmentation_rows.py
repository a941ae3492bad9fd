"""What is measured of the networks that label pixels: that it is in `make bench`, runs, and is the same in PyTorch."""

import numpy as np
import pytest

from benchmarks import tensorflow_worker
from benchmarks.rows import FULL, TRAINED_ALONE, Row, in_short


def test_make_bench_has_them():
    short = {row.key for row in FULL if in_short(row)}
    for key in ("segnet-basic training 4", "fcn8s training 1", "max-unpooling training 4"):
        assert {f"{key} float32", f"{key} bfloat16"} <= short


@pytest.mark.slow
@pytest.mark.parametrize("network", ["segnet-basic", "max-unpooling"])  # FCN-8s takes 2 GB and no other path
def test_a_step_runs(network, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((1, 224, 224, 3), "uint8"))
    row = Row(network, "training", 1, "float32")
    spec = {**row._asdict(), "library": "keras_cnns", "candidate": "as it is", "images": str(tmp_path / "images.npy")}
    step, about = tensorflow_worker.build(spec)
    step()
    assert network in TRAINED_ALONE
    # By hand, a pixel: norm's none, 7x7x3x64, three of 7x7x64x64 at a quarter of the pixels each time, their mirror
    # images, and 64x11: 50,176 pixels.
    wide = 49 * 64 * 64
    encoder = 49 * 3 * 64 + wide * (1 / 4 + 1 / 16 + 1 / 64)
    decoder = wide * (1 + 1 / 4 + 1 / 16 + 1 / 64)
    expected = 50_176 * (encoder + decoder + 64 * 11)
    assert about["multiply_adds"] == (expected if network == "segnet-basic" else 0)


def test_the_networks_in_pytorch_have_as_many_parameters():
    pytest.importorskip("torchvision")
    from benchmarks.torch_networks import NETWORKS

    for name, count in (("segnet_basic", 1_416_587), ("fcn8s", 134_489_759)):
        assert sum(each.numel() for each in NETWORKS[name]().parameters()) == count
