"""Which devices a run uses, and how."""

import contextlib
import functools
import json
import os
from collections.abc import Sequence

import tensorflow as tf

# XLA halves the training speed of these networks on CPU, and Keras's "auto" would switch it on with one GPU.
JIT_COMPILE = False


def strategy_here(replicas: int | None = None) -> tf.distribute.Strategy:
    """The strategy of this machine, `mirrored(replicas)`; or of the cluster that the environment describes.

    A cluster is TF_CONFIG with more than one worker (as Kubeflow sets it), or a SLURM step of more than one task. Each
    process then waits until all are there. A cluster has as many replicas as its workers have GPUs, or one a worker.

    Raises:
        ValueError: as `mirrored`; or a cluster that is described wrongly, that has no such number of `replicas`, or
            whose workers have not all come.
    """
    resolver = cluster()
    return clustered(resolver, replicas) if resolver else mirrored(replicas)


def mirrored(replicas: int | None = None) -> tf.distribute.Strategy:
    """A `MirroredStrategy` over the visible GPUs, or over the CPU where there is none.

    replicas: number of replicas; all GPUs, or one CPU, by default. More than one on a CPU divides it into as many
        logical devices, which must happen before TensorFlow has run anything.

    Raises:
        ValueError: fewer GPUs than `replicas`, or a CPU that TensorFlow has already begun to use.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and replicas and replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        with contextlib.suppress(RuntimeError):  # already in use: as it was divided then
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    replicas = replicas or (len(devices) if kind == "GPU" else 1)
    if not 1 <= replicas <= len(devices):
        raise ValueError(f"replicas is {replicas}; there are {len(devices)} {kind} devices.")
    return strategy_over(tuple(devices[:replicas]))


@functools.cache
def strategy_over(devices):
    """One strategy for the same devices: the collective operations of two would be taken for one another."""
    return tf.distribute.MirroredStrategy(devices)


def clustered(resolver, replicas=None):
    """A `MultiWorkerMirroredStrategy` over the processes of a cluster, this one of them."""
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(f"the workers of the cluster have not come together: {why}") from error
    count = strategy.num_replicas_in_sync
    if replicas not in (None, count):
        raise ValueError(f"replicas is {replicas}; the {workers(strategy)} workers of the cluster have {count}.")
    return strategy


def cluster():
    """The resolver of the cluster that the environment describes, or None."""
    if os.environ.get("TF_CONFIG"):
        try:
            described = json.loads(os.environ["TF_CONFIG"])
            jobs, task = described.get("cluster", {}), described.get("task", {})
            processes = {name: len(jobs.get(name, ())) for name in ("chief", "worker")}
            if sum(processes.values()) < 2:
                return None
            known = task["index"] in range(processes[task["type"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"TF_CONFIG cannot be read ({error!r}); it is {os.environ['TF_CONFIG']!r}.") from None
        if set(jobs) - set(processes) or not known:
            raise ValueError(f"TF_CONFIG has jobs {sorted(jobs)} and task {task}; only chief and worker are served.")
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return slurm()
    return None


def slurm():
    """The resolver of a SLURM step: its tasks are the workers, each with the GPUs that SLURM lets it see."""
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    port = 12_000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 20_000  # two jobs on a node must not meet
    # The resolver would deal out GPUs itself, and fails where there is none: one imaginary GPU a task, none set.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
    )
    spec = resolver.cluster_spec()
    # It sorts the nodes as text, n10 before n9, unlike SLURM, so that a task's number need not be its place.
    here = f"{os.environ.get('SLURMD_NODENAME')}:{port + int(os.environ.get('SLURM_LOCALID', 0))}"
    tasks = spec.job_tasks("worker")
    if here not in tasks:
        raise ValueError(f"SLURMD_NODENAME and SLURM_LOCALID make this task {here}; SLURM's step has {tasks}.")
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type="worker", task_id=tasks.index(here), rpc_layer="grpc"
    )


def workers(strategy: tf.distribute.Strategy) -> int:
    """The number of processes that share the work of a strategy."""
    return getattr(strategy.extended, "_num_workers", 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this is the process that writes and prints: the only one, or the first of a cluster."""
    return workers(strategy) == 1 or strategy.extended._is_chief


def agree(strategy: tf.distribute.Strategy, values: Sequence[float]) -> list[float]:
    """The sum over the processes of a few numbers, the same on all: they wait for one another here."""
    if workers(strategy) == 1:
        return list(values)
    here = len(strategy.extended.worker_devices)  # replicas of this process: each says the same
    sums = adding(strategy)(tf.constant(values, tf.float64))
    return [float(each) / here for each in strategy.experimental_local_results(sums)[0]]


@functools.cache
def adding(strategy):
    def add(values):
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))

    return tf.function(lambda values: strategy.run(add, args=(values,)))
