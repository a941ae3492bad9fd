"""R-CNN and SPPNet as scripts: their stages, each of which can be run again alone, and what these leave in a folder."""

import argparse
import functools
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.data import digit_boxes, tfds_boxes, voc_boxes
from keras_cnns.data.detection import truth
from keras_cnns.detection import (
    BoxRegressors,
    Features,
    SVMs,
    compute_proposals,
    overlapping,
    read_proposals,
    svm_detections,
    train_box_regressors,
    train_svms,
)
from keras_cnns.evaluation import voc_scores
from keras_cnns.files import whole
from keras_cnns.training import JIT_COMPILE, Checkpoints, mirrored, train
from reproductions.detection import written
from reproductions.record import measured, publish, write_json
from reproductions.region_figures import WAYS, curves, draw, draw_examples
from reproductions.run import PRECISIONS, SMOKE_BATCH, SMOKE_STEPS
from reproductions.segmentation import VGG_MEAN

SMOKE_IMAGES, SMOKE_PROPOSALS = 12, 64
CHECKPOINT = 250  # steps


@dataclass(frozen=True)
class Pipeline:
    """What one paper does in these stages."""

    stages: tuple[str, ...]  # in their order, of `STAGES`
    network: Callable  # from (classes, options) to the network before it is fine-tuned, and what to say of its start
    training: Callable  # from a `Work` and its network to (what is trained, its batches, steps of an epoch)
    optimizer: Callable  # from the number of steps
    steps: int
    features: Callable  # from the network to the function of (photo, boxes) to [pooled, fc7]
    pooled: Callable  # the same to pooled alone
    widths: Callable  # from the network to the widths of both
    kept: float  # overlap from which a proposal's pooled features are kept
    lowest: float  # overlap from which the box regression learns from it
    claims: Callable  # from (average precisions of both ways, why they decide nothing or "") to the rows
    deviations: tuple[str, ...] = ()
    difficult: bool = True  # whether difficult objects are learnt from
    batch_size: int = 128
    proposals: int = 2000
    any_data: bool = False  # whether it is about whatever folder it is given, and not about VOC 2007


