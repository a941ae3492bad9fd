"""Everything the scripts share: flags, devices, data, training with resume, records, pictures, export."""

import contextlib
import inspect
import json
import os
import signal
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from keras_cnns import export
from keras_cnns.files import alone, reason, whole
from keras_cnns.layers import BatchNormalization
from keras_cnns.training import (
    JIT_COMPILE,
    Checkpoints,
    agree,
    averaged_weights,
    is_chief,
    population_statistics,
    small_memory_step,
    strategy_here,
    train,
    workers,
)
from reproductions.pictures import draw_curves
from reproductions.record import decide, describe, now, open_record, print_table, write_json
from reproductions.run import PRECISIONS, Run, parse

# As a shell has it of a program that SIGTERM ended, and what clusters take for "start it again".
PREEMPTED = 128 + signal.SIGTERM
# What a collective operation was seen to raise when a process of the cluster is no longer there. Other errors may come
# again at every start, and must not have the run started again.
LOST = tf.errors.UnavailableError


def main(recipe, arguments=None):
    """Run a script: `recipe(run, **parameters)` returns a `Recipe`; its parameters become flags.

    Returns the exit status: 0; 1 if a claim does not hold; 2 if the run could not be made; 130 after SIGINT; 143 if it
    is to be started again with --resume, after SIGTERM or the loss of another host. A signal during the training is
    raised as SystemExit, of the same status.
    """
    script = Path(inspect.getfile(recipe)).stem
    options, parameters = parse(recipe, script, arguments)
    try:
        return reproduce(recipe, Run(script, options, parameters))
    except KeyboardInterrupt:
        print("interrupted; --resume goes on from the last checkpoint.", file=sys.stderr)
        return 128 + signal.SIGINT
    except LostWorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        return PREEMPTED
    except (ValueError, OSError, FloatingPointError, tf.errors.OpError) as error:
        # TensorFlow wraps what was raised inside a pipeline in words of its own.
        message = error.message.rpartition("ValueError: ")[2] if isinstance(error, tf.errors.OpError) else str(error)
        print("error:", message.partition("\n")[0] or repr(error), file=sys.stderr)
        return 2


class LostWorkerError(Exception):
    """Another process of the cluster has ended before its time."""


def reproduce(recipe_function, run):
    """Train, test, record, draw, export; in a cluster together with its other processes."""
    # First of all: the devices are divided, or the processes of a cluster find one another, before TensorFlow runs.
    strategy = strategy_here(run.options.replicas)
    try:
        with contextlib.ExitStack() as held:
            null = held.enter_context(open(os.devnull, "w"))
            held.enter_context(contextlib.redirect_stdout(sys.stdout if is_chief(strategy) else null))
            return reproduce_under(strategy, recipe_function, run, held)
    except LOST as error:
        if workers(strategy) == 1:
            raise
        why = error.message.rpartition("}} ")[2].partition("\n")[0]
        raise LostWorkerError(
            "another worker of the cluster has ended; started again on all with --resume, the run goes on from the "
            f"last checkpoint ({why})"
        ) from error


