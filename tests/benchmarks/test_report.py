"""The arithmetic of the benchmarks, and their report, from figures written by hand."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

import keras_cnns
from benchmarks import results as files
from benchmarks.__main__ import take_turns
from benchmarks.profile import by_kind
from benchmarks.report import section
from benchmarks.rows import FULL, NETWORKS, Row, aim, in_short
from benchmarks.tensorflow_worker import multiply_adds


def test_a_ratio_is_that_of_each_round_and_its_spread_the_quartiles():
    ours, theirs = [1.0, 2.0, 1.0, 1.0, 4.0], [1.0, 4.0, 3.0, 4.0, 20.0]
    assert files.ratios(ours, theirs) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert files.spread([5.0, 1.0, 4.0, 2.0, 3.0]) == [2.0, 3.0, 4.0]
    assert files.spread([1.0, 2.0]) == [1.25, 1.5, 1.75]  # interpolated
    assert files.spread([7.0]) == [7.0, 7.0, 7.0]


def test_the_share_of_peak_counts_two_flop_a_multiply_add_and_three_passes_of_training():
    # 10 images/s of 4e9 multiply-adds: 80 GFLOP/s forward, 240 while training.
    assert files.share_of_peak(10, 4e9, False, 800e9) == pytest.approx(0.1)
    assert files.share_of_peak(10, 4e9, True, 800e9) == pytest.approx(0.3)


def test_multiply_adds_of_resnet20_by_hand():
    """Kernel area x channels in x channels out x places: section 4.2's table, option A without weights."""
    first = 9 * 3 * 16 * 32 * 32
    stages = 6 * 9 * 16 * 16 * 32 * 32
    stages += (9 * 16 * 32 + 5 * 9 * 32 * 32) * 16 * 16 + (9 * 32 * 64 + 5 * 9 * 64 * 64) * 8 * 8
    assert multiply_adds(keras_cnns.resnet_cifar(20)) == first + stages + 64 * 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "billions"), [("vgg16", 15.5), ("resnet50-3x3", 4.1), ("resnet50", 3.8), ("alexnet", 0.72)]
)
def test_multiply_adds_are_those_that_are_printed_of_these_networks(network, billions):
    """ResNet's Table 1 prints 3.8e9; of the form that strides in the 3x3, torchvision's page prints 4.09."""
    builder, arguments = NETWORKS[network].builder, NETWORKS[network].arguments
    assert multiply_adds(getattr(keras_cnns, builder)(**arguments)) / 1e9 == pytest.approx(billions, rel=0.025)


def test_the_aims_of_each_kind_of_row():
    assert aim(Row("resnet50", "training", 16, "float32"), "keras") == 1.4
    assert aim(Row("densenet121", "training", 16, "bfloat16"), "keras") == 2.0
    assert aim(Row("vgg16", "training", 16, "bfloat16"), "keras") == 1.0
    assert aim(Row("vgg16", "training", 16, "float32"), "torchvision") == 1.0
    assert aim(Row("resnet50-3x3", "inference", 1, "float32"), "torchvision") == 1.2
    assert aim(Row("densenet121", "inference", 16, "bfloat16"), "torchvision") == 1.5
    assert aim(Row("densenet121", "inference", 16, "bfloat16"), "keras") is None
    assert aim(Row("vgg16", "inference", 16, "float32"), "torchvision") is None


def test_every_row_is_there_once_and_the_short_selection_has_all_trainings():
    assert len({row.key for row in FULL}) == len(FULL) == 2 * (6 * 3 + 4)
    short = [row for row in FULL if in_short(row)]
    assert sum(row.mode == "training" for row in short) == 20
    assert {row.batch for row in short} == {1, 4, 16, 128}


def test_everyone_takes_turns_one_after_the_other_and_each_begins_a_round():
    order = []

    def player(name, seconds):
        return SimpleNamespace(run=lambda steps: order.append((name, steps)) or seconds)

    turns = take_turns({"a": player("a", 1.0), "b": player("b", 2.0)}, steps=3, budget=0.0, least=4)
    assert order[:2] == [("a", 1), ("b", 1)]  # warming up
    assert order[2:] == [(name, 3) for name in "abbaabba"]
    assert turns == {"a": [1.0] * 4, "b": [2.0] * 4}
    assert len(take_turns({"a": player("a", 1.0)}, steps=1, budget=1e9, most=6)["a"]) == 6


def library(rate, **more):
    return {
        "setting": "eager",
        "tried": {"eager": rate},
        "images_per_second": [rate] * 3,
        "peak_memory_mib": 1234,
        **more,
    }


