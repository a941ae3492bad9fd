"""What the site is made from: the builders' modules, the reproduction scripts, their records, the list of claims."""

import ast
import csv
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import keras_cnns

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "reproductions/results"
AREAS = {
    "classification": "Classification",
    "segmentation": "Segmentation",
    "detection": "Detection",
    "generative": "Generation",
    "self_supervised": "Without labels",
}
ID = re.compile(r"[A-Z]\d")


class Paper(NamedTuple):
    """A builder's module: what it says of its paper."""

    area: str
    module: str  # vgg
    title: str  # VGG: Simonyan & Zisserman, "Very Deep Convolutional ...", ICLR 2015.
    text: str  # deviations, and what else there is to say

    @property
    def short(self):
        return self.title.partition(":")[0]


class Script(NamedTuple):
    """A reproduction script."""

    name: str
    title: str
    text: str  # its documentation after the title, Markdown
    commands: list[str]
    builders: frozenset[str]  # of the networks that it trains or measures
    ids: frozenset[str]  # of the claims that it decides

    @property
    def short(self):
        return self.title.partition(": ")[0].rstrip(".")

    @property
    def paper(self):
        return self.title.partition(": ")[2]


class Claim(NamedTuple):
    id: str
    claim: str
    modules: tuple[str, ...]  # of the networks that it is about


def papers():
    """From each builder's name to its `Paper`."""
    found = {}
    for name in keras_cnns.builders():
        module = inspect.getmodule(getattr(keras_cnns, name))
        _, area, last = module.__name__.split(".")
        title, text = first_paragraph(inspect.cleandoc(module.__doc__))
        found[name] = Paper(area, last, title, text)
    return found


def first_paragraph(documentation):
    title, _, text = documentation.partition("\n\n")
    return " ".join(title.split()), text


def scripts(folder=ROOT / "reproductions"):
    """The scripts of a folder that answer for a paper's figures, or have a record, by name."""
    all_papers, recorded = papers(), {script_of(record) for record in records().values()}
    trees = {file.stem: ast.parse(file.read_text()) for file in sorted(folder.glob("*.py"))}
    found = {}
    for name, tree in trees.items():
        documentation = ast.get_docstring(tree) or ""
        if name not in recorded and not re.search(r"^Paper: ", documentation, re.MULTILINE):
            continue
        title, text = first_paragraph(documentation)
        commands = re.findall(rf"^    (python -m reproductions\.{name}\b.*)", documentation, re.MULTILINE)
        own = builders_in(name, trees, all_papers)
        if not own:  # a small network of its own: it belongs to the paper that its title names
            own = {each for each, paper in all_papers.items() if same_paper(paper.title, title)}
        found[name] = Script(name, title, text, commands, frozenset(own), frozenset(ids_in(tree)))
    return found


def builders_in(name, trees, all_papers):
    """The builders that a script imports, or names whose modules it imports; or, of a study, its trainings' scripts."""
    modules = {f"keras_cnns.{paper.area}.{paper.module}": paper.module for paper in all_papers.values()}
    used = set()
    for node in ast.walk(trees[name]):
        if isinstance(node, ast.ImportFrom):
            module = modules.get(node.module)
            names = {alias.name for alias in node.names}
            used |= names & all_papers.keys()
            if module and not names & all_papers.keys():
                used |= {each for each, paper in all_papers.items() if paper.module == module}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Training":
            other = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            used |= builders_in(other, trees, all_papers) if other in trees else set()
    return used


def ids_in(tree):
    """The ids of claims in a script's code. C0 to C9 may be colours: only those count that stand first in something."""
    found = set()
    for node in ast.walk(tree):
        parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else [None]
        first = parts[0] if parts else None
        for each, is_first in ((first, True), (node, False)):
            word = each.value if isinstance(each, ast.Constant) else None
            if isinstance(word, str) and ID.fullmatch(word) and (is_first or word[0] != "C"):
                found.add(word)
    return found


def same_paper(title, other):
    """Whether two titles name one paper; one of them may leave out the year."""
    (author, year), (other_author, other_year) = author_and_year(title), author_and_year(other)
    return author == other_author and (year == other_year or None in (year, other_year))


def author_and_year(title):
    """The first author and the year of a title such as `VGG: Simonyan & Zisserman, "...", ICLR 2015, section 2.`"""
    author = re.search(r": ([\w-]+)", title)
    year = re.search(r"(?:19|20)\d\d", title)
    return author and author[1], year and year[0]


@cache
def records(folder=RESULTS):
    """The committed records, by name; those of trainings and studies have a "script"."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def script_of(record):
    """The name of the script that made a record."""
    return record["command"].split()[2].removeprefix("reproductions.")


def claims():
    """All claims, by id; ids that only a record has come last."""
    with (Path(__file__).parent / "claims.csv").open(newline="") as file:
        found = {
            row["id"]: Claim(row["id"], row["claim"], tuple(row["modules"].split())) for row in csv.DictReader(file)
        }
    for record in records().values():
        for row in record["claims"]:
            found.setdefault(row["id"], Claim(row["id"], row["statement"].strip(), ()))
    return {id: claim for id, claim in found.items() if id}


def rows_of(id):
    """What was decided of a claim: a list of (the record's name, its row)."""
    return [(name, row) for name, record in records().items() for row in record["claims"] if row["id"] == id]


def networks_of(name, record, all_papers, all_scripts):
    """The builders whose network a record is about."""
    model = (record.get("model") or {}).get("name")
    if model in all_papers:
        return {model}
    script = all_scripts.get(script_of(record))
    return set(script.builders) if script else set()
