"""Everything the scripts share: flags, devices, data, training with resume, records, pictures, export."""

import inspect
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf

from keras_cnns import export
from keras_cnns.evaluation import classification_errors
from keras_cnns.training import JIT_COMPILE, Checkpoints, averaged_weights, mirrored, train
from reproductions.pictures import draw_curves, save_test_images
from reproductions.record import decide, describe, now, open_record, print_table, write_json
from reproductions.run import PRECISIONS, Run, parse


def main(recipe, arguments=None):
    """Run a script: `recipe(run, **parameters)` returns a `Recipe`; its parameters become flags.

    Returns the exit status: 0, 1 if a claim does not hold, 2 if the run could not be made.
    """
    script = Path(inspect.getfile(recipe)).stem
    options, parameters = parse(recipe, script, arguments)
    try:
        return reproduce(recipe, Run(script, options, parameters))
    except (ValueError, OSError, FloatingPointError, tf.errors.OpError) as error:
        # TensorFlow wraps what was raised inside a pipeline in words of its own.
        message = error.message.rpartition("ValueError: ")[2] if isinstance(error, tf.errors.OpError) else str(error)
        print(f"error: {message.splitlines()[0]}", file=sys.stderr)
        return 2


def reproduce(recipe_function, run):
    """Train, test, record, draw, export."""
    record = open_record(run)
    if "finished" in record:
        print(f"the run in {run.out} is finished; delete the folder to run it anew")
        return show(run, record)
    strategy = mirrored(run.options.replicas)
    keras.utils.set_random_seed(run.seed)
    keras.config.set_dtype_policy(PRECISIONS[run.options.precision])
    try:
        with strategy.scope():
            recipe = recipe_function(run, **run.parameters)
            check(recipe, run, strategy)
            classifier = compiled(recipe)
    finally:
        keras.config.set_dtype_policy("float32")

    describe(recipe, run, strategy, record)
    print(f"{recipe.model.name}: {recipe.model.count_params():,} parameters; {record['data']['train']}")
    writer = tf.summary.create_file_writer(str(run.out / "tensorboard"))
    steps_per_epoch = max(len(recipe.train) // recipe.batch_size, 1)

    def batches(epoch, skip, count):
        order = {"shuffle": True, "drop_remainder": True, "seed": run.seed, "epoch": epoch}
        return for_every_output(recipe, recipe.train.batches(recipe.batch_size, skip=skip, count=count, **order))

    def at_epoch_end(row, step):
        if recipe.loss_weights:  # the classifier's own figures, as if it had no auxiliary heads
            prefix = f"{recipe.model.output_names[0]}_"
            row |= {name.removeprefix(prefix): row.pop(name) for name in list(row) if name.startswith(prefix)}
        with averaged_weights(recipe.model):
            errors = classification_errors(classifier, recipe.test.batches(recipe.test_batch_size))
        row |= {f"test_{name}": value for name, value in errors.items() if name != "images"}
        with writer.as_default(step):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        writer.flush()
        record["epochs"] = [*(old for old in record["epochs"] if old["step"] < step), row]
        record["corrupt_images"] = recipe.train.corrupt + recipe.test.corrupt
        write_json(run.out / "record.json", record)
        draw_curves(record, run.out / "curves.png")

    checkpoints = Checkpoints(run.out / "checkpoints", recipe.model)
    write_json(run.out / "record.json", record)
    started = time.monotonic()
    record["epochs"] = train(
        recipe.model, batches, recipe.steps, steps_per_epoch, checkpoints, run.options.checkpoint_steps, at_epoch_end
    )
    record["training_seconds"] = sum(row["seconds"] for row in record["epochs"])
    print(f"trained; this sitting took {time.monotonic() - started:,.0f} s")
    with averaged_weights(recipe.model):
        finish(recipe, classifier, run, record)
    return show(run, record)


def compiled(recipe):
    """Make the model ready to train, and return the classifier in it: itself, or what it is without auxiliary heads."""
    model, classifier = recipe.model, recipe.model
    loss, metrics = recipe.loss, ["accuracy"]
    if recipe.loss_weights:
        classifier = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        loss, metrics = [loss] * len(model.outputs), [metrics] + [[]] * (len(model.outputs) - 1)
    model.compile(recipe.optimizer, loss, recipe.loss_weights, metrics, jit_compile=JIT_COMPILE)
    # Keras makes its metrics at the first step, too late for a checkpoint to bring them back.
    images, labels = for_every_output(recipe, recipe.train.batches(1)).element_spec
    labels = tf.nest.map_structure(lambda each: tf.zeros([2], each.dtype), labels)
    model._symbolic_build(data_batch=(tf.zeros([2, *images.shape[1:]]), labels))
    return classifier


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
    if len(recipe.train) < recipe.batch_size:
        raise ValueError(f"the batch size is {recipe.batch_size}; there are only {len(recipe.train)} training images.")


def finish(recipe, classifier, run, record):
    """Make the final tests, decide the claims, write everything."""
    figures = {name.removeprefix("test_"): value for name, value in record["epochs"][-1].items()}
    record["final_tests"] = {}
    for name, test in recipe.final_tests.items():
        print(f"final test: {name.replace('_', ' ')}")
        record["final_tests"][name] = test(classifier)
        figures |= {f"{name}_{metric}": value for metric, value in record["final_tests"][name].items()}
    decide(recipe, record, figures)
    write_json(run.out / "record.json", record)
    draw_curves(record, run.out / "curves.png")

    classifier.save(run.out / "model.keras")
    layer = keras.saving.serialize_keras_object(recipe.preprocessing)
    write_json(run.out / "preprocessing.json", layer)
    save_test_images(recipe.test, run.out / "test_images")
    export(classifier, run.out / "saved_model", recipe.preprocessing, recipe.train.labels, force=True)
    record["finished"] = now()
    write_json(run.out / "record.json", record)


def show(run, record):
    """Print the table and where everything is; return 1 if a claim does not hold."""
    print_table(record)
    files = ("record.json", "curves.png", "tensorboard", "checkpoints", "model.keras", "saved_model", "test_images")
    for name in files:
        print(f"  {run.out / name}")
    return int(any(claim["verdict"] == "does not hold" for claim in record["claims"]))
