"""What `python -m keras_cnns visualize` does: pictures of a network in a folder, and a page that shows them."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.arguments import check_choice
from keras_cnns.export import load_source
from keras_cnns.inspection import figures
from keras_cnns.inspection.calls import calls_of, find_call
from keras_cnns.inspection.figure_parts import convolutions
from keras_cnns.inspection.subject import Subject, find_images
from keras_cnns.inspection.tiles import save, write_page

FIGURES = ("2", "4", "5", "6", "7", "pixels", "maps")
OF_MAPS = ("7", "pixels", "maps")  # figures of a layer that has maps
COLUMNS = 8  # checkpoints shown in Fig. 4


def visualize(source, images, layer=None, which=None, out=None, features=None, against=None, data_dir=None):
    """Draw figures of Zeiler & Fergus, ECCV 2014, and return the paths written; the last is the page of them all.

    Args:
        source: a reproduction's folder, or a .keras file that gives logits.
        images: a folder, `digits`, or a name of TensorFlow Datasets; see `find_images`.
        layer: the layer looked at; by default the last convolution.
        which: some of FIGURES: the paper's numbers; "pixels", gradients beside the deconvnet; "maps", a layer's feature
            maps. By default all, and 4 only where a run has checkpoints.
        out: the folder to write to, by default `visualize/` and the network's name.
        features: numbers of the features in Figs. 2 and 4; by default some, evenly spread.
        against: another network's `source`, for Fig. 6.

    Raises:
        ValueError: no such network, layer (the nearest names are told), feature or images; or a network that a figure
            cannot be drawn of.
    """
    for each in which or ():
        check_choice("figure", each, FIGURES)
    subject = load(source, images, data_dir)
    target = find_call(calls_of(subject.model), subject.model, layer) if layer else convolutions(subject.model)[-1]
    layer, has_maps = target.layer.name, len(target.tensors[0].shape) == 4
    every = which is None  # that can be drawn
    try:
        checkpoints = checkpoints_of(source, subject.model) if every or "4" in which else []
    except ValueError as error:
        if not every:
            raise
        checkpoints = []
        tqdm.write(f"left out: Fig. 4: {error}")
    if every:
        which = [each for each in FIGURES if (each != "4" or checkpoints) and (each not in OF_MAPS or has_maps)]
    elif "4" in which and not checkpoints:
        raise ValueError(f"{source} has no checkpoints; Fig. 4 is made from a run's (--keep-checkpoints).")
    elif not has_maps and any(each in OF_MAPS for each in which):
        raise ValueError(f"layer {layer!r} has no maps; figures {', '.join(OF_MAPS)} need a layer that has.")
    draw = {
        "2": lambda: figures.strongest_patches(subject, layer, features),
        "4": lambda: figures.evolution(subject, layer, checkpoints, features),
        "5": lambda: figures.invariances(subject),
        "6": lambda: figures.filters(subject, load(against, images, data_dir) if against else None),
        "7": lambda: figures.occlusions(subject, layer),
        "pixels": lambda: figures.comparison(subject, layer),
        "maps": lambda: figures.maps(subject, layer),
    }
    out = Path(out or Path("visualize", subject.model.name))
    out.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        for each in which:
            name = f"fig{each}" if each.isdigit() else each
            try:
                figure, caption = draw[each]()
            except ValueError as error:
                if not every:
                    raise
                tqdm.write(f"left out: {name}: {error}")
                continue
            written.append(out / (f"{name}.png" if each in "56" else f"{name}_{layer}.png"))
            save(figure, written[-1], caption)
            tqdm.write(f"{written[-1]}\n  {caption}")
    finally:
        write_page(out, f"{subject.model.name}: what its layers see")
    return [*written, out / "index.html"]


def load(source, images, data_dir):
    model, preprocessing, labels = load_source(source)
    channels = model.inputs[0].shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"{model.name} takes {channels} channels; only grey or RGB images can be looked at.")
    return Subject(model, preprocessing, labels or None, find_images(images, channels, data_dir))


def checkpoints_of(source, model):
    """Some checkpoints of a run, ever further apart, as (words, function that reads the model's variables)."""
    folder, record = Path(source) / "checkpoints", Path(source) / "record.json"
    steps = sorted(int(file.stem.removeprefix("step-")) for file in folder.glob("step-*.index"))
    epochs = {row["step"]: row["epoch"] for row in json.loads(record.read_text())["epochs"]} if record.exists() else {}
    if steps:
        steps = [steps[i] for i in np.unique(np.geomspace(1, len(steps), COLUMNS).round().astype(int) - 1)]
    return [
        (f"epoch {epochs[step]}" if step in epochs else f"step {step:,}", values(folder / f"step-{step}", model))
        for step in steps
    ]


def values(checkpoint, model):
    """A function that reads a model's variables from a checkpoint of `training.Checkpoints`, numbered from v0 on."""
    reader = tf.train.load_checkpoint(str(checkpoint))
    shapes = reader.get_variable_to_shape_map()
    names = [f"v{number}/.ATTRIBUTES/VARIABLE_VALUE" for number in range(len(model.variables))]
    if any(shapes.get(n) != list(v.shape) for n, v in zip(names, model.variables, strict=True)):
        raise ValueError(f"{checkpoint} holds another network than {model.name}, or one with auxiliary heads.")
    return lambda: [reader.get_tensor(name) for name in names]