def results(ratio):
    """Results of one row, by hand."""
    row = Row("resnet50-3x3", "training", 16, "bfloat16")
    peer = library(10.0, ratio=[ratio - 0.1, ratio, ratio + 0.1], aim=1.0)
    peer["tried"] = {"eager": 10.0, "compiled": "failed: no compiler"}
    measured = {
        "versions": {"torch": "2.14.1"},
        "share_of_peak": 0.125,
        "libraries": {"keras_cnns": library(12.34)},
    }
    measured["libraries"]["torchvision"] = peer
    origin = {"date": "2026-01-02T03:04:05", "command": "python -m benchmarks", "commit": 4 * "0123456789"}
    environment = {"processor": "a processor", "cores": 2, "memory_gib": 16.0}
    way = {"images_per_second": [1.0, 5000.0, 9000.0]}
    ways = {"keras_cnns": way, "PIL, 0 workers": {**way, "ratio": [7.0, 7.5, 8.0]}}
    cifar = origin | {"what": "CIFAR's", "ways": ways, "best": "PIL, 0 workers", "aim": 7.0}
    waiting = {"batch": 16, "precision": "float32", "images_per_second": [1, 50, 60]}
    waiting |= {"waiting_share": [0.0, 0.004, 0.01], "longer_than_repeated": [0.01, 0.02, 0.03]}
    peak = {"bfloat16": {"tensorflow": 1e12, "torch": 1.5e12}}
    groups = {"rows": {row.key: origin | measured}, "input": {"cifar": cifar}, "waiting": {"alexnet": waiting}}
    return {"environment": environment, "peak": peak, **groups}


def test_the_section_says_what_was_measured_and_whether_the_aims_are_met(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results(ratio=1.25)))
    text = section(tmp_path / "one.png", file, tmp_path)
    for line in (
        "| resnet50-3x3 | training | 16 | bfloat16 | 12.3 | 12 % | 1,234 |  |  |  | 10 | 1.25 (1.15 to 1.35) | 1,234 |",
        "| resnet50-3x3 training 16 bfloat16 / torchvision | 1 | 1.25 (1.15 to 1.35) | met |",
        "| input, cifar / torchvision, PIL, 0 workers | 7 | 7.50 (7.00 to 8.00) | met |",
        "| CIFAR's | keras_cnns | 5,000 |  |",
        "| alexnet, batch 16, float32 | 50 | 0.4 % | 2.0 % |",
        "- resnet50-3x3: stride in the 3x3.",
        "torchvision: eager was chosen (10 images/s; compiled failed: no compiler).",
        "bfloat16 1,500 GFLOP/s (tensorflow 1,000, torch 1,500)",
        "Measured 2026-01-02 by `python -m benchmarks` at commit 0123456789, 1 rows. a processor, 2 cores, 16 GiB",
        "16 GiB; torch 2.14.1",
    ):
        assert line in text, line
    assert "Where the time goes" not in text
    assert section(tmp_path / "two.png", file, tmp_path) == text
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_missed_aim_is_shown_with_its_profile(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results(ratio=0.99)))
    text = section(None, file, tmp_path)
    assert "0.99 (0.89 to 1.09) | missed |" in text
    assert "not profiled; `python -m benchmarks.profile resnet50-3x3 --mode training --batch 16" in text
    profile = {"shares": {"Conv2D": 0.6, "Relu": 0.391, "Cast": 0.009}}
    (tmp_path / "resnet50-3x3-training-16-bfloat16.json").write_text(json.dumps(profile))
    text = section(None, file, tmp_path)
    assert "(missed beside torchvision): Conv2D 60 %, Relu 39 %." in text


def test_without_results_the_report_says_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="`make bench` writes it"):
        section(None, tmp_path / "none.json")


@pytest.mark.slow
def test_a_profile_finds_the_operation_that_takes_the_time(tmp_path):
    matrix = tf.ones((1500, 1500))
    product = tf.function(lambda: tf.nn.relu(tf.matmul(matrix + tf.random.uniform(()), matrix)))
    product()
    tf.profiler.experimental.start(str(tmp_path))
    for _ in range(5):
        product()
    tf.profiler.experimental.stop()
    seconds = by_kind(next(tmp_path.rglob("*.xplane.pb")).read_bytes())
    kinds = [kind for kind, _ in seconds.most_common()]
    assert "MatMul" in kinds[0]
    assert 0 < seconds.total() < 60
