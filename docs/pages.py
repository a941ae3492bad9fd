"""The generated pages of the site, Markdown."""

import csv
import importlib
import inspect
from collections import Counter
from html import escape

import keras_cnns
from docs.sources import AREAS, RESULTS, ROOT, rows_of, script_of
from keras_cnns.inspection.paper_table import paper_tables, parse_call
from reproductions.report import claims as claims_table
from reproductions.report import experiment, title_of

MOST = 700  # rows of a table; ResNet-1202 has 3,005
HEADS = ("layer", "kind", "window", "output", "parameters", "multiply-adds")
MARKS = {"holds": "✓", "does not hold": "✗"}
FUNCTIONS = ("export", "load_keras_applications", "load_torchvision", "load_layers")
API = {
    "keras_cnns": "Export, and weights from elsewhere",
    "classification": "Classification",
    "segmentation": "Segmentation",
    "detection": "Detection",
    "generative": "Generation",
    "self_supervised": "Learning without labels",
    "inspection": "Looking into a network",
    "data": "Data",
    "training": "Training",
    "evaluation": "Evaluation",
    "layers": "Layers",
    "losses": "Losses",
    "ops": "Tensor functions",
}


def network_page(builder, paper, networks, scripts, records, claims):
    """A builder's page.

    Args:
        networks: what `docs.networks` made, by the table's name.
        scripts, records: those of this network.
        claims: about it.
    """
    tables = tables_of(builder)
    parts = [
        f"# {builder}",
        f"*{paper.title}*",
        facts(builder, [networks[table] for table in tables]),
    ]
    for table in tables:
        parts += [diagram_of(table, networks[table]), *([] if table != tables[0] else [use(builder, networks[table])])]
    parts += [paper.text and f"## Choices and deviations\n\n{paper.text}"]
    parts += ["## Layers beside the paper's", EXPLANATION] if tables else []
    parts += [layers_beside(table, networks[table], open_=table == tables[0] and len(tables) == 1) for table in tables]
    parts += ["## Recipe", *(recipe(script) for script in scripts)]
    parts += [] if scripts else ["No script trains it yet."]
    if claims:
        parts += ["## Claims", claims_beside(claims)]
    if records:
        parts += ["## Recorded runs", *(run(name, record) for name, record in records.items())]
    parts += ["## Signature and source", f"::: {inspect.getmodule(getattr(keras_cnns, builder)).__name__}.{builder}"]
    parts[-1] += "\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n      show_source: true"
    return joined(parts)


EXPLANATION = """Each row is a layer: ours on the left, the paper's on the right; **=** where all that the paper says of
it is the same. *Window* is kernel / stride, and padding in pixels; what a paper leaves open is not compared. Of
*parameters* biases stand after the +; multiply-adds are for one image."""


def joined(parts):
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def tables_of(builder):
    """The names of the papers' tables that a builder makes."""
    return [name for name, calls in paper_tables().items() if builder in [parse_call(call)[0] for call in calls]]


def facts(builder, made):
    lines = ["| call | input | parameters | rows equal the paper's |", "|---|---|---|---|"]
    for network in made:
        equal = sum(not differs for _, _, differs in network["rows"])
        calls = [call for call in network["calls"] if parse_call(call)[0] == builder] or network["calls"]
        lines.append(
            f"| `{calls[0]}` | {' and '.join(network['inputs'])} | {network['trainable']:,} | "
            f"{equal:,} of {len(network['rows']):,} |"
        )
    return "\n".join(lines)


def diagram_of(table, network):
    caption = f"{network['calls'][0]}: {network['totals']}"
    return f"[![{escape(caption, quote=False)}](diagrams/{table}.svg){{ .diagram loading=lazy }}](diagrams/{table}.svg)"


def use(builder, network):
    call = next(call for call in network["calls"] if parse_call(call)[0] == builder)
    _, arguments = parse_call(call)
    words = " ".join([builder, *(f"{key}={value}".replace(" ", "") for key, value in arguments.items())])
    return f"""```python
import keras_cnns

model = keras_cnns.{call}
```

```sh
python -m keras_cnns describe {words}
python -m keras_cnns receptive-field {words}
```"""


