"""The command line: `keras-cnns --help`, or `python -m keras_cnns --help`."""

import argparse
import ast
import contextlib
import difflib
import inspect
import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

import keras_cnns
from keras_cnns.arguments import check_count, latent_size
from keras_cnns.detection import detect as find_objects
from keras_cnns.detection import draw_boxes, draw_masks
from keras_cnns.detection.detect import check_detector
from keras_cnns.evaluation import gallery, nearest_neighbours
from keras_cnns.export import load_source
from keras_cnns.extras import Extra
from keras_cnns.files import whole
from keras_cnns.generative import random_latents, sample
from keras_cnns.inspection import diagram, layer_table, measured_receptive_field, receptive_field
from keras_cnns.inspection.paper_table import cell, compare, find_table, paper_rows, paper_tables, parse_call
from keras_cnns.inspection.receptive_field import receptive_fields
from keras_cnns.inspection.tiles import save_grid
from keras_cnns.inspection.visualize import FIGURES, visualize
from keras_cnns.layers.preprocessing import pixels_of
from keras_cnns.segmentation import segment as label_pixels
from keras_cnns.segmentation.segment import default_preprocessing, write_segmentation
from keras_cnns.self_supervised import embed as features_of
from keras_cnns.self_supervised import encoder_of
from keras_cnns.self_supervised.embed import AT_ONCE, check_embedder

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
QUERIES, NEIGHBOURS, TILE = 10, 8, 64  # of the page that `embed` draws; pixels of a tile's side

shtab = Extra("shtab", "completion")

EXAMPLES = {  # what is typed after the command's name
    "list": ["", "--json"],
    "describe": ["resnet50", "resnet_cifar depth=20 classes=100", "vgg16 --json"],
    "receptive-field": ["vgg16", "vgg16 conv3_3", "vgg16 conv3_3 --json"],
    "diagram": ["googlenet --out googlenet.svg", "resnet_cifar depth=20 --out resnet20.png"],
    "visualize": [
        "runs/resnet_digits --images digits --layer s3_b3_a",
        "runs/photos --images photos --figure 2 7 --out figures",
    ],
    "export": ["runs/resnet_digits classifier", "network.keras network.onnx --format onnx --force"],
    "predict": ["classifier photo.jpg", "classifier photos/*.jpg --json"],
    "segment": ["runs/streets photo.jpg", "runs/streets photos/*.jpg --out labelled"],
    "detect": ["runs/cells photo.jpg", "runs/cells photos/*.jpg --score 0.7 --out found --json"],
    "embed": ["runs/moco photos", "runs/moco photos --out embedded"],
    "sample": [
        "runs/dcgan_fashion_mnist",
        "runs/dcgan_fashion_mnist --n 16 --seed 3 --out sixteen.png --single sixteen",
    ],
    "completion": [
        "bash > ~/.local/share/bash-completion/completions/keras-cnns",
        "zsh > ~/.zfunc/_keras-cnns",
    ],
}
EPILOG = """`%(prog)s COMMAND --help` shows a command's options and examples.

exit status:
  0  all that was asked for is done
  1  it is done, but a row differs from the paper's, or some of the photographs could not be read
  2  nothing was done: the call was wrong or something failed, and one sentence says what (--debug: the traceback)
"""
FILES = (  # arguments that are paths
    *("against", "data_dir", "folder", "image", "images"),
    *("out", "path", "saved_model", "single", "source"),
)


def main(arguments=None):
    called = Path(sys.argv[0]).name
    options = command_line(called if called == "keras-cnns" else "python -m keras_cnns").parse_args(arguments)
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is said at the end either
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        else:
            print(f"error: {sentence(error)}", file=sys.stderr)
        return 2
    return status


