"""Recomputation: keep a few tensors of the forward pass, compute the others again when their gradients are due.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174, 2016.

Keras's own way, `keras.RematScope`, recomputes inside the call of one layer and so keeps every layer's input: of a
convolution, a batch normalisation or a ReLU that is all there is to keep. Here a graph is cut where a single tensor
leads on, and what lies between two cuts is recomputed as one.
"""

import bisect
import itertools
import math
from collections import Counter
from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass
class Segment:
    """Some calls of a network's layers, which take one tensor from the segments before.

    `source` is that tensor; `results` are those that go on, to the next segment or out of the model.
    """

    nodes: list
    source: keras.KerasTensor
    results: list
    weights: list  # trainable variables
    state: list  # the other variables: moving statistics, dropout seeds

    def __call__(self, tensors, values):
        """Run the calls in training mode on values of their variables, none of which is assigned.

        Args:
            tensors: a dict by id of symbolic tensors, of the source at least; the results are added to it.
            values: a dict by id of the variables; those that move are replaced in it.
        """
        inner = {id(self.source): tensors[id(self.source)]}
        variables = [*self.weights, *self.state]
        with keras.StatelessScope([(each, values[id(each)]) for each in variables], collect_losses=True) as scope:
            for node in self.nodes:
                args, kwargs = node.arguments.fill_in(inner)
                if "training" in getattr(node.operation, "_call_context_args", ()):
                    kwargs["training"] = True
                outputs = keras.tree.flatten(node.operation(*args, **kwargs))
                inner.update((id(symbol), output) for symbol, output in zip(node.outputs, outputs, strict=True))
        if scope.losses:
            raise ValueError("a layer of the model calls add_loss; --accumulate and --recompute would leave it out.")
        tensors.update((id(each), inner[id(each)]) for each in self.results)
        moved = ((each, scope.get_current_value(each)) for each in self.state)
        values.update((id(each), value) for each, value in moved if value is not None)


def one_segment(model):
    """Return a functional or `Sequential` model as a list of one `Segment`: nothing will be recomputed."""
    return segments_between(model, calls_of(model), [])


def segments_of(model):
    """Return a functional or `Sequential` model as a list of `Segment`s, cut where one tensor is all that leads on.

    Such are the outputs of a residual network's blocks, of inception modules, of the layers of a chain. Segments hold
    about equally many bytes, and are as many as make the tensors between all of them plus those inside the largest of
    them fewest: of n equal layers about the square root of n, as in the paper. Every segment but the last is computed
    twice, so that smaller ones would take more memory and no less time.

    Raises:
        ValueError: the model is neither, has several inputs, or an auxiliary head that joins distant layers.
    """
    calls = calls_of(model)
    cuts = cuts_of(model, calls)
    inside = [0]  # bytes an image up to each cut, and to the end
    place = 0
    for cut in [*cuts, len(calls) - 1]:
        inside.append(inside[-1] + sum(size(each) for node in calls[place : cut + 1] for each in node.outputs))
        place = cut + 1

    def plan(number):
        shares = (inside[-1] * part / number for part in range(1, number))
        return sorted({min(bisect.bisect_left(inside, share), len(cuts)) - 1 for share in shares})

    def bytes_kept(chosen):
        ends = [0, *(inside[each + 1] for each in chosen), inside[-1]]
        largest = max(end - start for start, end in itertools.pairwise(ends))
        return sum(size(calls[cuts[each]].outputs[0]) for each in chosen) + largest

    plans = [plan(number) for number in range(1, len(cuts) + 1)]
    return segments_between(model, calls, [cuts[each] for each in min(plans, key=bytes_kept, default=[])])


def calls_of(model):
    """The calls of a model's layers, each after those that it takes tensors from."""
    if not getattr(model, "inputs", None) or len(model.inputs) != 1:
        raise ValueError(f"{model.name} cannot be taken apart; it must be a functional model of one input.")
    by_depth = keras.Model(model.inputs, model.outputs)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def cuts_of(model, calls):
    """Positions in `calls` after which the first output depends on a single tensor more; auxiliary heads aside."""
    leading, needed = [], {id(model.outputs[0])}  # positions of what the first output depends on
    for position in reversed(range(len(calls))):
        if any(id(each) in needed for each in calls[position].outputs):
            leading.append(position)
            needed.update(id(each) for each in calls[position].input_tensors)
    leading.reverse()
    uses = Counter(id(each) for position in leading for each in calls[position].input_tensors)
    live, cuts = {id(model.inputs[0])}, []
    for position in leading[:-1]:
        node = calls[position]
        uses.subtract(id(each) for each in node.input_tensors)
        live |= {id(each) for each in node.outputs}
        live = {each for each in live if uses[each] > 0}
        if len(live) == 1 and len(node.outputs) == 1:
            cuts.append(position)
    return cuts


