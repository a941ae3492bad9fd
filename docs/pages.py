"""The generated pages of the site, Markdown."""

import importlib
import inspect
from collections import Counter
from html import escape

import keras_cnns
from docs.sources import AREAS, RESULTS, ROOT, author_and_year, rows_of, script_of
from keras_cnns.inspection.paper_table import paper_tables, parse_call
from reproductions.report import experiment, made, shown

MOST = 700  # rows of a table; ResNet-1202 has 3,005
HEADS = ("layer", "kind", "window", "output", "parameters", "multiply-adds")  # the paper's kind is ours
GROUPS = {"C": "Convolution", **dict.fromkeys("AZVGRD", "Classification"), "S": "Segmentation", "B": "Detection"}
GROUPS |= {"N": "Generation", "P": "Without labels"}
OPEN = 60  # rows of a table that is not folded
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
        scripts: that train or measure it, and `records`: that are about it, by name; all of them are made by one.
        claims: about it.
    """
    tables = tables_of(builder)
    links = ["Layers beside the paper's", "Recipe", *["Claims"] * bool(claims), *["Recorded runs"] * bool(records)]
    parts = [
        "---\nhide: [toc]\n---",  # the table of layers is wide
        f"# {builder}",
        f"*{paper.title}*",
        " · ".join(f"[{each}](#{each.lower().replace(' ', '-').replace(chr(39), '')})" for each in links),
        facts(builder, [networks[table] for table in tables]),
        use(builder, networks[tables[0]]),
    ]
    for table in tables:
        title = f"**`{networks[table]['calls'][0]}`**" if len(tables) > 1 else ""
        parts += [title, diagram_of(table, networks[table])]
    parts += [paper.text and f"## Choices and deviations\n\n{paper.text}"]
    parts += ["## Layers beside the paper's", EXPLANATION] if tables else []
    parts += [layers_beside(table, networks[table], unfolded=table == tables[0]) for table in tables]
    parts += ["## Recipe", *(recipe(script) for script in scripts.values())]
    parts += [] if scripts else ["No script trains it yet."]
    if claims:
        parts += ["## Claims", claims_beside(claims)]
    if records:
        parts += [
            "## Recorded runs",
            *(run(name, record, scripts[script_of(record)]) for name, record in records.items()),
        ]
    parts += ["## Signature and source", f"::: {inspect.getmodule(getattr(keras_cnns, builder)).__name__}.{builder}"]
    parts[-1] += (
        "\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n      show_source: true"
    )
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


def layers_beside(table, network, unfolded):
    """The table of a network's layers beside its paper's, HTML that can be folded and is not searched."""
    rows, left_out = network["rows"], 0
    if len(rows) > MOST:
        left_out = len(rows) - 120
        rows = [*rows[:80], None, *rows[-40:]]
    same = sum(not differs for _, _, differs in network["rows"])
    lines = [
        f'<details class="layers" data-search-exclude{" open" * (unfolded and len(rows) <= OPEN)}>',
        f"<summary><code>{escape(network['calls'][0])}</code>: {same:,} of {len(network['rows']):,} rows equal the "
        "paper's</summary>",
        '<div class="wide"><table class="rows"><thead>',
        '<tr><th colspan="6">ours</th><th></th><th colspan="5">the paper\'s</th></tr>',
        f"<tr>{''.join(f'<th>{head}</th>' for head in HEADS)}<th></th>",
        f"{''.join(f'<th>{head}</th>' for head in HEADS if head != 'kind')}</tr></thead><tbody>",
    ]
    for row in rows:
        if row is None:
            lines.append(f'<tr><td colspan="12">{left_out:,} rows of the same blocks are not shown here</td></tr>')
            continue
        ours, theirs, differs = row
        mark = f'<td class="differs" title="{escape(", ".join(differs))}">≠</td>' if differs else "<td>=</td>"
        lines.append(f"<tr>{cells(ours)}{mark}{cells(theirs, kind=False)}</tr>")
    file = f"<code>python -m keras_cnns describe {table}</code> prints it; the paper's rows are "
    lines += ["</tbody></table></div>", f"<p>{file}<code>keras_cnns/papers/{table}.csv</code>.</p>", "</details>"]
    return "\n".join(lines)


def cells(row, kind=True):
    if row is None:
        return "<td>–</td>" * (len(HEADS) - (not kind))
    window = ""
    if row["kernel"]:
        window = f"{row['kernel']}/{row['stride']}" + (f", {row['padding']}" if row["padding"] else "")
        window += f", {row['groups']} groups" if row["groups"] not in ("", "1") else ""
    weights, biases, gamma_beta = (number(row[part]) for part in ("weights", "biases", "gamma_beta"))
    parameters = " + ".join(part for part in (weights or gamma_beta, biases) if part)
    texts = (row["name"], *[row["kind"]] * kind, window, row["output_shape"], parameters, number(row["multiply_adds"]))
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def number(text):
    """A count with its thousands apart; nothing for 0."""
    return f"{int(text):,}" if text and int(text) else ""


def recipe(script):
    commands = "\n".join(script.commands or [f"python -m reproductions.{script.name}"])
    return f"**[{script.short}](../reproductions/{script.name}.md)**: {script.paper}\n\n```sh\n{commands}\n```"


def run(name, record, script):
    """A record in short, with its picture and the pictures of its network."""
    pictures = [f"{name}.png", f"{name}-examples.png", *(f"{name}/{each.name}" for each in figures_of(name))]
    pictures = [f"![{script.short}](../reproductions/results/{each})" for each in pictures if (RESULTS / each).exists()]
    heading = f"### [{script.short}](../reproductions/{script.name}.md): {name}"
    return joined([heading, verdicts_table(record["claims"]), *pictures])


def figures_of(name):
    folder = RESULTS / name
    return sorted(folder.glob("*.png")) if folder.is_dir() else []


def verdicts_table(rows):
    """The rows of a record's claims: the verdict first, so that a phone shows it, the rule under the claim."""
    lines = ["| | verdict | claim | the paper's | ours |", "|---|---|---|---|---|"]
    for row in rows:
        claim = f"{row['statement'].strip()}<br><small>rule: {escape(row.get('rule', 'equal'), quote=False)}</small>"
        cells = (f"[{row['id']}](../claims/{row['id']}.md)" if row["id"] else "", verdict(row["verdict"]), claim)
        lines.append(f"| {' | '.join([*cells, shown(row['paper']), shown(row['ours'])])} |")
    return "\n".join(lines)


