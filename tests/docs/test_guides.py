"""The code of README and the guides runs, on photographs that scikit-learn brings and without a download."""

import base64
import json
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_cnns.__main__ import command_line
from reproductions.run import parse

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"
PAGES = [README, DOCS / "index.md", *sorted((DOCS / "guides").glob("*.md"))]
STUDY = (DOCS.parent / "reproductions/study.py").read_text() + (DOCS.parent / "reproductions/record.py").read_text()
UNTRAINED = {'weights="imagenet"': "weights=None", 'weights="IMAGENET1K_V1"': "weights=None"}  # no download
SMALLER = {
    "224": "64",
    "256": "72",
    "range(0, 3)": "range(0, 1)",
    "range(3, 8)": "range(1, 2)",
}


def blocks(page, language):
    return re.findall(rf"^```{language}.*?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with `photo.jpg`, and `photos` of two classes."""
    monkeypatch.chdir(tmp_path)
    for name in ("china", "flower"):
        photo = Image.fromarray(load_sample_image(f"{name}.jpg"))
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            part = photo.crop((60 * number, 40 * number, 60 * number + 120, 40 * number + 100))
            part.save(tmp_path / f"photos/{name}/{number}.jpg")
        photo.save(tmp_path / "photo.jpg")


def run(page, **changes):
    """The names that a page's Python code leaves, run from top to bottom with some words changed."""
    left = {}
    for block in blocks(page, "python"):
        for words, others in {**UNTRAINED, **changes}.items():
            block = block.replace(words, others)
        exec(compile(block, str(page), "exec"), left)
    return left


@pytest.mark.parametrize("name", ["index", "guides/clusters"])
def test_short_pages(name, photos, capsys):
    run(DOCS / f"{name}.md")
    assert {"index": "conv0 conv (32, 32, 16) 432", "guides/clusters": "1 replicas"}[name] in capsys.readouterr().out


@pytest.mark.slow
def test_keras_applications(photos, capsys):
    run(DOCS / "guides/keras-applications.md")
    assert "(1, 2048)" in capsys.readouterr().out


def test_torchvision(photos):
    pytest.importorskip("torchvision")
    run(DOCS / "guides/torchvision.md")


@pytest.mark.slow
def test_fine_tuning(photos):
    left = run(DOCS / "guides/fine-tune.md", **SMALLER)
    assert left["train"].labels == ["china", "flower"]
    saved = tf.saved_model.load("photos_model")
    answer = saved.signatures["bytes"](bytes=tf.constant([Path("photo.jpg").read_bytes()]))
    assert set(answer["labels"][0].numpy()) == {b"china", b"flower"}


@pytest.mark.slow
def test_serving(photos):
    """The guide's request, from the shell and from Python, is what the server would give the signature."""
    page = DOCS / "guides/serve.md"
    left = run(page)
    (told,) = (block for block in blocks(page, "sh") if "request.json" in block)
    subprocess.run(["bash", "-c", told.partition("curl")[0]], check=True)  # curl sends it
    request = json.loads(Path("request.json").read_text())
    assert request == json.loads(left["request"])
    files = [base64.b64decode(instance["b64"]) for instance in request["instances"]]
    answer = left["classifier"].signatures[request["signature_name"]](tf.constant(files))
    assert {name: len(rows) for name, rows in answer.items()} == {"probabilities": 1, "classes": 1, "labels": 1}
    gathered = left["classifier"].signatures["bytes"](tf.constant(3 * files))  # as by the server's batching
    assert gathered["probabilities"].shape == (3, 10)


@pytest.mark.slow
def test_tensorboard(photos):
    left = run(DOCS / "guides/tensorboard.md")
    assert "epoch_loss" in left["events"].Tags()["tensors"]


@pytest.mark.slow
def test_readme(photos, capsys):
    left = run(README)
    assert left["answer"]["labels"].shape == (1, 5) and set(left["answer"]["labels"][0].numpy().astype(str)) < set(
        left["labels"]
    )


def test_commands_of_scripts_are_understood():
    """Every `python -m reproductions.NAME FLAGS` names a script and flags that it has."""
    found = 0
    for page in PAGES:
        for name, flags in re.findall(r"python -m reproductions\.(\w+)([^\n#`]*)", commands(page)):
            found += 1
            module = import_module(f"reproductions.{name}")
            if hasattr(module, "recipe"):
                parse(module.recipe, name, shlex.split(flags))
            else:  # a study, or a script that trains nothing
                known = re.findall(r"--[a-z-]+", Path(module.__file__).read_text() + STUDY)
                assert set(re.findall(r"--[a-z-]+", flags)) <= set(known), (name, flags)
    assert found >= 40


def test_commands_of_the_library_are_understood():
    found = 0
    for page in PAGES:
        for words in re.findall(r"(?:^keras-cnns|python -m keras_cnns) ([^\n#;|]+)", commands(page), re.MULTILINE):
            found += 1
            command_line("keras-cnns").parse_args(shlex.split(words))
    assert found >= 15


def commands(page):
    return "\n".join(blocks(page, "sh")).replace("\\\n", " ")


def test_readmes_claims_are_those_of_the_records():
    """The last column of its table of networks names every claim that a committed record is about, and no other."""
    rows = re.findall(r"^\|.*\| ([A-Z0-9 ]*) ?\|$", README.read_text(), re.MULTILINE)
    told = {id for row in rows for id in row.split()}
    records = [json.loads(file.read_text()) for file in (DOCS.parent / "reproductions/results").glob("*.json")]
    assert told == {claim["id"] for record in records for claim in record.get("claims", ())} - {None}
