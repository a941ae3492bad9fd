"""Which strategy the environment asks for, and batch statistics over all replicas of one."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.layers import BatchNormalization
from keras_cnns.training import agree, is_chief, mirrored, strategy_here, workers
from keras_cnns.training.strategy import cluster

TWO = {"worker": ["a:1", "b:1"]}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


def tf_config(monkeypatch, jobs, kind, index):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}}))


def test_without_a_cluster_it_is_this_machine(monkeypatch):
    assert cluster() is None
    assert strategy_here(1) is mirrored(1)
    tf_config(monkeypatch, {"worker": ["a:1"]}, "worker", 0)  # what Kubeflow sets for one replica
    assert cluster() is None
    assert workers(mirrored(1)) == 1 and is_chief(mirrored(1)) and agree(mirrored(1), [3]) == [3]


@pytest.mark.parametrize(
    ("jobs", "kind", "index"),
    [(TWO, "worker", 1), ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0)],
    ids=["workers", "chief"],
)
def test_kubeflow(monkeypatch, jobs, kind, index):
    tf_config(monkeypatch, jobs, kind, index)
    resolver = cluster()
    assert resolver.cluster_spec().as_dict() == jobs
    assert (resolver.task_type, resolver.task_id) == (kind, index)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "TF_CONFIG cannot be read"),
        ("[]", "TF_CONFIG cannot be read"),
        (json.dumps({"cluster": TWO}), r"TF_CONFIG cannot be read \(KeyError\('index'\)\)"),
        (json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 2}}), "only chief and worker are served"),
        (
            json.dumps({"cluster": {**TWO, "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}),
            r"jobs \['ps', 'worker'\] and task .*; only chief and worker are served",
        ),
    ],
)
def test_a_cluster_described_wrongly_is_refused(monkeypatch, text, sentence):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=sentence):
        strategy_here()


def test_slurm(monkeypatch):
    """Two tasks a node, on nodes that SLURM sorts by number and TensorFlow's resolver as text."""
    step = {"NUM_TASKS": "4", "NODELIST": "n[9-10]", "TASKS_PER_NODE": "2(x2)"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_JOB_ID", "20007")
    addresses = []
    for task, (node, local) in enumerate([("n9", 0), ("n9", 1), ("n10", 0), ("n10", 1)]):
        monkeypatch.setenv("SLURM_PROCID", str(task))
        monkeypatch.setenv("SLURMD_NODENAME", node)
        monkeypatch.setenv("SLURM_LOCALID", str(local))
        resolver = cluster()
        assert resolver.cluster_spec().num_tasks("worker") == 4
        addresses.append(resolver.cluster_spec().task_address("worker", resolver.task_id))
    assert addresses == ["n9:12007", "n9:12008", "n10:12007", "n10:12008"]
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert cluster() is None


@pytest.mark.parametrize("node", [None, "n3"])
def test_a_task_that_is_not_in_its_slurm_step_is_refused(monkeypatch, node):
    for name, value in {"NUM_TASKS": "2", "NODELIST": "n[1-2]", "TASKS_PER_NODE": "1(x2)"}.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURMD_NODENAME", node) if node else monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    with pytest.raises(ValueError, match=rf"make this task {node}:12007; SLURM's step has \['n1:12007', 'n2:12007'\]"):
        cluster()


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_synchronised_statistics_are_those_of_the_whole_batch(two_replicas, precision):
    x = np.float32(3 + 2 * np.random.default_rng(0).normal(size=(8, 5, 6, 7)))
    x[4:] += 5  # the replicas' own statistics differ
    x = np.asarray(tf.cast(tf.cast(x, tf.bfloat16), tf.float64))  # exact in both precisions
    upstream = np.float32(np.random.default_rng(1).normal(size=x.shape))
    with two_replicas.scope():
        layer = BatchNormalization(momentum=0.5, epsilon=1e-3, synchronized=True, dtype=precision)
        layer.build(x.shape)

    def forward_and_backward(part, upstream):
        with tf.GradientTape() as tape:
            tape.watch(part)
            y = layer(part, training=True)
        return y, tape.gradient(y, part, tf.cast(upstream, y.dtype))

    compute = layer.compute_dtype
    whole = tf.data.Dataset.from_tensors((tf.cast(x, compute), upstream)).unbatch().batch(8)
    batch = next(iter(two_replicas.experimental_distribute_dataset(whole)))
    results = tf.function(lambda batch: two_replicas.run(forward_and_backward, args=batch))(batch)
    parts = [two_replicas.experimental_local_results(each) for each in results]
    y, dx = (np.concatenate([np.float64(part) for part in each]) for each in parts)

    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + 1e-3)
    average = lambda each: each.mean((0, 1, 2))
    gradient = (upstream - average(upstream) - normal * average(upstream * normal)) / np.sqrt(variance + 1e-3)
    tolerance = {"float32": 1e-5, "bfloat16": 2e-2}[compute]  # bfloat16 has 8 bits
    np.testing.assert_allclose(y, normal, atol=tolerance)
    np.testing.assert_allclose(dx, gradient, atol=tolerance)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.5 + 0.5 * variance, rtol=1e-5)