def layers_beside(table, network, open_):
    """The table of a network's layers beside its paper's, HTML that is folded and not searched."""
    rows, left_out = network["rows"], 0
    if len(rows) > MOST:
        left_out = len(rows) - 120
        rows = [*rows[:80], None, *rows[-40:]]
    same = sum(not differs for _, _, differs in network["rows"])
    lines = [
        f'<details class="layers" data-search-exclude{" open" * open_}>',
        f"<summary><code>{escape(network['calls'][0])}</code>: {same:,} of {len(network['rows']):,} rows equal the "
        "paper's</summary>",
        '<div class="wide"><table><thead>',
        '<tr><th colspan="6">ours</th><th></th><th colspan="6">the paper\'s</th></tr>',
        f"<tr>{''.join(f'<th>{head}</th>' for head in HEADS)}<th></th>",
        f"{''.join(f'<th>{head}</th>' for head in HEADS)}</tr></thead><tbody>",
    ]
    for row in rows:
        if row is None:
            lines.append(f'<tr><td colspan="13">{left_out:,} rows of the same blocks are not shown here</td></tr>')
            continue
        ours, theirs, differs = row
        mark = f'<td class="differs" title="{escape(", ".join(differs))}">≠</td>' if differs else "<td>=</td>"
        lines.append(f"<tr>{cells(ours)}{mark}{cells(theirs)}</tr>")
    file = f"<code>python -m keras_cnns describe {table}</code> prints it; the paper's rows are "
    lines += ["</tbody></table></div>", f"<p>{file}<code>keras_cnns/papers/{table}.csv</code>.</p>", "</details>"]
    return "\n".join(lines)


def cells(row):
    if row is None:
        return "<td>–</td>" * len(HEADS)
    window = ""
    if row["kernel"]:
        window = f"{row['kernel']}/{row['stride']}" + (f", {row['padding']}" if row["padding"] else "")
        window += f", {row['groups']} groups" if row["groups"] not in ("", "1") else ""
    weights, biases, gamma_beta = (number(row[part]) for part in ("weights", "biases", "gamma_beta"))
    parameters = " + ".join(part for part in (weights or gamma_beta, biases) if part)
    texts = (row["name"], row["kind"], window, row["output_shape"], parameters, number(row["multiply_adds"]))
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def number(text):
    """A count with its thousands apart; nothing for 0."""
    return f"{int(text):,}" if text and int(text) else ""


def recipe(script):
    commands = "\n".join(script.commands or [f"python -m reproductions.{script.name}"])
    return f"**[{script.title}](../reproductions/{script.name}.md)**\n\n```sh\n{commands}\n```"


def run(name, record):
    """A record in short, with its picture and the pictures of its network."""
    folder = RESULTS / name
    pictures = [f"{name}.png", f"{name}-examples.png"]
    pictures += [f"{name}/{file.name}" for file in sorted(folder.glob("*.png"))] if folder.is_dir() else []
    shown = [f"![{title_of(record)}](../reproductions/results/{each})" for each in pictures if (RESULTS / each).exists()]
    return joined([f"### [{title_of(record)}](../reproductions/{script_of(record)}.md)", claims_table(record["claims"]), *shown])


def claims_beside(claims):
    lines = ["| | claim | verdicts |", "|---|---|---|"]
    lines += [f"| [{each.id}](../claims/{each.id}.md) | {each.claim} | {verdicts(each.id)} |" for each in claims]
    return "\n".join(lines)


def verdicts(id):
    """What the records say of a claim, in a few words."""
    counts = Counter(row["verdict"] for _, row in rows_of(id))
    return ", ".join(
        f"{MARKS.get(verdict, '·')} {verdict}{f' ({count} figures)' * (count > 1)}" for verdict, count in counts.items()
    ) or "no record yet"


def networks_page(papers, networks):
    """All networks on one page."""
    parts = ["# Networks", "Every builder returns a Keras model; every row of its layer table is compared with its paper's."]
    for area, builders in by_area(papers).items():
        lines = ["| paper | builder | parameters | rows compared |", "|---|---|---|---|"]
        for builder in builders:
            made = [networks[table] for table in tables_of(builder)]
            counts = [network["trainable"] for network in made]
            span = f"{min(counts):,}" + (f" to {max(counts):,}" if len(set(counts)) > 1 else "")
            rows = sum(len(network["rows"]) for network in made)
            lines.append(f"| {papers[builder].title.split(', ')[0]} | [`{builder}`]({builder}.md) | {span} | {rows:,} |")
        parts += [f"## {area}", "\n".join(lines)]
    return joined(parts)