def sentence(error):
    """What went wrong in one line; of errors that are not this library's, which may be long, the first."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    first, *others = str(error).strip().splitlines() or [""]
    ours = isinstance(error, (ValueError, OSError, ImportError))
    told = first if ours else f"{type(error).__name__}: {first}"
    return told if ours and not others else f"{told} (--debug shows more)"


def command_line(prog):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog, description=keras_cnns.__doc__, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"keras_cnns {keras_cnns.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="the builders, and the variants whose table a paper prints")
    command.add_argument("--json", action="store_true", help="print an object of builders and papers")
    command.set_defaults(run=list_networks)

    command = commands.add_parser("describe", help="a network's layer table beside its paper's, each row marked")
    command.add_argument("network", help="a name from `list`: alexnet, cifar_resnet20, resnet_cifar")
    command.add_argument("argument", nargs="*", help="arguments of its builder: depth=20 two_towers=False")
    command.add_argument("--json", action="store_true", help="print an object of the counts, with an object a row")
    command.set_defaults(run=describe)

    command = commands.add_parser("receptive-field", help="the part of the image that a layer's pixels see")
    command.add_argument("network", help="a name from `list`: vgg16")
    command.add_argument("layer", nargs="*", help="a layer, conv3_3; without it all; then arguments of the builder")
    command.add_argument("--json", action="store_true", help="print a list of the layers, or an object of the one")
    command.set_defaults(run=show_receptive_field)

    command = commands.add_parser("diagram", help="a network drawn as blocks with their shapes, for a slide")
    command.add_argument("network", help="a name from `list`: googlenet")
    command.add_argument("argument", nargs="*", help="arguments of its builder: depth=20 two_towers=False")
    command.add_argument("--out", required=True, metavar="FILE", help="the .svg, .png or .pdf file to write")
    command.set_defaults(run=draw_diagram)

    command = commands.add_parser("visualize", help="what the layers of a trained network see, as pictures and a page")
    command.add_argument("source", help="a reproduction's folder, or a .keras file that gives logits")
    command.add_argument("--images", required=True, help="a folder, `digits`, or a name of TensorFlow Datasets")
    command.add_argument("--layer", help="the layer looked at (default: the last convolution)")
    command.add_argument("--figure", nargs="+", choices=FIGURES, help="of Zeiler & Fergus (default: all)")
    command.add_argument("--feature", nargs="+", type=int, help="the features of Figs. 2 and 4 (default: some)")
    command.add_argument("--against", metavar="SOURCE", help="another network, for Fig. 6")
    command.add_argument("--data-dir", help="where TensorFlow Datasets keeps its prepared data")
    command.add_argument("--out", metavar="FOLDER", help="the folder to write (default: visualize/ and the name)")
    command.set_defaults(run=draw_figures)

    command = commands.add_parser("export", help="a network as a file that takes photographs and needs no keras_cnns")
    command.add_argument("source", help="a reproduction's folder, or a .keras file that gives logits")
    command.add_argument("path", help="the SavedModel's folder or the ONNX file to write")
    command.add_argument("--format", choices=("saved_model", "onnx"), default="saved_model")
    command.add_argument("--force", action="store_true", help="replace an earlier export")
    command.set_defaults(run=export)

    command = commands.add_parser("predict", help="the five most probable classes of images, by an exported SavedModel")
    command.add_argument("saved_model", help="a folder that `export` wrote")
    command.add_argument("image", nargs="+", help="JPEG, PNG, BMP or GIF files")
    command.add_argument("--json", action="store_true", help="print an object a line, for each image")
    command.set_defaults(run=predict)

    command = commands.add_parser("segment", help="the class of every pixel of photographs, as pictures")
    command.add_argument("source", help="a reproduction's folder, or a .keras file that gives logits for every pixel")
    command.add_argument("image", nargs="+", help="photographs of any size")
    command.add_argument("--out", type=Path, default=Path(), help="the folder for *_labels.png and *_overlay.png")
    command.set_defaults(run=segment)

    command = commands.add_parser("detect", help="what is in photographs, and where, as pictures with boxes")
    command.add_argument("source", help="a reproduction's folder, or a .keras file, of a detector")
    command.add_argument("image", nargs="+", help="photographs of any size")
    command.add_argument("--out", type=Path, default=Path(), help="the folder for *_boxes.png")
    command.add_argument("--score", type=float, default=0.5, help="what scores less is not shown (default: 0.5)")
    command.add_argument("--json", action="store_true", help="print an object a line, for each photograph")
    command.set_defaults(run=detect)

    command = commands.add_parser("embed", help="the features of photographs, and which are nearest to which")
    command.add_argument("source", help="a reproduction's folder, or a .keras file; of a classifier its features")
    command.add_argument("folder", type=Path, help="the photographs, in folders within it too")
    command.add_argument("--out", type=Path, default=Path("embed"), help="the folder to write (default: embed)")
    command.set_defaults(run=embed)

    command = commands.add_parser("sample", help="images that a trained generator makes, as one picture of them")
    command.add_argument("source", help="a reproduction's folder, of a GAN")
    command.add_argument("--n", type=int, default=64, help="how many (default: 64)")
    command.add_argument("--seed", type=int, default=0, help="of z: the same images again (default: 0)")
    command.add_argument("--out", type=Path, default=Path("samples.png"), help="the picture (default: samples.png)")
    command.add_argument("--single", metavar="FOLDER", type=Path, help="also each image by itself, 0.png and on")
    command.set_defaults(run=draw_samples)

    command = commands.add_parser("completion", help="a script with which a shell completes commands, flags and names")
    command.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh", "powershell"))
    command.set_defaults(run=completion)

    helps = {each.dest: each.help for each in commands._choices_actions}  # argparse has no other way to them
    for name, command in commands.choices.items():
        command.formatter_class = raw
        command.description = f"{helps[name][0].upper()}{helps[name][1:]}."
        command.epilog = "examples:\n" + "\n".join(f"  %(prog)s {words}" for words in EXAMPLES.get(name, ()))
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback")
    return parser


def completion(options):
    parser = command_line("keras-cnns")
    for command in parser._subparsers._group_actions[0].choices.values():  # argparse has no other way to them
        for argument in command._actions:
            if argument.dest == "network":
                argument.choices = sorted({*keras_cnns.builders(), *paper_tables()})
            elif argument.dest in FILES:
                argument.complete = shtab.FILE
    print(shtab.complete(parser, options.shell))


def print_json(value):
    """Print a value as one line of JSON; fractions of a pixel as text."""
    tqdm.write(json.dumps(value, default=str))


def signature(builder):
    """A builder's arguments and their defaults, without the types."""
    typed = inspect.signature(builder)
    plain = [each.replace(annotation=each.empty) for each in typed.parameters.values()]
    return typed.replace(parameters=plain, return_annotation=typed.empty)