def verdict(words, count=1):
    kind = "holds" if words == "holds" else "fails" if words == "does not hold" else "open"
    return f'<span class="verdict {kind}">{words}</span>' + (f" ×{count}" if count > 1 else "")


def claims_beside(claims):
    lines = ["| | claim | verdicts here |", "|---|---|---|"]
    lines += [f"| [{each.id}](../claims/{each.id}.md) | {each.claim} | {verdicts(each.id)} |" for each in claims]
    return "\n".join(lines)


def verdicts(id):
    """What the records say of a claim, in a few words."""
    counts = Counter(row["verdict"] for _, row in rows_of(id))
    return " ".join(verdict(words, count) for words, count in sorted(counts.items())) or "no record yet"


def networks_page(papers, networks):
    """All networks on one page."""
    parts = [
        "# Networks",
        "Every builder returns a Keras model; every row of its layer table is compared with its paper's.",
    ]
    for area, builders in by_area(papers).items():
        lines = ["| year | paper | builder | parameters | rows compared |", "|---|---|---|---|---|"]
        for builder in builders:
            made = [networks[table] for table in tables_of(builder)]
            counts = [network["trainable"] for network in made]
            span = f"{min(counts):,}" + (f" to {max(counts):,}" if len(set(counts)) > 1 else "")
            rows = sum(len(network["rows"]) for network in made)
            paper = papers[builder]
            year = author_and_year(paper.title)[1]
            lines.append(f"| {year} | {paper.short} | [`{builder}`]({builder}.md) | {span} | {rows:,} |")

        parts += [f"## {area}", "\n".join(lines)]
    return joined(parts)


