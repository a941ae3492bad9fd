"""Who imports whom inside `keras_cnns`: each part from those below it, and no circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import keras_cnns

LIBRARY = Path(keras_cnns.__file__).parent
EVERYONE = {"arguments", "descent", "extras", "files", "iteration", "version"}  # parts that anyone may import
BUILDERS = {"classification", "segmentation", "detection", "generative", "self_supervised"}
BELOW_BUILDERS = {"ops", "layers", "losses"}
ALLOWED = {
    "arguments": set(),
    "descent": set(),
    "extras": set(),
    "files": set(),
    "iteration": set(),
    "version": set(),
    "papers": set(),
    "ops": set(),
    "layers": {"ops"},
    "losses": {"ops"},
    "classification": BELOW_BUILDERS,
    "segmentation": BELOW_BUILDERS | {"classification"},
    "detection": BELOW_BUILDERS | {"classification"},
    "generative": BELOW_BUILDERS,
    "self_supervised": BELOW_BUILDERS | {"classification"},
    "data": {"ops"},
    "evaluation": {"ops"},
}
ABOVE = {"keras_cnns", "__main__", "commands"}  # the public face and the command line, which import everything
OUTSIDE = {"reproductions", "benchmarks", "notebooks", "tests"}  # they import the library, never the reverse


def imported(file, package):
    """The modules a file imports, as absolute dotted names; `package` is the dotted name of its folder."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports(library):
    """A dict from each part (a folder or file of the library) to the parts of it, and of OUTSIDE, that it imports."""
    parts = {path.stem if path.is_file() else path.name for path in library.iterdir()}
    graph = {}
    for file in sorted(library.rglob("*.py")):
        folder = file.relative_to(library).parent.parts
        part = folder[0] if folder else file.stem.replace("__init__", "keras_cnns")
        for name in imported(file, ".".join(["keras_cnns", *folder])):
            first, second = [*name.split("."), ""][:2]
            if first == "keras_cnns":
                graph.setdefault(part, set()).add(second if second in parts else "keras_cnns")
            elif first in OUTSIDE:
                graph.setdefault(part, set()).add(first)
    return graph


def violations(library):
    graph = imports(library)
    forbidden = []
    for part in sorted(set(graph) - ABOVE):
        allowed = ALLOWED.get(part)
        for other in sorted(graph[part] - EVERYONE - {part}):
            if other in ABOVE | OUTSIDE or (other in BUILDERS if allowed is None else other not in allowed):
                forbidden.append(f"{part} imports {other}")
    try:
        TopologicalSorter({part: others - {part} for part, others in graph.items() if part not in ABOVE}).prepare()
    except CycleError as error:
        forbidden.append("circle: " + " <- ".join(error.args[1]))
    return forbidden


def test_the_library_imports_downwards():
    assert imports(LIBRARY)["classification"] >= {"layers"}  # the imports are found at all
    assert not violations(LIBRARY)


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("ops/boxes.py", "from keras_cnns.layers import BatchNormalization", "ops imports layers"),
        ("ops/boxes.py", "import keras_cnns.losses.gan as gan", "ops imports losses"),
        ("layers/roi.py", "from ..classification import vgg", "layers imports classification"),
        ("layers/roi.py", "def f():\n    from keras_cnns import alexnet", "layers imports keras_cnns"),
        ("classification/vgg.py", "from keras_cnns.detection import yolo", "classification imports detection"),
        ("detection/yolo.py", "from keras_cnns.segmentation.fcn import fcn8s", "detection imports segmentation"),
        ("generative/gan.py", "from keras_cnns import classification", "generative imports classification"),
        ("data/sources.py", "from keras_cnns.layers import x", "data imports layers"),
        ("training/strategy.py", "from keras_cnns.classification.vgg import vgg", "training imports classification"),
        ("inspection/table.py", "import keras_cnns", "inspection imports keras_cnns"),
        ("export.py", "from keras_cnns.segmentation import segment", "export imports segmentation"),
        ("training/checkpoint.py", "from reproductions.runner import main", "training imports reproductions"),
    ],
)
def test_an_import_upwards_is_found(tmp_path, file, line, expected):
    for part in ("ops", "layers", "losses", *BUILDERS, "data", "training", "inspection"):
        (tmp_path / part).mkdir()
    (tmp_path / file).write_text(f"{line}\n")
    assert violations(tmp_path) == [expected]


def test_what_is_allowed_is_not_found(tmp_path):
    for part, line in {
        "ops": "from keras_cnns.arguments import check_choice",
        "layers": "from keras_cnns.ops.boxes import iou\nfrom . import other",
        "detection": "from keras_cnns.classification import vgg\nfrom keras_cnns.losses import detection",
        "inspection": "from ..layers import BatchNormalization\nimport tensorflow.keras",
    }.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "module.py").write_text(f"{line}\n")
    for part in ("classification", "losses"):
        (tmp_path / part).mkdir()
    (tmp_path / "arguments.py").write_text("")
    assert not violations(tmp_path)


def test_a_circle_is_found(tmp_path):
    (tmp_path / "export.py").write_text("from keras_cnns.weights import f\n")
    (tmp_path / "weights.py").write_text("from keras_cnns import export\n")
    assert [violation.partition(":")[0] for violation in violations(tmp_path)] == ["circle"]
