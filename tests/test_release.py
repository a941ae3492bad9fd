"""What is released: the types of the public functions, the wheel and the sdist, and an installation without extras."""

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import keras_cnns

ROOT = Path(__file__).parents[1]
PACKAGES = (
    *("classification", "data", "detection", "evaluation", "export", "generative", "inspection", "layers", "losses"),
    *("ops", "segmentation", "self_supervised", "training"),
)


def untyped(function):
    """The names of what has no type: parameters but the rest of a call, and "return"."""
    signature = inspect.signature(function)
    rest = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    given = {each.name: each.annotation for each in signature.parameters.values() if each.kind not in rest}
    if not inspect.isclass(function):
        given["return"] = signature.return_annotation
    return [name for name, annotation in given.items() if annotation is inspect.Parameter.empty]


def test_what_has_no_type_is_found():
    class Wrong:
        def __init__(self, size: int, name="wrong", **rest): ...

    assert untyped(Wrong) == ["name"]
    assert untyped(lambda x, *others: x) == ["x", "return"]


@pytest.mark.parametrize("package", ["keras_cnns", *(f"keras_cnns.{name}" for name in PACKAGES)])
def test_public_functions_have_types(package):
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in getattr(module, "__all__", ("export", "load_source"))}
    own = {name: each for name, each in public.items() if callable(each) and has_own_arguments(each)}
    assert own and {name: untyped(each) for name, each in own.items() if untyped(each)} == {}


def has_own_arguments(each):
    """Whether a function, or the arguments of a class, are written in this library and not inherited."""
    if not inspect.isclass(each):
        return True
    return "__init__" in vars(each) and each.__init__.__module__.startswith("keras_cnns")


def test_the_version_is_that_of_the_changelog_and_the_citation():
    version = keras_cnns.__version__.removesuffix(".dev0")
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    released = version == keras_cnns.__version__
    assert heading.split()[1] == version and heading.endswith("(not released)") == (not released)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, built from a copy of the tree; the wheel from the sdist, as `python -m build` does."""
    folder = tmp_path_factory.mktemp("release")
    unwanted = shutil.ignore_patterns("__pycache__", "*.png")
    for name in ("keras_cnns", "reproductions", "tests"):
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=unwanted)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, folder / "tree")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "tree"]
    subprocess.run(words, check=True, capture_output=True)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_the_archives_hold_the_library_and_the_scripts_and_no_tests(built):
    wheel, sdist = built
    tree = [path.relative_to(ROOT).as_posix() for name in ("keras_cnns", "reproductions") for path in walk(ROOT / name)]
    assert "keras_cnns/py.typed" in tree and "keras_cnns/papers/alexnet.csv" in tree
    assert "reproductions/resnet_digits.py" in tree and any(name.startswith("reproductions/results/") for name in tree)
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name for name in names if ".dist-info/" not in name) == sorted(tree)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tree, "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= sources
    assert not any(name.startswith(("tests", "benchmarks", "runs")) for name in sources)


def walk(folder):
    """What the wheel must hold of a folder: the code, the papers' tables, the mark of types and the records."""
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".csv", ".typed")]
    return files + list(folder.glob("results/*.json"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The scripts' folder of an environment with the wheel, and with what its core dependencies bring and no more."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    (libraries,) = folder.glob("lib/python*/site-packages")
    wheel = zipfile.ZipFile(built[0])
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().partition("\n\n")[0].splitlines()
    core = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    for name in closure(core):
        found = distribution(name)
        for top in {path.parts[0] for path in found.files} - {"..", "__pycache__"}:
            link = libraries / top
            if not link.exists():
                link.symlink_to(found.locate_file(top))
    words = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-index", "--no-compile"]
    subprocess.run([*words, "--disable-pip-version-check", "--no-deps", built[0]], check=True, capture_output=True)
    return folder / "bin"


def closure(requirements):
    """The names of the packages that requirements bring, without extras."""
    names, waiting = set(), list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and name not in names:
            names.add(name)
            waiting += requires(name) or []
    return names


def run(words, folder):
    """A command in a folder outside of the repository, with no path to it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_installed_command_runs_elsewhere(installed, tmp_path):
    listed = run([installed / "keras-cnns", "list", "--json"], tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")  # not TensorFlow's notes, either
    answer = json.loads(listed.stdout)
    assert list(answer["builders"]) == keras_cnns.builders() and "cifar_resnet20" in answer["papers"]


ALONE = """
import importlib, pkgutil, sys
import keras_cnns
from keras_cnns.__main__ import main

assert keras_cnns.__file__.startswith(sys.prefix), keras_cnns.__file__
for module in pkgutil.walk_packages(keras_cnns.__path__, "keras_cnns."):
    importlib.import_module(module.name)
assert main(["describe", "cifar_resnet20"]) == 0
for words in (["diagram", "resnet_cifar", "depth=8", "--out", "net.svg"], ["completion", "zsh"]):
    assert main(words) == 2
from keras_cnns.data import digits
from keras_cnns.detection import selective_search
import numpy as np
for function, argument in ((digits, "train"), (selective_search, np.zeros((40, 40, 3), "uint8"))):
    try:
        function(argument)
    except ImportError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.slow
def test_the_core_dependencies_are_enough_and_what_is_missing_is_named(installed, tmp_path):
    done = run([installed / "python", "-c", ALONE], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rows equals the paper's (papers/cifar_resnet20.csv)" in done.stdout
    for package, extra in {"matplotlib": "figures", "shtab": "completion", "mlxtend": "data"}.items():
        assert f'{package} is not installed: pip install "keras-cnns[{extra}]"' in done.stderr
    assert 'skimage is not installed: pip install "keras-cnns[regions]"' in done.stderr


@pytest.mark.slow
def test_the_installed_reproductions_are_listed(installed, tmp_path):
    done = run([installed / "python", "-m", "reproductions"], tmp_path)
    assert done.returncode == 0 and "resnet_digits" in done.stdout and " holds, " in done.stdout