def by_area(papers):
    """From an area's title to its builders, in the order of the package."""
    found = {}
    for builder, paper in papers.items():
        found.setdefault(AREAS[paper.area], []).append(builder)
    return {title: found[title] for title in AREAS.values() if title in found}


def claim_page(claim, papers, scripts, records):
    """A claim's page: what is claimed, where it is decided, what came out."""
    parts = [f"# {claim.id}: {claim.claim}"]
    about = [builder for builder, paper in papers.items() if paper.module in claim.modules]
    parts += [f"About: {', '.join(f'[`{each}`](../networks/{each}.md)' for each in about)}."] if about else []
    decided = rows_of(claim.id)
    for name in dict.fromkeys(name for name, _ in decided):
        record, script = records[name], scripts.get(script_of(records[name]))
        title = title_of(record) if record.get("script") else script.title
        parts.append(f"## {title}")
        parts.append(claims_table([row for each, row in decided if each == name]))
        parts.append(f"`{record['command']}`, {record['finished'][:10]}: [the whole record](../reproductions/{script_of(record)}.md).")
        if (RESULTS / f"{name}.png").exists():
            parts.append(f"![{title}](../reproductions/results/{name}.png)")
    others = [script for script in scripts.values() if claim.id in script.ids]
    others = [script for script in others if script.name not in {script_of(records[name]) for name, _ in decided}]
    if not decided:
        parts.append("Not decided yet: there is no record.")
    if others:
        parts += ["## Scripts that ask it, without a record yet"]
        parts += ["\n".join(f"- [{script.title}](../reproductions/{script.name}.md)" for script in others)]
    return joined(parts)


def claims_page(claims):
    text = """# Claims

What the papers, and those who teach them, say of these networks. A verdict is *holds*, *does not hold* or *not decided*,
by a rule that stood in the script before the run; a claim that comes out false is shown as false. Runs here are small,
on two processor cores: what they decide of a paper's own figure, each page says."""
    return joined([text, claims_beside(claims.values()).replace("../claims/", "")])


def script_page(script, records):
    """A reproduction's page: what it is, how it is run, and its records."""
    parts = [f"# {script.title}", script.text]
    if script.builders:
        parts.append("Networks: " + ", ".join(f"[`{each}`](../networks/{each}.md)" for each in sorted(script.builders)) + ".")
    for name, record in records.items():
        parts += [f"## Record: {name}"] + [recorded(name, record)]
    parts += [] if records else ["There is no record of it yet."]
    return joined(parts)


def recorded(name, record):
    if not record.get("script"):
        return claims_table(record["claims"])
    return experiment(RESULTS / f"{name}.json", record, ROOT / "reproductions").partition("\n\n")[2]


def scripts_page(scripts, records):
    made = Counter(script_of(record) for record in records.values())
    lines = ["| script | what it does | records |", "|---|---|---|"]
    lines += [f"| [`{each.name}`]({each.name}.md) | {each.title} | {made[each.name] or ''} |" for each in scripts.values()]
    text = "A script a paper or experiment; `--help` tells its flags, `--smoke` tries it for a minute without a download."
    return joined(["# Reproductions", text, "\n".join(lines)])


def api_page(package):
    """The reference of a package from its docstrings."""
    if package == "keras_cnns":
        return joined([f"# {API[package]}", *(f"::: {home(keras_cnns, name)}" for name in FUNCTIONS)])
    module = importlib.import_module(f"keras_cnns.{package}")
    text = f"`keras_cnns.{package}`: {inspect.cleandoc(module.__doc__)}"
    builders = [name for name in module.__all__ if name in keras_cnns.builders()]
    links = ", ".join(f"[`{name}`](../networks/{name}.md)" for name in builders)
    others = [f"::: {home(module, name)}" for name in module.__all__ if name not in builders]
    return joined([f"# {API[package]}", text, links and f"The builders have pages of their own: {links}.", *others])


def home(module, name):
    """The dotted name under which a public thing is defined."""
    thing = getattr(module, name)
    return f"{getattr(thing, '__module__', module.__name__)}.{name}"
