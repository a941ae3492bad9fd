"""The command line: `python -m keras_cnns --help`."""

import argparse
import ast
import difflib
import inspect
import sys

import keras_cnns
from keras_cnns.inspection import layer_table
from keras_cnns.inspection.paper_table import cell, compare, find_table, paper_rows, paper_tables


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m keras_cnns", description=keras_cnns.__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="the builders, and the variants whose table a paper prints")
    command.set_defaults(run=list_networks)

    command = commands.add_parser("describe", help="a network's layer table beside its paper's, each row marked")
    command.add_argument("network", help="a name from `list`: alexnet, cifar_resnet20, resnet_cifar")
    command.add_argument("argument", nargs="*", help="arguments of its builder: depth=20 two_towers=False")
    command.set_defaults(run=describe)

    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def list_networks(options):
    for name in keras_cnns.builders():
        print(f"{name}{inspect.signature(getattr(keras_cnns, name))}")
    print("\nPrinted by a paper:")
    for name, call in paper_tables().items():
        print(f"  {name:28} {call}")


def find_network(name, arguments):
    """The builder and its arguments for a name of `list` and a list of `key=value`."""
    tables = paper_tables()
    call = tables.get(name, f"{name}()")
    function, _, values = call.partition("(")
    if function not in keras_cnns.builders():
        names = sorted({*keras_cnns.builders(), *tables})
        near = difflib.get_close_matches(name, names, n=3) or names
        raise ValueError(f"there is no network {name!r}; did you mean {', '.join(near)}?")
    values = eval(f"dict({values}")
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ValueError(f"argument {argument!r} is not of the form key=value.")
        try:
            values[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[key] = value
    builder = getattr(keras_cnns, function)
    try:
        inspect.signature(builder).bind(**values)
    except TypeError as error:
        raise ValueError(f"{function}: {error}; its arguments are {inspect.signature(builder)}.") from None
    return builder, values


def describe(options):
    builder, arguments = find_network(options.network, options.argument)
    model = builder(**arguments)
    rows = layer_table(model)
    table = find_table(builder, arguments)
    pairs = compare(rows, paper_rows(table)) if table else [(row, None, None) for row in rows]

    columns = ["name", "kind", "kernel", "stride", "padding", "groups", "output_shape", "weights", "biases"]
    columns += ["gamma_beta", "multiply_adds"]
    lines = [["", *columns]]
    different = 0
    for ours, theirs, difference in pairs:
        mark = "" if difference is None else "!" if difference else "="
        lines.append([mark, *(shown(getattr(ours, column)) if ours else "-" for column in columns)])
        if difference:
            different += 1
            lines.append(["", *(said(theirs, column, difference) for column in columns)])
    totals = [sum(getattr(row, part) for row in rows) for part in ("weights", "biases", "gamma_beta", "multiply_adds")]
    lines.append(["", "total", *[""] * 6, *map(shown, totals)])

    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        left, right = list(zip(line, widths, strict=True))[:3], list(zip(line, widths, strict=True))[3:]
        cells = [f"{text:<{width}}" for text, width in left] + [f"{text:>{width}}" for text, width in right]
        print("  ".join(cells).rstrip())
    print(f"\n{model.name}: {sum(totals[:3]):,} trainable parameters, {model.count_params():,} with moving statistics")
    if table is None:
        print("No paper prints this variant; nothing was compared.")
    elif different:
        print(f"{different} of {len(pairs)} rows differ from the paper's (papers/{table}.csv), marked !")
    else:
        print(f"= every one of {len(pairs)} rows equals the paper's (papers/{table}.csv)")
    return 1 if different else 0


def shown(value):
    return f"{value:,}" if isinstance(value, int) else cell(value)


def said(theirs, column, difference):
    """What the paper says in one cell, for the line under a row that differs."""
    if theirs is None:
        return "the paper has no such row" if column == "name" else ""
    if difference == ["row"]:
        return theirs[column]
    return f"paper: {theirs[column]}" if column in difference else ""


if __name__ == "__main__":
    sys.exit(main())
