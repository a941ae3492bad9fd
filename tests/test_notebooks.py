"""Notebooks are text that explains, imports, plots and ends with an exercise; in a short form each of them runs."""

import ast
import importlib
import re
import runpy
from pathlib import Path

import keras
import matplotlib
import pytest
from matplotlib import pyplot as plt

from reproductions import pictures

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]_*.py"))
LONGEST = 26  # lines of a cell
NETWORKS = ("keras.Model", "keras.Sequential", "keras.models", "keras.Input", "keras.layers")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(text):
    """(whether it is text, lines) of each cell of a percent script, and what stands before the first."""
    header, *parts = re.split(r"^# %%", text, flags=re.MULTILINE)
    return [(part.startswith(" [markdown]\n"), part.partition("\n")[2].strip().split("\n")) for part in parts], header


def faults(text):
    """What is wrong with a notebook, in words."""
    found, tree, (parts, _) = [], ast.parse(text), cells(text)
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for module in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        names |= {f"{module.module}.{alias.name}" for alias in module.names}
    if any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)):
        found.append("defines a class")
    found += [f"makes a network of its own: {name}" for name in NETWORKS if name in names]
    if not names & {"plt.show", "plt.subplots"}:
        found.append("has no picture")
    is_text, lines = parts[0]
    if not is_text or not re.match(r"# # \d\. \S", lines[0]):
        found.append("does not begin with its number and title")
    exercise = [lines for is_text, lines in parts[-3:] if is_text and "# ## Exercise" in lines]
    if not exercise or not any("You are right" in line for line in exercise[0]):
        found.append("does not end with an exercise that says how to know that the answer is right")
    found += [f"has a cell of {len(lines)} lines: {lines[0]}" for _, lines in parts if len(lines) > LONGEST]
    if re.search(r"""["'( ](/|~/|[A-Z]:\\)\w""", text):
        found.append("names a folder of a machine")
    if 'SHORT = "KERAS_CNNS_SHORT" in os.environ' not in text:
        found.append("has no short form")
    return found


@each_notebook
def test_a_notebook_explains_plots_and_ends_with_an_exercise(path):
    text = path.read_text()
    assert faults(text) == []
    parts, header = cells(text)
    assert "formats: ipynb,py:percent" in header and "name: python3" in header
    title = parts[0][1][0].removeprefix("# # ")
    assert f"[{title}]({path.name})" in (FOLDER / "README.md").read_text()


def test_faults_are_found():
    good = NOTEBOOKS[0].read_text()
    for old, new, fault in [
        ("plt.show()\n", "x = keras.layers.Dense(3)\n", "makes a network of its own: keras.layers"),
        ("import os\n", "from keras import Model\n", "makes a network of its own: keras.Model"),
        ("import os\n", "class Network:\n    pass\n", "defines a class"),
        ("plt.", "plot.", "has no picture"),
        ("# # 1. ", "# ", "does not begin with its number and title"),
        ("You are right", "Well", "does not end with an exercise that says how to know that the answer is right"),
        ("import os\n", "import os\n" * 30, "has a cell of"),
        ("import os\n", 'open("/home/me/photo.jpg")\n', "names a folder of a machine"),
        ("SHORT = ", "QUICK = ", "has no short form"),
    ]:
        assert old in good
        assert any(each.startswith(fault) for each in faults(good.replace(old, new))), fault


def test_no_outputs_are_kept():
    ignored = (FOLDER.parent / ".gitignore").read_text().split("\n")
    assert "notebooks/*.ipynb" in ignored


def test_the_scripts_pictures_leave_a_notebook_its_backend(monkeypatch):
    plt.switch_backend("svg")  # in the place of Jupyter's
    monkeypatch.setenv("MPLBACKEND", "svg")
    importlib.reload(pictures)
    assert matplotlib.get_backend() == "svg"
    monkeypatch.delenv("MPLBACKEND")
    importlib.reload(pictures)
    assert matplotlib.get_backend().lower() == "agg"


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs_in_its_short_form(path, tmp_path, monkeypatch):
    shown = []

    def show():
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()
            shown.append(figure)
        plt.close("all")

    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", show)
    monkeypatch.setenv("KERAS_CNNS_SHORT", "1")
    monkeypatch.chdir(tmp_path)
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        keras.backend.clear_session()
    assert shown
