"""R-CNN and SPPNet as scripts: the flags, the run that their stages (`region_stages`) share, and its record."""

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

from keras_cnns.data import digit_boxes, tfds_boxes, voc_boxes
from keras_cnns.data.detection import truth
from keras_cnns.detection import Features, compute_proposals, overlapping, read_proposals
from keras_cnns.evaluation import voc_scores
from keras_cnns.training import mirrored
from reproductions.detection import written
from reproductions.record import arithmetic, measured, publish, write_json
from reproductions.region_figures import WAYS, curves, draw, draw_examples
from reproductions.region_stages import STAGES
from reproductions.run import PRECISIONS, SMOKE_BATCH, SMOKE_STEPS

SMOKE_IMAGES, SMOKE_PROPOSALS = 12, 64


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
        self.departures += arithmetic(options.precision)
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
