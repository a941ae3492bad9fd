"""Commands about a network by its name: `list`, `describe`, `receptive-field`, `diagram`; and `visualize`."""

import ast
import difflib
import inspect

import keras_cnns
from keras_cnns.commands import print_json
from keras_cnns.inspection import diagram, layer_table, measured_receptive_field, receptive_field
from keras_cnns.inspection.paper_table import cell, compare, find_table, paper_rows, paper_tables, parse_call
from keras_cnns.inspection.receptive_field import receptive_fields
from keras_cnns.inspection.visualize import visualize


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