def main(pipeline_of, arguments=None):
    """Run a script's stages: `pipeline_of(**parameters)` returns a `Pipeline`; its parameters become flags.

    Returns the exit status: 0; 2 if a stage cannot be made; 130 after SIGINT. A signal during the fine-tuning is raised
    as SystemExit, its checkpoint written.
    """
    script = Path(inspect.getfile(pipeline_of)).stem
    parser = argparse.ArgumentParser(
        f"python -m reproductions.{script}",
        description=inspect.getmodule(pipeline_of).__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--data-dir", type=Path, help="a folder in Pascal VOC's layout, or TensorFlow Datasets'")
    add("--out", type=Path, help="the run's folder (default: runs/ and the script's name)")
    add("--stage", nargs="+", choices=tuple(STAGES), help="these stages alone (default: all)")
    add("--proposals", type=int, help="boxes of a photo (default: the paper's 2,000)")
    add("--initial", default="", help="trained weights to begin with: imagenet, a run's folder or its .keras file")
    add("--steps", type=int, help="of the fine-tuning; its schedule is scaled to them")
    add("--batch-size", type=int, help="windows of a step (default: the paper's 128)")
    add("--images", type=int, help="only the first so many of each list; decides nothing")
    add("--precision", choices=PRECISIONS, default="float32", help="of the network's arithmetic; weights are float32")
    add("--seed", type=int, default=0)
    add("--smoke", action="store_true", help="a few minutes on digits that need no download; decides nothing")
    add("--strict", action="store_true", help="a damaged file is an error, not left out")
    own = inspect.signature(pipeline_of).parameters.values()
    for each in own:
        add(f"--{each.name}", type=type(each.default), default=each.default, help=f"(default: {each.default})")
    options = parser.parse_args(arguments)
    for name in ("proposals", "steps", "batch_size", "images"):
        if (value := getattr(options, name)) is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    try:
        parameters = {each.name: getattr(options, each.name) for each in own}
        work = Work(script, pipeline_of(**parameters), options, parameters)
        stages = [name for name in work.pipeline.stages if name in (options.stage or STAGES)]
        for number, name in enumerate(stages, 1):
            print(f"== stage {number} of {len(stages)}: {name}", flush=True)
            with work.timed(name):
                found = STAGES[name](work)
        if "test" in stages:
            report(work, found)
    except KeyboardInterrupt:
        print("stopped; the same command goes on.", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError, ImportError, tf.errors.OpError) as error:
        print("error:", str(error).partition("\n")[0] or repr(error), file=sys.stderr)
        return 2
    return 0


# Of the box regression that R-CNN and SPPNet share.
REGRESSION = (
    "box regression scales features by the mean norm of the boxes that it learns from, the release by that of all, and "
    "leaves out the objects' own boxes, which the release learns from too"
)


class Work:
    """A run: its flags, its folder, and what its stages have in common."""

    def __init__(self, script, pipeline, options, parameters):
        self.script, self.pipeline, self.options = script, pipeline, options
        smoke = options.smoke
        self.out = options.out or Path("runs", script + ("-smoke" if smoke else ""))
        self.steps = options.steps or (SMOKE_STEPS if smoke else pipeline.steps)
        self.batch_size = options.batch_size or (SMOKE_BATCH if smoke else pipeline.batch_size)
        self.count = options.proposals or (SMOKE_PROPOSALS if smoke else pipeline.proposals)
        self.only = SMOKE_IMAGES if smoke else options.images
        self.left_out = {}  # photographs that cannot be read, and why
        self.departures = [
            f"{ours:,} {what} instead of {theirs:,}"
            for ours, what, theirs in (
                (self.steps, "steps, schedule scaled,", pipeline.steps),
                (self.batch_size, "windows a batch", pipeline.batch_size),
                (self.count, "boxes a photo", pipeline.proposals),
            )
            if ours != theirs
        ]
        self.departures += [f"the first {self.only} photos of each list alone"] * bool(self.only)
        self.departures += [f"{options.precision} arithmetic, float32 weights"] * (options.precision != "float32")
        folder = options.data_dir
        self.folder = folder if folder and (folder / "ImageSets/Main").is_dir() else None
        if self.folder and folder.name != "VOC2007" and not pipeline.any_data:
            self.departures.append(f"data set {folder.name} instead of VOC 2007")
        if not options.initial and not pipeline.any_data:
            self.departures.append("no trained network to start from")
        settings = {**parameters, **{name: getattr(options, name) for name in ("initial", "seed", "smoke")}}
        settings |= {"data": self.folder.name if self.folder else "voc/2007", "precision": options.precision}
        settings |= {"steps": self.steps, "batch_size": self.batch_size, "boxes": self.count, "photos": self.only}
        file = self.out / "settings.json"
        if file.exists() and json.loads(file.read_text()) != settings:
            raise ValueError(f"{self.out} holds a run with {json.loads(file.read_text())}; --out names another folder.")
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)

    @functools.cached_property
    def data(self):
        """The (train, test) images with objects: VOC 2007's trainval and test, or those of a folder."""
        options = self.options
        if options.smoke:
            return [digit_boxes(split).take(SMOKE_IMAGES) for split in ("train", "test")]
        if self.folder:
            return [voc_boxes(self.folder, split, strict=options.strict) for split in ("train", "test")]
        splits = ("train+validation", "test")
        return [tfds_boxes("voc/2007", split, options.data_dir, options.strict) for split in splits]

    @property
    def labels(self):
        return self.data[0].labels

    @functools.cached_property
    def train_photos(self):
        """Dicts as `keras_cnns.data.windows` has them."""
        return [photo for photo in self.photos(self.data[0], "train") if len(photo["boxes"])]

    @functools.cached_property
    def test_photos(self):
        """The same with the proposals alone in `boxes`."""
        photos = self.photos(self.data[1], "test")
        return [{**photo, "boxes": photo["boxes"][len(photo["labels"]) :]} for photo in photos]

    def photos(self, images, split):
        photos = []
        folder = self.out / "proposals"
        for _, name, image, rows in images.records().take(self.only or -1):
            name, there = name.numpy().decode(), truth(rows)
            path = Path(name) if Path(name).is_file() else written(name, image.numpy(), folder / split)
            chosen = slice(None) if self.pipeline.difficult else ~there["difficult"]
            photos.append({"path": path, "truth": there, "objects": there["boxes"][chosen]})
            photos[-1]["labels"] = there["labels"][chosen]
        faults = compute_proposals([photo["path"] for photo in photos], folder, strict=self.options.strict)
        self.left_out |= {Path(path).name: fault for path, fault in faults.items()}
        photos = [photo for photo in photos if str(photo["path"]) not in faults]
        for photo in photos:
            boxes = read_proposals(photo["path"], folder)[: self.count]
            photo["boxes"] = np.concatenate([photo.pop("objects"), boxes]).astype("float32")
        return photos

    @functools.cached_property
    def network(self):
        """The network as it is fine-tuned, or, before that is done, as it begins."""
        file = self.out / "network.keras"
        if file.exists():
            return keras.models.load_model(file, compile=False)
        if self.pipeline.stages.index("finetune") < self.pipeline.stages.index("pooled"):
            raise ValueError(f"{file} is not there; the stage finetune makes it.")
        return self.beginning[0]

    @functools.cached_property
    def beginning(self):
        """The network before it is fine-tuned, and what is to be said of its weights."""
        keras.utils.set_random_seed(self.options.seed)
        keras.config.set_dtype_policy(PRECISIONS[self.options.precision])
        try:
            with mirrored(None).scope():
                return self.pipeline.network(len(self.labels), self.options)
        finally:
            keras.config.set_dtype_policy("float32")

    def fingerprint(self, *layers):
        """Which boxes, and which weights of the layers that lead to features of them."""
        digest = hashlib.sha256()
        for photo in self.train_photos:
            digest.update(photo["boxes"].tobytes() + np.asarray(photo["labels"]).tobytes())
        for layer in self.network.layers:
            if not layers or layer.name in layers:
                for weight in layer.get_weights():
                    digest.update(weight.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def chosen(self):
        """Of each photo the boxes whose pooled features are kept."""
        return overlapping(self.train_photos, self.pipeline.kept)

    @functools.cached_property
    def pooled_features(self):
        counts, width = [len(rows) for rows in self.chosen], self.pipeline.widths(self.network)[0]
        convolutions = [layer.name for layer in self.network.layers if layer.name.startswith("conv")]
        return Features(self.out / "pooled", counts, width, self.fingerprint(*convolutions))

    @functools.cached_property
    def fc7_features(self):
        if not (self.out / "network.keras").exists():
            raise ValueError(f"{self.out / 'network.keras'} is not there; the stage finetune makes it.")
        counts, width = [len(photo["boxes"]) for photo in self.train_photos], self.pipeline.widths(self.network)[1]
        return Features(self.out / "features", counts, width, self.fingerprint())

    def timed(self, stage):
        return Timed(self.out / "seconds.json", stage)


class Timed:
    """Adds the seconds inside to those of a stage, over all sittings."""

    def __init__(self, file, stage):
        self.file, self.stage = file, stage

    def __enter__(self):
        self.start = time.monotonic()

    def __exit__(self, *exception):
        seconds = json.loads(self.file.read_text()) if self.file.exists() else {}
        seconds[self.stage] = round(seconds.get(self.stage, 0) + time.monotonic() - self.start, 1)
        write_json(self.file, seconds)


def pixels(path):
    """A photo as the networks see it: RGB minus the mean, float32."""
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"), "float32") - np.float32(VGG_MEAN)


# The stages.


def propose(work):
    counts = [np.mean([len(photo["boxes"]) for photo in photos]) for photos in (work.train_photos, work.test_photos)]
    print(f"{len(work.train_photos):,} photos to learn from, {len(work.test_photos):,} to test on")
    print(f"boxes of a photo: {counts[0]:,.0f} with the objects, {counts[1]:,.0f}")


def fine_tune(work):
    file = work.out / "network.keras"
    if file.exists():
        print(f"{file} is fine-tuned; delete it to have that done anew")
        return
    network, said = work.beginning
    with network.distribute_strategy.scope():
        trained, batches, steps_per_epoch = work.pipeline.training(work, network)
    if not steps_per_epoch:
        raise ValueError(f"the batch size is {work.batch_size}; there are fewer windows.")
    with network.distribute_strategy.scope():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        trained.compile(work.pipeline.optimizer(work.steps), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
        # Keras makes its metrics at the first step, too late for a checkpoint to bring them back.
        trained._symbolic_build(data_batch=(tf.zeros((2, *trained.input_shape[1:])), tf.zeros((2,), tf.int64)))
    length = work.steps, steps_per_epoch, Checkpoints(work.out / "checkpoints", trained), CHECKPOINT
    history = train(trained, batches, *length)
    write_json(work.out / "finetune.json", {"said": said, "history": history})
    with whole(file) as part:
        network.save(part)
    print(f"{network.name}: {network.count_params():,} parameters; {said}; {file}")
    work.__dict__.pop("network", None)


def store(name, features, compute, photos, rows):
    """Compute the features of those photos that have none yet."""
    missing = features.missing()
    with tqdm(total=len(photos), initial=len(photos) - len(missing), desc=name, unit=" photos") as bar:
        for number in missing:
            boxes = photos[number]["boxes"][rows[number]]
            values = compute(pixels(photos[number]["path"]), boxes) if len(boxes) else np.zeros((0, features.width))
            features.write(number, values)
            bar.update()


def store_pooled(work):
    photos, compute = work.train_photos, work.pipeline.pooled(work.network)
    store("pooled features", work.pooled_features, compute, photos, work.chosen)


def store_fc7(work):
    photos, compute = work.train_photos, work.pipeline.features(work.network)
    rows = [slice(None)] * len(photos)
    store("features", work.fc7_features, lambda photo, boxes: compute(photo, boxes)[1], photos, rows)


def complete(features, stage):
    if missing := len(features.missing()):
        raise ValueError(f"{missing} photos have no features yet; the stage {stage} computes them.")
    return features


def learn_svms(work):
    features, file = complete(work.fc7_features, "features"), work.out / "svms.npz"
    if known(file, features.of):
        return
    try:
        svms = train_svms(features, work.train_photos, len(work.labels), work.out / "svms_state.npz")
    except ValueError as error:
        raise ValueError(f"{error} (The classes are {', '.join(work.labels)}.)") from None
    keep(file, features.of, svms)
    (work.out / "svms_state.npz").unlink(missing_ok=True)


def learn_boxes(work):
    features, file = complete(work.pooled_features, "pooled"), work.out / "regressors.npz"
    if known(file, features.of):
        return
    settings = work.train_photos, work.chosen, len(work.labels), work.pipeline.lowest
    keep(file, features.of, train_box_regressors(features, *settings))


def known(file, of):
    """Whether a file was made from these features."""
    if file.exists() and str(np.load(file)["of"]) == of:
        print(f"{file} is there; delete it to have it made anew")
        return True
    return False


def keep(file, of, arrays):
    with whole(file) as part:
        np.savez(part, of=of, **arrays._asdict())


def kept(file, of, kind, stage):
    if not file.exists() or str(np.load(file)["of"]) != of:
        raise ValueError(f"{file} is not there for this network; the stage {stage} makes it.")
    with np.load(file) as saved:
        arrays = {name: saved[name] for name in kind._fields}
    return kind(**{name: each if each.ndim else each.item() for name, each in arrays.items()})


def test(work):
    """Find objects in the test photos both ways: {way: [{"boxes", "scores", "labels"}]}."""
    svms = kept(work.out / "svms.npz", work.fc7_features.of, SVMs, "svm")
    regressors = kept(work.out / "regressors.npz", work.pooled_features.of, BoxRegressors, "regression")
    compute = work.pipeline.features(work.network)
    # What was found by other SVMs lies in other folders.
    digest = hashlib.sha256(svms.weights.tobytes() + regressors.weights.tobytes()).hexdigest()[:16]
    found = {way: [] for way in WAYS}
    for photo in tqdm(work.test_photos, "test", unit=" photos"):
        for way, each in find(photo, work.out / "detections" / digest, compute, svms, regressors).items():
            found[way].append(each)
    return found


def find(photo, folder, compute, svms, regressors):
    """What is found in a photo, {way: {"boxes", "scores", "labels"}}: from a file if it has been found before."""
    file = folder / f"{photo['path'].stem}.npz"
    if not file.exists():
        image = pixels(photo["path"])
        pooled, fc7 = compute(image, photo["boxes"])
        scores = svms.scores(fc7)
        boxes = photo["boxes"], regressors.boxes(pooled, photo["boxes"])
        folder.mkdir(parents=True, exist_ok=True)
        with whole(file) as part:
            results = zip(WAYS, (svm_detections(scores, each, image.shape[:2]) for each in boxes), strict=True)
            np.savez(part, **{f"{way}/{name}": array for way, each in results for name, array in each.items()})
    with np.load(file) as saved:
        return {way: {name: saved[f"{way}/{name}"] for name in ("boxes", "scores", "labels")} for way in WAYS}


def report(work, found):
    """The average precisions, the record and the pictures."""
    truths = [photo["truth"] for photo in work.test_photos]
    scores = {way: voc_scores(found[way], truths, work.labels, "11-point") for way in WAYS}
    tuned = json.loads((work.out / "finetune.json").read_text())
    seconds = json.loads((work.out / "seconds.json").read_text())
    undecided = "smoke run" if work.options.smoke else "proxy" if work.departures else ""
    record = measured(
        work.script,
        data=" / ".join(images.description for images in work.data),
        photographs_left_out=work.left_out,
        network=f"{work.network.name}, {work.network.count_params():,} parameters, {tuned['said']}",
        finetuning=tuned["history"],
        average_precision={way: {name: round(ap, 2) for name, ap in each.items()} for way, each in scores.items()},
        curves=curves(found, truths, work.labels),
        claims=work.pipeline.claims({way: each["map"] for way, each in scores.items()}, undecided),
        deviations=[*work.pipeline.deviations, *work.departures],
        smoke=work.options.smoke or bool(work.options.images),
        seconds=round(sum(seconds.values())),
        seconds_by_stage=seconds,
    )
    publish(record, work.out / "record.json")
    draw(record, work.out / "record.png")
    draw_examples(work.test_photos, found[WAYS[1]], work.labels, work.out / "record-examples.png")


STAGES = {
    "proposals": propose,
    "finetune": fine_tune,
    "features": store_fc7,
    "pooled": store_pooled,
    "svm": learn_svms,
    "regression": learn_boxes,
    "test": test,
}


def claim(id, statement, paper, ours, rule, good, undecided):
    """A row of the record: the rule is fixed before the run."""
    verdict = f"not decided ({undecided})" if undecided else "holds" if good else "does not hold"
    ours = round(ours, 2)
    return {"id": id, "statement": statement, "paper": paper, "ours": ours, "rule": rule, "verdict": verdict}


def ap_claims(id, name, paper):
    """A function from (average precisions, why they decide nothing or "") to the claims on a paper's figures."""

    def claims(ours, undecided):
        return [
            claim(
                *(id, f"{name}, mAP {way}, %", figure, ours[way]),
                *(f"at least {figure - 1:g}", ours[way] >= figure - 1, undecided),
            )
            for way, figure in paper.items()
        ]

    return claims
