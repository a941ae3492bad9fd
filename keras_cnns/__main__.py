"""The command line: `keras-cnns --help`, or `python -m keras_cnns --help`."""

import argparse
import os
import sys
import traceback
from pathlib import Path

import keras_cnns
from keras_cnns.commands.networks import (
    describe,
    draw_diagram,
    draw_figures,
    list_networks,
    show_receptive_field,
)
from keras_cnns.commands.photographs import detect, draw_samples, embed, export, predict, segment
from keras_cnns.extras import Extra
from keras_cnns.inspection.paper_table import paper_tables
from keras_cnns.inspection.visualize import FIGURES

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
    """Run a command, of these arguments or the process's own, and return its exit status."""
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
    """The parser of all commands."""
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
    """Print the script of a shell."""
    parser = command_line("keras-cnns")
    for command in parser._subparsers._group_actions[0].choices.values():  # argparse has no other way to them
        for argument in command._actions:
            if argument.dest == "network":
                argument.choices = sorted({*keras_cnns.builders(), *paper_tables()})
            elif argument.dest in FILES:
                argument.complete = shtab.FILE
    print(shtab.complete(parser, options.shell))


if __name__ == "__main__":
    sys.exit(main())