def list_networks(options):
    builders = {name: str(signature(getattr(keras_cnns, name))) for name in keras_cnns.builders()}
    if options.json:
        print_json({"builders": builders, "papers": paper_tables()})
        return
    for name, arguments in builders.items():
        print(f"{name}{arguments}")
    print("\nPrinted by a paper:")
    for name, calls in paper_tables().items():
        print(f"  {name:28} {' = '.join(calls)}")


def find_network(name, arguments):
    """The builder and its arguments for a name of `list` and a list of `key=value`."""
    tables = paper_tables()
    function, values = (name, {}) if name in keras_cnns.builders() else parse_call(tables.get(name, ["()"])[0])
    if not function:
        names = sorted({*keras_cnns.builders(), *tables})
        near = [each for each in names if name.lower() in each.lower()] or difflib.get_close_matches(name, names, n=3)
        near = near[:3] or names
        raise ValueError(f"there is no network {name!r}; did you mean {', '.join(near)}?")
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ValueError(f"argument {argument!r} is not of the form key=value.")
        try:
            values[key] = ast.literal_eval(value.capitalize() if value.lower() in ("true", "false") else value)
        except (ValueError, SyntaxError):
            values[key] = value
    builder = getattr(keras_cnns, function)
    try:
        inspect.signature(builder).bind(**values)
    except TypeError as error:
        printed = [table for table, calls in tables.items() if parse_call(calls[0])[0] == function]
        or_one_of = f"; or name what a paper prints: {', '.join(printed)}" if printed else ""
        raise ValueError(f"{function}: {error}; its arguments are {signature(builder)}{or_one_of}.") from None
    return builder, values


def describe(options):
    builder, arguments = find_network(options.network, options.argument)
    model = builder(**arguments)
    rows = layer_table(model)
    table = find_table(builder, arguments)
    pairs = compare(rows, paper_rows(table)) if table else [(row, None, None) for row in rows]
    totals = [sum(getattr(row, part) for row in rows) for part in ("weights", "biases", "gamma_beta", "multiply_adds")]
    if options.json:
        print_json(description(model, table, pairs, totals))
        return int(any(difference for *_, difference in pairs))

    columns = ["name", "kind", "kernel", "stride", "padding", "groups", "output_shape", "weights", "biases"]
    columns += ["gamma_beta", "multiply_adds"]
    lines = [[*columns, "", "the paper's row" if table else "", ""]]
    different = 0
    for ours, theirs, difference in pairs:
        mark = "" if difference is None else "!" if difference else "="
        paper = [theirs["name"], paper_row(theirs)] if theirs else ["-" if table else "", ""]
        lines.append([*(shown(getattr(ours, column)) if ours else "-" for column in columns), mark, *paper])
        different += bool(difference)
    lines.append(["total", *[""] * 6, *map(shown, totals), "", "", ""])

    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    numbers = range(2, len(columns))  # these stand to the right
    for line in lines:
        cells = [f"{line[i]:>{width}}" if i in numbers else f"{line[i]:<{width}}" for i, width in enumerate(widths)]
        print("  ".join(cells).rstrip())
    print(f"\n{model.name}: {sum(totals[:3]):,} trainable parameters, {model.count_params():,} with moving statistics")
    if table is None:
        print("No paper prints this variant; nothing was compared.")
    elif different:
        print(f"{different} of {len(pairs)} rows differ from the paper's (papers/{table}.csv), marked !")
        for ours, theirs, difference in pairs:
            if difference:
                print(f"  {ours.name if ours else theirs['name']}: {', '.join(difference)}")
    else:
        print(f"= every one of {len(pairs)} rows equals the paper's (papers/{table}.csv)")
    return 1 if different else 0