def segments_between(model, calls, cuts):
    """The `Segment`s of a model that end at these positions of `calls`, and at its end."""
    ends = [calls[cut].outputs[0] for cut in cuts]
    passed_on = {id(each) for each in ends}
    sources = [model.inputs[0], *ends]
    number = {id(model.inputs[0]): 0}  # of the segment that computes a tensor
    parts = [[] for _ in sources]
    for node in calls:
        # A head goes with what it is attached to, whatever its place in the order.
        here = max(number[id(each)] + (id(each) in passed_on) for each in node.input_tensors)
        for each in node.input_tensors:
            if number[id(each)] != here and each is not sources[here]:
                raise ValueError(f"{model.name} cannot be cut: {node.operation.name} joins layers across a cut.")
        parts[here].append(node)
        number.update((id(each), here) for each in node.outputs)
    trainable = {id(each) for each in model.trainable_variables}
    segments = []
    for here, (part, source) in enumerate(zip(parts, sources, strict=True)):
        results = [*ends[here : here + 1], *(each for each in model.outputs if number[id(each)] == here)]
        own = {id(each): each for node in part for each in getattr(node.operation, "variables", ())}
        weights = [each for key, each in own.items() if key in trainable]
        state = [each for key, each in own.items() if key not in trainable]
        segments.append(Segment(part, source, list({id(each): each for each in results}.values()), weights, state))
    return segments


def size(symbol):
    """Bytes of a symbolic tensor for one image; a side that is not known counts as one."""
    return math.prod(side or 1 for side in symbol.shape[1:]) * tf.as_dtype(symbol.dtype).size


def gradients(model, segments, images, values, loss_of):
    """Run a model forward and backward, with only the tensors between segments kept from the one to the other.

    Args:
        segments: of `segments_of` or `one_segment`.
        images: `(batch, ...)`.
        values: a dict by id from every variable of the model to its value. Those that move in training are replaced,
            once: recomputing starts from the values before, so that dropout masks are the same again.
        loss_of: function from the list of the model's outputs to a scalar.

    Returns: the outputs, and a dict by id from the trainable variables to their gradients.
    """
    tensors, before = {id(model.inputs[0]): images}, []
    for segment in segments[:-1]:
        before.append(dict(values))
        segment(tensors, values)
    weights = {id(each): values[id(each)] for each in model.trainable_variables}
    total = {}  # gradients so far, by id of variables and symbolic tensors

    def add(keys, parts):
        for key, part in zip(keys, parts, strict=True):
            if part is not None:
                total[key] = total[key] + part if key in total else part

    last = segments[-1]
    given = {id(last.source), *(id(each) for each in model.outputs if id(each) in tensors)}
    keys = [*given, *weights]  # all weights, since the loss may hold penalties on any
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([tensors[key] for key in given])
        tape.watch(list(weights.values()))
        last(tensors, values)
        outputs = [tensors[id(each)] for each in model.outputs]
        loss = loss_of(outputs)
    add(keys, tape.gradient(loss, [*(tensors[key] for key in given), *weights.values()]))

    for segment, start in zip(reversed(segments[:-1]), reversed(before), strict=True):
        # Waiting for all gradients of the segment after it keeps two from being recomputed at once, and makes these
        # operations others than the forward pass's, which the graph optimizer would otherwise merge them with.
        with tf.control_dependencies([each for each in total.values() if each is not None]):
            again = {id(segment.source): tf.identity(tensors[id(segment.source)])}
        keys = [id(segment.source), *(id(each) for each in segment.weights)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([again[id(segment.source)], *(start[key] for key in keys[1:])])
            segment(again, start)
        results = [each for each in segment.results if id(each) in total]
        targets, sources = [again[id(each)] for each in results], [again[keys[0]], *(start[key] for key in keys[1:])]
        add(keys, tape.gradient(targets, sources, [total.pop(id(each)) for each in results]))
    return outputs, {key: total.get(key) for key in weights}
