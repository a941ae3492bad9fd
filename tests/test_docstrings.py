"""What the public names say of themselves: each has a docstring, which tells of the errors that its code raises."""

import ast
import importlib
import inspect
import pkgutil
import textwrap

import keras_cnns

# How a docstring tells of errors: by their name, or by another function's whose errors are its own.
TOLD = ("ValueError", "rrors", "all else as in")


def public():
    """The functions and classes of the public face, each with the name that it is imported by first."""
    packages = [each.name for each in pkgutil.iter_modules(keras_cnns.__path__, "keras_cnns.") if each.ispkg]
    found = {}
    for package in ["keras_cnns", *packages]:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            if callable(each := getattr(module, name)):
                found.setdefault(each, f"{package}.{name}")
    return found


def parts(each):
    """What is looked at by itself, (name, function, docstrings): a function; of a class its methods, with its own."""
    if inspect.isfunction(each):
        return [("", each, each.__doc__)]
    return [
        (f".{name}", method, f"{each.__doc__}{method.__doc__ or ''}")
        for name, method in vars(each).items()
        if inspect.isfunction(method) and method.__module__ == each.__module__  # of a named tuple some are made
    ]


def refuses(function, seen):
    """Whether code raises `ValueError`, itself or in functions of this library that it calls by their names."""
    function = inspect.unwrap(function)
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = [call.id for call in calls if isinstance(call, ast.Name)]
    called = [function.__globals__.get(name) for name in names]
    ours = [each for each in called if inspect.isfunction(each) and each.__module__.startswith("keras_cnns.")]
    return "ValueError" in names or any(refuses(each, seen) for each in ours if inspect.unwrap(each) not in seen)


def test_every_public_name_has_a_docstring():
    names = public()
    assert {"keras_cnns.alexnet", "keras_cnns.ops.iou", "keras_cnns.layers.Crop"} <= set(names.values())
    assert not [name for each, name in names.items() if each.__doc__ in (None, *inherited(each))]


def inherited(each):
    return [base.__doc__ for base in getattr(each, "__mro__", ())[1:]]


def test_errors_that_a_public_name_raises_are_told():
    silent, refusing = [], set()
    for each, name in public().items():
        for part, function, docstring in parts(each):
            if refuses(function, set()):
                refusing.add(name + part)
                if not any(word in docstring for word in TOLD):
                    silent.append(name + part)
    assert {"keras_cnns.alexnet", "keras_cnns.layers.Crop.__init__", "keras_cnns.data.Images.take"} <= refusing
    assert not silent