def reproduce_under(strategy, recipe_function, run, held):
    chief = is_chief(strategy)
    record = together(strategy, lambda: open_record(run) if chief else None)
    record = together(strategy, lambda: record if chief else read_record(run))
    if "finished" in record:
        print(f"the run in {run.out} is finished; delete the folder to run it anew")
        return show(run, record)
    together(strategy, lambda: held.enter_context(alone(run.out)) if chief else None)
    keras.utils.set_random_seed(run.seed)
    keras.config.set_dtype_policy(PRECISIONS[run.options.precision])
    try:
        with strategy.scope():
            recipe = recipe_function(run, **run.parameters)
            check(recipe, run, strategy)
            if run.options.synchronized:
                synchronize(recipe)
            classifier = compiled(recipe)
    finally:
        keras.config.set_dtype_policy("float32")
    accumulate, recompute, train_step = run.options.accumulate, run.options.recompute, None
    if accumulate > 1 or recompute:
        train_step = small_memory_step(recipe.model, accumulate, recompute)

    describe(recipe, run, strategy, record)
    print(f"{recipe.model.name}: {recipe.model.count_params():,} parameters; {record['data']['train']}")
    events = str(run.out / "tensorboard")
    writer = tf.summary.create_file_writer(events) if chief else tf.summary.create_noop_writer()
    steps_per_epoch, left_out = divmod(len(recipe.train), recipe.batch_size)
    record["images_left_out_of_an_epoch"] = left_out
    if left_out:
        print(
            f"an epoch is {steps_per_epoch:,} full batches; {left_out:,} images, others each time, are left out of it"
        )

    def batches(epoch, skip, count):
        order = {"shuffle": True, "drop_remainder": True, "seed": run.seed, "epoch": epoch}
        return for_every_output(recipe, recipe.train.batches(recipe.batch_size, skip=skip, count=count, **order))

    def at_epoch_end(row, step):
        nonlocal writer
        # The figures of the first output, as if there were no auxiliary heads.
        if len(getattr(recipe.model, "outputs", ())) > 1:
            prefix = f"{recipe.model.output_names[0]}_"
            own = [name for name in row if name.startswith(prefix)]
            if not recipe.loss_weights:  # a detector's outputs learn different things; its loss is their sum
                own.remove(f"{prefix}loss")
            row |= {name.removeprefix(prefix): row.pop(name) for name in own}
        with as_tested(recipe, classifier):
            figures = recipe.test_figures(classifier, recipe.test.batches(recipe.test_batch_size))
        row |= {f"test_{name}": value for name, value in figures.items() if name != "images"}
        record["epochs"] = [*(old for old in record["epochs"] if old["step"] < step), row]
        record["corrupt_images"] = [run.within(each) for each in recipe.train.corrupt + recipe.test.corrupt]
        write_record()
        if chief:
            writer = draw(writer, record, run.out)

    def write_record():
        together(strategy, lambda: write_json(run.out / "record.json", record) if chief else None)

    checkpoints = Checkpoints(run.out / "checkpoints", recipe.model, run.options.keep_checkpoints)
    write_record()
    started = time.monotonic()
    length = (recipe.steps, steps_per_epoch, checkpoints, run.options.checkpoint_steps)
    record.pop("diverged", None)
    try:
        record["epochs"] = train(recipe.model, batches, *length, at_epoch_end, train_step)
    except FloatingPointError as error:
        record["diverged"] = str(error)
        write_record()
        raise
    record["training_seconds"] = sum(row["seconds"] for row in record["epochs"])
    print(f"trained; this sitting took {time.monotonic() - started:,.0f} s")
    with as_tested(recipe, classifier):
        final_tests(recipe, classifier, record)
        # The others wait for the chief's files: it would take their end for a crash, and they its failure.
        together(strategy, lambda: finish(recipe, classifier, run, record) if chief else None)
    return show(run, record)


def draw(writer, record, out):
    """Draw what a run can do without: TensorBoard's events of the last epoch, and the curves, of all of them.

    Returns: the writer for the next epoch. Once one has failed, its file may end in half an event, after which nothing
    is read, so that there are no more events in this sitting.
    """
    row = record["epochs"][-1]
    try:
        with writer.as_default(row["step"]):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        writer.flush()
    except tf.errors.OpError as error:
        writer = tf.summary.create_noop_writer()
        tqdm.write(f"warning: no more TensorBoard events in this sitting: {reason(error)}", sys.stderr)
    try:
        draw_curves(record, out / "curves.png")
    except OSError as error:
        tqdm.write(f"warning: {error}", sys.stderr)
    return writer


def together(strategy, function):
    """Call a function in each process of a cluster, and return what it gives once it has worked in all of them."""
    result = failure = None
    try:
        result = function()
    except Exception as error:  # whatever it is, the others must not take it for a host that was lost, and start again
        failure = error
    if agree(strategy, [failure is not None]) != [0]:
        raise failure or ValueError("another worker of the cluster cannot take part; its own message says why.")
    return result


def read_record(run):
    """The record as another process of the cluster, the chief, found it when it opened the run's folder."""
    if not run.out.is_dir():
        raise ValueError(f"{run.out} is not there on this host; all workers of a cluster must share the folder --out.")
    file = run.out / "record.json"
    return json.loads(file.read_text()) if file.exists() else {"sittings": [], "epochs": []}


def synchronize(recipe):
    """Have batch normalisation take its statistics over the whole batch instead of a replica's part of it."""
    layers = [layer for layer in recipe.model._flatten_layers() if isinstance(layer, BatchNormalization)]
    if not layers:
        raise ValueError(f"{recipe.model.name} has no batch normalisation; --synchronized would be without effect.")
    for layer in layers:
        layer.synchronized = True
    recipe.deviations = [
        *recipe.deviations,
        "batch normalisation with statistics of the whole batch, over all replicas",
    ]


