"""Commands about what was trained: `export`, `predict`, `segment`, `detect`, `embed` and `sample`."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

import keras_cnns
from keras_cnns.arguments import check_count, latent_size
from keras_cnns.commands import print_json
from keras_cnns.detection import detect as find_objects
from keras_cnns.detection import draw_boxes, draw_masks
from keras_cnns.detection.detect import check_detector
from keras_cnns.evaluation import gallery, nearest_neighbours
from keras_cnns.export import load_source
from keras_cnns.files import whole
from keras_cnns.generative import random_latents, sample
from keras_cnns.inspection.tiles import save_grid
from keras_cnns.layers.preprocessing import pixels_of
from keras_cnns.segmentation import segment as label_pixels
from keras_cnns.segmentation.segment import default_preprocessing, write_segmentation
from keras_cnns.self_supervised import embed as features_of
from keras_cnns.self_supervised import encoder_of
from keras_cnns.self_supervised.embed import AT_ONCE, check_embedder

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
QUERIES, NEIGHBOURS, TILE = 10, 8, 64  # of the page that `embed` draws; pixels of a tile's side


def export(options):
    model, preprocessing, labels = load_source(options.source)
    print(f"exporting {model.name}, of {model.count_params():,} parameters", file=sys.stderr)
    keras_cnns.export(model, options.path, preprocessing, labels, options.force, options.format)
    print(f"{model.name} written to {options.path}")


def predict(options):
    if not any(Path(image).exists() for image in options.image):
        raise ValueError(f"there is no image {', '.join(options.image)}.")
    if not (Path(options.saved_model) / "saved_model.pb").exists():
        known = "is no SavedModel" if Path(options.saved_model).exists() else "does not exist"
        raise ValueError(f"{options.saved_model} {known}; it must be the folder of one.")
    saved = tf.saved_model.load(options.saved_model)  # to be kept: its signatures live no longer
    if "bytes" not in saved.signatures:
        raise ValueError(f"{options.saved_model} was not written by `export`: it takes no encoded images.")
    given = saved.signatures["bytes"].structured_outputs
    if "classes" not in given:
        told = f"it gives {', '.join(sorted(given))}, and no classes of whole images"
        raise ValueError(f"{options.saved_model} is no classifier: {told}. `segment` and `detect` take a run's folder.")
    failed = False
    for image in progress(options.image):
        try:
            outputs = saved.signatures["bytes"](tf.constant([Path(image).read_bytes()]))
        except OSError as error:
            problem = error.strerror
        except tf.errors.OpError:
            problem = "no whole JPEG, PNG, BMP or GIF image"
        else:
            numbers = outputs["classes"][0].numpy().tolist()
            labels = [label.decode() for label in outputs["labels"][0].numpy()]
            probabilities = [float(outputs["probabilities"][0, number]) for number in numbers]
            if options.json:
                print_json({"image": image, "classes": numbers, "labels": labels, "probabilities": probabilities})
                continue
            tqdm.write(image)
            for label, probability in zip(labels, probabilities, strict=True):
                tqdm.write(f"  {probability:7.2%}  {label}")
            continue
        failed = True
        tqdm.write(f"error: {image}: {problem}.", file=sys.stderr)
    return 1 if failed else 0


def segment(options):
    model, preprocessing, labels = load_source(options.source)
    default_preprocessing(model)  # refuses what does not label pixels before a photograph is read
    labels = labels or [str(number) for number in range(model.outputs[0].shape[-1])]

    def one(path, image):
        (label_map,) = label_pixels(model, [Image.fromarray(image)], preprocessing)
        files = write_segmentation(options.out, Path(path).stem, label_map, image, labels)
        tqdm.write(f"{path}: {', '.join(str(file) for file in files)}")
        counts = np.bincount(label_map.ravel(), minlength=len(labels))
        for label in np.argsort(-counts)[:5]:
            if counts[label]:
                tqdm.write(f"  {counts[label] / label_map.size:7.2%}  {labels[label]}")

    return each_photograph(options, one)


def detect(options):
    model, preprocessing, labels = load_source(options.source)
    check_detector(model)

    def one(path, image):
        (found,) = find_objects(model, [image], preprocessing, score_threshold=options.score)
        names = labels or [str(number) for number in range(max(found["labels"], default=0) + 1)]
        file = options.out / f"{Path(path).stem}_boxes.png"
        with whole(file) as part:
            (draw_masks if "masks" in found else draw_boxes)(image, found, names).save(part)
        if options.json:
            answer = {each: found[each].tolist() for each in ("boxes", "scores")}
            answer["labels"] = [names[label] for label in found["labels"]]
            print_json({"image": path, "picture": str(file), **answer})
            return
        tqdm.write(f"{path}: {file}")
        for box, score, label in zip(found["boxes"], found["scores"], found["labels"], strict=True):
            tqdm.write(f"  {score:7.2%}  {names[label]}  {' '.join(f'{corner:.0f}' for corner in box)}")

    return each_photograph(options, one)


def embed(options):
    """Write `features.npy`, a row an image, `images.txt`, their names, and `neighbours.png`."""
    model, preprocessing, labels = load_source(options.source)
    if labels != []:  # a run that keeps an encoder has none
        with contextlib.suppress(ValueError):  # a file may hold an encoder, too
            model = encoder_of(model)
    check_embedder(model)
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder} is not a folder.")
    paths = sorted(each for each in options.folder.rglob("*") if each.suffix.lower() in PICTURES)
    names, features, tiles = [], [], []
    for start in tqdm(range(0, len(paths), AT_ONCE), "features", unit="batch", disable=len(paths) < 10 * AT_ONCE):
        photographs = []
        for path in paths[start : start + AT_ONCE]:
            try:
                photographs.append(pixels_of(path, model.inputs[0].shape[-1]))
            except ValueError as error:
                tqdm.write(f"error: {error}", sys.stderr)
                continue
            names.append(str(path.relative_to(options.folder)))
            small = Image.fromarray(photographs[-1].squeeze()).convert("RGB").resize((TILE, TILE))
            tiles.append(np.asarray(small))
        if photographs:
            features.append(features_of(model, photographs, preprocessing))
    if not names:
        raise ValueError(f"{options.folder} has no images that can be read; the endings are {', '.join(PICTURES)}.")
    options.out.mkdir(parents=True, exist_ok=True)
    features, tiles = np.concatenate(features), np.stack(tiles)
    with whole(options.out / "features.npy") as part:
        np.save(part, features)
    with whole(options.out / "images.txt") as part:
        part.write_text("\n".join(names) + "\n")
    layer = model.outputs[0]._keras_history.operation.name
    print(f"{options.out / 'features.npy'}: {len(names)} images, {features.shape[1]} features each, of layer {layer}")
    if len(names) > 1:
        queries = np.unique(np.linspace(0, len(names) - 1, QUERIES).round().astype(int))
        nearest, _ = nearest_neighbours(features, features[queries], min(NEIGHBOURS + 1, len(names)))
        others = [row[row != query][: nearest.shape[1] - 1] for row, query in zip(nearest, queries, strict=True)]
        with whole(options.out / "neighbours.png") as part:
            Image.fromarray(gallery(tiles[queries], tiles[np.stack(others)])).save(part)
        print(options.out / "neighbours.png")
    return int(len(names) < len(paths))


def draw_samples(options):
    check_count("--n", options.n)
    generator, preprocessing, _ = load_source(options.source)
    latent = latent_size(generator)
    if latent is None or preprocessing is None:
        raise ValueError(f"{options.source} is no run of a generator; `sample` takes what gan_mnist and others wrote.")
    images = sample(generator, random_latents(options.n, latent, options.seed), preprocessing)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_grid(images, options.out)
    print(options.out)
    if options.single:
        options.single.mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            with whole(options.single / f"{number}.png") as part:
                part.write_bytes(tf.io.encode_png(image).numpy())
        print(options.single)


def each_photograph(options, one):
    """Call `one` with the path and the RGB pixels of each photograph, whose files are named by it; the exit status."""
    first = {}
    for path in options.image:
        other = first.setdefault(Path(path).stem, path)
        if other != path:
            raise ValueError(f"{other} and {path} would give files of one name; they need two folders (--out).")
    options.out.mkdir(parents=True, exist_ok=True)
    failed = False
    for path in progress(options.image):
        try:
            one(path, pixels_of(path, 3))
        except ValueError as error:
            failed = True
            tqdm.write(f"error: {error if str(path) in str(error) else f'{path}: {error}'}", file=sys.stderr)
    return int(failed)


def progress(paths):
    """The paths one by one, on a terminal with a bar that tells how many are done."""
    return tqdm(paths, unit="image", disable=None if len(paths) > 1 else True)
