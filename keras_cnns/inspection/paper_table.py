"""The papers' tables (`keras_cnns/papers/*.csv`), and a network beside its own.

A table's first line is the call that builds its network, or several that build the same. An empty cell is what the
paper leaves open; a padding of "0+1" is none before and one after.
"""

import csv
import inspect
from importlib import resources
from itertools import zip_longest

from keras_cnns.inspection.layer_table import Row

COMPARED = [field for field in Row._fields if field != "name"]


def paper_tables():
    """All papers' tables: from a name, `vgg_D`, to the calls that build it, `["vgg(configuration='D')", "vgg16()"]`."""
    tables = {}
    for file in sorted(resources.files("keras_cnns.papers").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".csv"):
            calls = file.read_text().partition("\n")[0].removeprefix("# ")
            tables[file.name.removesuffix(".csv")] = calls.split(" = ")
    return tables


def paper_rows(name):
    """The rows of one paper's table, as dicts of strings; an empty string is what the table does not say."""
    text = (resources.files("keras_cnns.papers") / f"{name}.csv").read_text()
    return list(csv.DictReader(text.splitlines()[1:]))


def parse_call(call):
    """The builder's name and the arguments, a dict, of a call as a table's first line has it."""
    builder, _, arguments = call.partition("(")
    return builder, eval(f"dict({arguments}")


def find_table(builder, arguments):
    """The name of the table of `builder(**arguments)`, or None if no paper prints it."""

    def bound(arguments):
        call = inspect.signature(builder).bind(**arguments)
        call.apply_defaults()
        return {key: value for key, value in call.arguments.items() if key != "name"}

    for name, calls in paper_tables().items():
        for function, theirs in map(parse_call, calls):
            if function == builder.__name__ and bound(theirs) == bound(arguments):
                return name
    return None


def compare(rows, paper):
    """Pair ours with the paper's rows, in order: a list of (our `Row` or None, paper's dict or None, what differs).

    Where a map's size or the number of boxes is free, the other parts of the shape are compared, and nothing else that
    follows from what is free.
    """
    pairs = []
    for ours, theirs in zip_longest(rows, paper):
        if ours is None or theirs is None:
            pairs.append((ours, theirs, ["row"]))
            continue
        cells = {field: cell(getattr(ours, field)) for field in COMPARED}
        told = {field: theirs[field] for field in COMPARED if theirs[field]}
        if None in ours.output_shape:
            told |= {field: cells[field] for field in ("padding", "multiply_adds")}
            parts = zip(cells["output_shape"].split("x"), told["output_shape"].split("x"), strict=False)
            told["output_shape"] = "x".join("?" if own == "?" else part for own, part in parts)
        pairs.append((ours, theirs, [field for field in told if cells[field] != told[field]]))
    return pairs


def cell(value):
    """A table cell as the CSV prints it: 55x55x96 for a shape, nothing for None."""
    if value is None:
        return ""
    return "x".join("?" if part is None else str(part) for part in value) if isinstance(value, tuple) else str(value)
