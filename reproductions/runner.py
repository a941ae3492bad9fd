"""Everything the scripts share: flags, devices, data, training with resume, records, pictures, export."""

import argparse
import inspect
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_cnns import export
from keras_cnns.data import digits, folder_images, statistics, tfds_images
from keras_cnns.evaluation import classification_errors
from keras_cnns.training import JIT_COMPILE, Checkpoints, averaged_weights, mirrored, train
from reproductions.pictures import draw_curves, save_test_images

SMOKE_STEPS, SMOKE_BATCH, SMOKE_TESTS, SMOKE_FINAL_TESTS = 24, 16, 64, 4
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def main(recipe, arguments=None):
    """Run a script: `recipe(run, **parameters)` returns a `Recipe`; its parameters become flags."""
    script = Path(inspect.getfile(recipe)).stem
    options, parameters = parse(recipe, script, arguments)
    try:
        return reproduce(recipe, Run(script, options, parameters))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(recipe, script, arguments=None):
    """The shared flags and the recipe's own."""
    documentation = inspect.getmodule(recipe).__doc__
    parser = argparse.ArgumentParser(
        f"python -m reproductions.{script}", description=documentation, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", help="another data set: a name of TensorFlow Datasets, or a folder of images by class")
    add("--data-dir", help="where TensorFlow Datasets keeps its prepared data")
    add("--out", type=Path, help="the run's folder (default: runs/ and the script's name)")
    add("--resume", action="store_true", help="go on with the run in that folder")
    add("--seed", type=int, default=0)
    add("--steps", type=int, help="training steps; schedules are scaled to them")
    add("--epochs", type=int, help="the same in epochs")
    add("--batch-size", type=int, help="images a step, over all replicas")
    add("--precision", choices=PRECISIONS, default="float32", help="of the network's arithmetic; weights are float32")
    add("--replicas", type=int, help="devices to use (default: every GPU, or one CPU)")
    add("--checkpoint-steps", type=int, help="steps between checkpoints (default: an epoch)")
    add("--smoke", action="store_true", help="about a minute on real images that need no download; decides nothing")
    add("--strict", action="store_true", help="a corrupt image is an error, not left out")
    own = [each for each in inspect.signature(recipe).parameters.values() if each.default is not each.empty]
    for each in own:
        switch = isinstance(each.default, bool)
        kind = {"action": argparse.BooleanOptionalAction} if switch else {"type": type(each.default)}
        add(f"--{each.name.replace('_', '-')}", default=each.default, help=f"(default: {each.default})", **kind)
    options = parser.parse_args(arguments)
    for name in ("steps", "epochs", "batch_size", "checkpoint_steps"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be at least 1")
    return options, {each.name: getattr(options, each.name) for each in own}


class Run:
    """The flags of one run, as a recipe asks for them."""

    def __init__(self, script, options, parameters):
        self.script, self.options, self.parameters = script, options, parameters
        self.seed, self.smoke = options.seed, options.smoke
        self.out = options.out or Path("runs", script + ("-smoke" if options.smoke else ""))

    def data(self, name):
        """The (train, test) images: of `name` in TensorFlow Datasets, or of --dataset, or the digits in a smoke run."""
        name, options = self.options.dataset or name, self.options
        if self.smoke:
            return digits("train", channels=3), digits("test", channels=3).take(SMOKE_TESTS)
        if Path(name).is_dir():
            return [folder_images(name, split, options.strict) for split in ("train", "test")]
        test = "validation" if name.startswith("imagenet2012") else "test"
        return [tfds_images(name, split, options.data_dir, options.strict) for split in ("train", test)]

    def statistics(self, images):
        """The mean image and the covariance of a training set's colours, kept in the run's folder."""
        file = self.out / "statistics.npz"
        if not file.exists():
            mean, covariance = statistics(images)
            np.savez(file.with_suffix(".part.npz"), mean=mean, covariance=covariance)
            file.with_suffix(".part.npz").replace(file)
        with np.load(file) as saved:
            return saved["mean"], saved["covariance"]

    def final(self, images):
        """The images of a test that takes long, such as many crops of each: a few of them in a smoke run."""
        return images.take(SMOKE_FINAL_TESTS) if self.smoke else images

    def batch_size(self, paper, smoke=SMOKE_BATCH):
        """The global batch: the paper's, unless --batch-size says another."""
        return self.options.batch_size or (min(paper, smoke) if self.smoke else paper)

    def steps(self, paper, steps_per_epoch):
        """Training steps: the paper's, unless --steps or --epochs says others."""
        if self.options.epochs:
            return self.options.epochs * steps_per_epoch
        return self.options.steps or (SMOKE_STEPS if self.smoke else paper)

    def arguments(self):
        """What makes this run this run: it must be the same when the run is resumed."""
        decisive = ("dataset", "seed", "steps", "epochs", "batch_size", "precision", "replicas", "smoke")
        return {**self.parameters, **{name: getattr(self.options, name) for name in decisive}}


def reproduce(recipe_function, run):
    """Train, test, record, draw, export."""
    record = open_record(run)
    strategy = mirrored(run.options.replicas)
    keras.utils.set_random_seed(run.seed)
    keras.config.set_dtype_policy(PRECISIONS[run.options.precision])
    with strategy.scope():
        recipe = recipe_function(run, **run.parameters)
        check(recipe, strategy)
        classifier = compiled(recipe)
    keras.config.set_dtype_policy("float32")

    record |= describe(recipe, run, strategy)
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
    return 0


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


def check(recipe, strategy):
    """Refuse at the door what could only fail later."""
    replicas = strategy.num_replicas_in_sync
    if recipe.batch_size % replicas:
        raise ValueError(f"the batch size is {recipe.batch_size}; it must divide by the {replicas} replicas.")
    if len(recipe.train) < recipe.batch_size:
        raise ValueError(f"the batch size is {recipe.batch_size}; there are only {len(recipe.train)} training images.")


def open_record(run):
    """The record of a run that is resumed, or a new one; a folder that holds another run is refused."""
    file = run.out / "record.json"
    if file.exists():
        if not run.options.resume:
            raise ValueError(f"{run.out} holds a run already; --resume goes on with it, --out names another folder.")
        record = json.loads(file.read_text())
        other = {k: v for k, v in record["arguments"].items() if run.arguments().get(k) != v}
        if other:
            raise ValueError(f"the run in {run.out} was started with {other}; --resume needs the same.")
        record["sittings"] += 1
        return record
    run.out.mkdir(parents=True, exist_ok=True)
    return {"arguments": run.arguments(), "sittings": 1, "started": now(), "epochs": []}


def describe(recipe, run, strategy):
    """What a reader needs to repeat the run."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    libraries = ("tensorflow", "keras", "numpy", "tensorflow-datasets")
    return {
        "script": run.script,
        "command": " ".join([f"python -m reproductions.{run.script}", *words]),
        "smoke": run.smoke,
        "seed": run.seed,
        "commit": git_commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "hardware": hardware(strategy),
        "data": {
            "train": recipe.train.description,
            "test": recipe.test.description,
            "labels": recipe.train.labels,
        },
        "model": {"name": recipe.model.name, "parameters": recipe.model.count_params()},
        "batch_size": recipe.batch_size,
        "steps": recipe.steps,
        "precision": run.options.precision,
        "deviations": recipe.deviations,
    }


def hardware(strategy):
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "gpus": [gpu.get("device_name", "unknown") for gpu in gpus],
        "replicas": strategy.num_replicas_in_sync,
    }


def git_commit():
    """The commit of this tree, with a + when it has changes; None outside a repository."""
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def finish(recipe, classifier, run, record):
    """Make the final tests, decide the claims, write everything, print the table and where things are."""
    figures = {name.removeprefix("test_"): value for name, value in record["epochs"][-1].items()}
    record["final_tests"] = {}
    for name, test in recipe.final_tests.items():
        print(f"final test: {name.replace('_', ' ')}")
        record["final_tests"][name] = test(classifier)
        figures |= {f"{name}_{metric}": value for metric, value in record["final_tests"][name].items()}
    record["claims"] = []
    for claim in recipe.claims:
        ours = figures[claim.metric]
        verdict = "not decided (smoke run)" if run.smoke else claim.verdict(ours)
        rule = f"at most {claim.at_most:g}"
        row = {"id": claim.id, "statement": claim.statement, "metric": claim.metric, "rule": rule}
        record["claims"].append({**row, "paper": claim.paper, "ours": ours, "verdict": verdict})
    record["finished"] = now()
    write_json(run.out / "record.json", record)
    draw_curves(record, run.out / "curves.png")

    classifier.save(run.out / "model.keras")
    layer = keras.saving.serialize_keras_object(recipe.preprocessing)
    write_json(run.out / "preprocessing.json", layer)
    save_test_images(recipe.test, run.out / "test_images")
    export(classifier, run.out / "saved_model", recipe.preprocessing, recipe.train.labels, force=True)

    print_table(record)
    files = ["record.json", "curves.png", "tensorboard", "checkpoints", "model.keras", "saved_model", "test_images"]
    for name in files:
        print(f"  {run.out / name}")


def print_table(record):
    """The paper's figures beside ours."""
    print(f"\n{'claim':<58} {'paper':>8} {'ours':>8}  verdict")
    for claim in record["claims"]:
        paper = "-" if claim["paper"] is None else f"{claim['paper']:.2f}"
        print(f"{claim['statement']:<58} {paper:>8} {claim['ours']:>8.2f}  {claim['verdict']} ({claim['rule']})")
    for deviation in record["deviations"]:
        print(f"deviation: {deviation}")
    print()


def write_json(path, content):
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def now():
    return datetime.now(UTC).isoformat(timespec="seconds")