def description(model, table, pairs, totals):
    """What `describe --json` prints: each row ours and the paper's as its table has it, and in what they differ."""
    rows = [
        {"ours": ours and ours._asdict(), "paper": theirs and dict(theirs), "differ": difference}
        for ours, theirs, difference in pairs
    ]
    counts = {"trainable": sum(totals[:3]), "parameters": model.count_params(), "multiply_adds": totals[3]}
    return {"name": model.name, "paper_table": table, **counts, "rows": rows}


def show_receptive_field(options):
    names = [word for word in options.layer if "=" not in word]
    if len(names) > 1:
        raise ValueError(f"one layer at a time, or none for all; {len(names)} were given: {', '.join(names)}.")
    builder, arguments = find_network(options.network, [word for word in options.layer if "=" in word])
    model = builder(**arguments)
    if not names:
        fields = receptive_fields(model)
        if options.json:
            rows = layer_table(model)
            print_json([{"name": row.name, "kind": row.kind, **field_of(fields[row.name])} for row in rows])
            return
        print(f"{'name':<32}{'kind':<16}{'size':>8}{'stride':>8}{'offset':>8}")
        for row in layer_table(model):
            field = fields[row.name]
            cells = field if isinstance(field, str) else "".join(f"{cell(part) or '-':>8}" for part in field)
            print(f"{row.name:<32}{row.kind:<16}{cells}")
        return
    measured = measured_receptive_field(model, names[0])
    if options.json:
        try:
            field = receptive_field(model, names[0])
        except ValueError as error:
            field = str(error)
        print_json({"name": names[0], "arithmetic": field_of(field), "gradient": measured._asdict()})
        return
    height, width = measured.image
    unit = f"unit {measured.unit}" if measured.unit else "every unit"
    try:
        field = receptive_field(model, names[0])
        stride = "no stride" if field.stride is None else f"stride {cell(field.stride)}"
        size = "the whole image" if field.size is None else f"size {cell(field.size)}"
        print(f"by arithmetic: {size}, {stride}, offset {cell(field.offset)}")
    except ValueError as error:
        print(f"by arithmetic: {error}")
    image = f"of the {height}x{width} image"
    print(f"by gradient:   size {cell(measured.size)}; {unit} sees the box {measured.box} {image}")


def field_of(field):
    """A `ReceptiveField`, or why there is none, as an object."""
    return {"unknown": field} if isinstance(field, str) else field._asdict()


def draw_diagram(options):
    builder, arguments = find_network(options.network, options.argument)
    diagram(builder(**arguments), options.out)
    print(options.out)


def draw_figures(options):
    flags = (options.layer, options.figure, options.out, options.feature, options.against, options.data_dir)
    print(visualize(options.source, options.images, *flags)[-1])


def shown(value):
    return f"{value:,}" if isinstance(value, int) else cell(value)


def paper_row(row):
    """A row of the paper's table in few words: 11x11/4 pad 0, 55x55x96, 34,944 parameters."""
    words = []
    if row["kernel"]:
        padding = f" pad {row['padding']}" if row["padding"] else ""
        words.append(f"{row['kernel']}x{row['kernel']}/{row['stride']}{padding}")
    words.append(row["output_shape"])
    parameters = sum(int(row[part]) for part in ("weights", "biases", "gamma_beta"))
    return ", ".join([*words, f"{parameters:,} parameters"] if parameters else words)


def export(options):
    model, preprocessing, labels = load_source(options.source)
    print(f"exporting {model.name}, of {model.count_params():,} parameters", file=sys.stderr)
    keras_cnns.export(model, options.path, preprocessing, labels, options.force, options.format)
    print(f"{model.name} written to {options.path}")


def predict(options):
    if not any(Path(image).exists() for image in options.image):
        raise ValueError(f"there is no image {', '.join(options.image)}.")
    if not (Path(options.saved_model) / "saved_model.pb").exists():
        raise ValueError(f"{options.saved_model} is no SavedModel.")
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


def progress(paths):
    """The paths one by one, on a terminal with a bar that tells how many are done."""
    return tqdm(paths, unit="image", disable=None if len(paths) > 1 else True)


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
    for start in tqdm(range(0, len(paths), AT_ONCE), "features", unit=" batches", disable=len(paths) < 10 * AT_ONCE):
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
    print(f"{options.out / 'features.npy'}: {len(names)} images, {features.shape[1]} features each")
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


if __name__ == "__main__":
    sys.exit(main())