def compiled(recipe):
    """Make the model ready to train, and return the classifier in it: itself, or what it is without auxiliary heads."""
    model, classifier = recipe.model, recipe.tested or recipe.model
    if isinstance(recipe.optimizer, tuple):  # of networks that play against each other; the model has their losses
        model.compile(*recipe.optimizer)
        return classifier
    loss, metrics = recipe.loss, recipe.metrics
    if recipe.loss_weights:
        classifier = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        loss, metrics = [loss] * len(model.outputs), [metrics] + [[]] * (len(model.outputs) - 1)
    model.compile(recipe.optimizer, loss, recipe.loss_weights, metrics, jit_compile=JIT_COMPILE)
    # Keras makes its metrics at the first step, too late for a checkpoint to bring them back.
    images, labels = for_every_output(recipe, recipe.train.batches(1)).element_spec
    images, labels = tf.nest.map_structure(two_like, (images, labels))
    model._symbolic_build(data_batch=(tf.nest.map_structure(lambda each: tf.cast(each, tf.float32), images), labels))
    return classifier


@contextlib.contextmanager
def as_tested(recipe, classifier):
    """Inside, the network is the one that is tested and kept, where that is not the one that is trained."""
    with averaged_weights(recipe.model), contextlib.ExitStack() as stack:
        if recipe.population:
            batches = recipe.train.batches(recipe.batch_size)
            stack.enter_context(population_statistics(classifier, batches))
        yield


def two_like(spec):
    """Two examples of a batch's specification; sides that are free are of 64 pixels."""
    return tf.zeros([2, *(64 if side is None else side for side in spec.shape[1:])], spec.dtype)


def for_every_output(recipe, batches):
    """The batches with their labels once for every output of the model."""
    if not recipe.loss_weights:
        return batches
    return batches.map(lambda images, labels: (images, (labels,) * len(recipe.loss_weights)))


def check(recipe, run, strategy):
    """Refuse at the door what could only fail later, and flags that would be without effect."""
    replicas = strategy.num_replicas_in_sync
    unused = [f"--{name.replace('_', '-')}" for name in ("dataset", "data_dir", "strict") if getattr(run.options, name)]
    if unused and not run.asked_for_data:
        raise ValueError(f"{run.script} has data of its own; {unused[0]} would not be used.")
    if recipe.batch_size % replicas:
        raise ValueError(f"the batch size is {recipe.batch_size}; it must divide by the {replicas} replicas.")
    if recipe.batch_size // replicas % run.options.accumulate:
        share = f"a replica's {recipe.batch_size // replicas} images"
        raise ValueError(f"--accumulate is {run.options.accumulate}; it must divide {share} of a batch.")
    if run.options.synchronized and replicas == 1:
        raise ValueError("--synchronized would be without effect; there is one replica.")
    if len(recipe.train) < recipe.batch_size:
        count = f"there are only {len(recipe.train)} training images"
        raise ValueError(f"the batch size is {recipe.batch_size}; {count}, so --batch-size must be that or less.")


def final_tests(recipe, classifier, record):
    """Make the final tests, and decide the claims."""
    figures = {name.removeprefix("test_"): value for name, value in record["epochs"][-1].items()}
    record["final_tests"] = {}
    for name, test in recipe.final_tests.items():
        print(f"final test: {name.replace('_', ' ')}")
        record["final_tests"][name] = test(classifier)
        figures |= {f"{name}_{metric}": value for metric, value in record["final_tests"][name].items()}
    decide(recipe, record, figures)


def finish(recipe, classifier, run, record):
    """Write everything."""
    write_json(run.out / "record.json", record)
    draw_curves(record, run.out / "curves.png")

    exported = recipe.exported(classifier)
    with whole(run.out / "model.keras") as part:
        exported.save(part)
    layer = keras.saving.serialize_keras_object(recipe.preprocessing)
    write_json(run.out / "preprocessing.json", layer)
    recipe.examples(exported, recipe.test, run.out / "test_images")
    labels = record["data"]["labels"]
    export(exported, run.out / "saved_model", recipe.preprocessing, labels, force=True)
    record["finished"] = now()
    write_json(run.out / "record.json", record)


def show(run, record):
    """Print the table and where everything is; return 1 if a claim does not hold."""
    print_table(record)
    files = ("record.json", "curves.png", "tensorboard", "checkpoints", "model.keras", "saved_model", "test_images")
    for name in files:
        print(f"  {run.out / name}")
    return int(any(claim["verdict"] == "does not hold" for claim in record["claims"]))
