"""The graph of a network: every call of a layer, models inside the model opened."""

from dataclasses import dataclass
from difflib import get_close_matches

import keras


@dataclass(eq=False)
class Call:
    """One call of a layer in a model: what it was given, as (call, which of its outputs), and its output tensors."""

    layer: keras.layers.Layer
    inputs: list
    tensors: list
    input_ids: list
    arguments: object


def calls_of(model):
    """The calls of a model's layers, each after those it depends on.

    Raises:
        ValueError: the model is not built, or is no graph of layers (neither functional nor sequential).
    """
    calls, _ = open_calls(model)
    return calls


def open_calls(model, inputs=None):
    """The calls, and the outputs as (call, which of its outputs); `inputs` if it is called inside another model."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ValueError(f"{getattr(model, 'name', model)} is not a built functional or sequential Keras model.")
    calls = []
    source = {id(tensor): given for tensor, given in zip(graph.inputs, inputs or (), strict=False)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input and inputs:
                continue
            given = [source[id(tensor)] for tensor in node.input_tensors]
            if isinstance(node.operation, keras.Model):
                inner, outputs = open_calls(node.operation, given)
                calls += inner
            else:
                ids = [id(tensor) for tensor in node.input_tensors]
                calls.append(Call(node.operation, given, node.outputs, ids, node.arguments))
                outputs = [(calls[-1], index) for index in range(len(node.outputs))]
            source.update({id(tensor): output for tensor, output in zip(node.outputs, outputs, strict=True)})
    return calls, [source[id(tensor)] for tensor in graph.outputs]


def find_call(calls, model, layer):
    """The last call of a layer, given itself or by its name."""
    name = layer if isinstance(layer, str) else getattr(layer, "name", repr(layer))
    for call in reversed(calls):
        if call.layer is layer or call.layer.name == layer:
            return call
    names = list(dict.fromkeys(call.layer.name for call in calls))
    near = get_close_matches(name, names, n=3, cutoff=0) or names[:3]
    raise ValueError(f"{model.name} has no layer {name!r}; the nearest are {', '.join(near)}.")


def is_image(call):
    return not call.inputs and len(call.tensors[0].shape) == 4


def image_sides(calls):
    """(height, width) of the first image that the model takes; None where it is free."""
    return next((call.tensors[0].shape[1:3] for call in calls if is_image(call)), (None, None))