def by_area(papers):
    """From an area's title to its builders, in the order of their papers' years."""
    found = {}
    for builder, paper in sorted(papers.items(), key=lambda each: (author_and_year(each[1].title)[1], each[1].title)):
        found.setdefault(AREAS[paper.area], []).append(builder)
    return {title: found[title] for title in AREAS.values() if title in found}


def claim_page(claim, papers, scripts, records):
    """A claim's page: what is claimed, where it is decided, what came out."""
    parts = [f"# {claim.id}: {claim.claim}"]
    about = [builder for builder, paper in papers.items() if paper.module in claim.modules]
    parts += [f"About: {', '.join(f'[`{each}`](../networks/{each}.md)' for each in about)}."] if about else []
    decided = rows_of(claim.id)
    for name in dict.fromkeys(name for name, _ in decided):
        record, script = records[name], scripts[script_of(records[name])]
        parts.append(f"## {script.short}")
        parts.append(verdicts_table([row for each, row in decided if each == name]))
        whole = f"[the whole record](../reproductions/{script.name}.md)"
        parts.append(f"`{record['command']}`, {record['finished'][:10]}: {whole}. {script.paper}")
        if (RESULTS / f"{name}.png").exists():
            parts.append(f"![{script.short}](../reproductions/results/{name}.png)")
        parts += [f"![{each.name}](../reproductions/results/{name}/{each.name})" for each in figures_of(name)]
    here = {script_of(records[name]) for name, _ in decided}
    others = [script for script in scripts.values() if claim.id in script.ids and script.name not in here]
    if not decided:
        parts.append("No record decides it yet.")
    if others:
        parts += ["## Scripts that ask it, without a record yet"]
        parts += [
            "\n".join(f"- [{script.short}](../reproductions/{script.name}.md): {script.paper}" for script in others)
        ]
    return joined(parts)


def claims_page(claims):
    text = """# Claims

What the papers, and those who teach them, say of these networks. A verdict is *holds*, *does not hold* or *not
decided*, by a rule that stood in the script before the run; a claim that comes out false is shown as false. Runs here
are small, on two processor cores: what they decide of a paper's own figure, each page says."""
    parts = [text]
    for group, of_group in by_group(claims).items():
        parts += [f"## {group}", claims_beside(of_group).replace("../claims/", "")]
    return joined(parts)


def by_group(claims):
    """From the title of a group of claims to its claims, by the first letter of their ids."""
    found = {}
    for claim in claims.values():
        found.setdefault(GROUPS.get(claim.id[0], "Others"), []).append(claim)
    return found


def script_page(script, records):
    """A reproduction's page: what it is, how it is run, and its records."""
    parts = [f"# {script.short}", script.paper and f"*{script.paper}*", script.text]
    if script.builders:
        parts.append(
            "Networks: " + ", ".join(f"[`{each}`](../networks/{each}.md)" for each in sorted(script.builders)) + "."
        )
    for name, record in records.items():
        parts += [f"## Record: {name}", verdicts_table(record["claims"]), recorded(name, record)]
    parts += [] if records else ["There is no record of it yet."]
    return joined(parts)


def recorded(name, record):
    """A record as RESULTS.md has it, without its title and its claims."""
    if not record.get("script"):
        return f"`{record['command']}`; {made(record)}."
    return experiment(RESULTS / f"{name}.json", record, ROOT / "reproductions").split("\n\n", 2)[2]


def scripts_page(scripts, records):
    number = Counter(script_of(record) for record in records.values())
    lines = ["| script | what it does | records |", "|---|---|---|"]
    lines += [
        f"| [`{each.name}`]({each.name}.md) | {each.title} | {number[each.name] or ''} |" for each in scripts.values()
    ]
    text = (
        "A script a paper or experiment; `--help` tells its flags, `--smoke` tries it for a minute without a download."
    )
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
