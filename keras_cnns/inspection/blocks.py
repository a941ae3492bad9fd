"""A network's graph as the few blocks that a picture of it needs: branches side by side, what repeats folded."""

from dataclasses import dataclass, field
from itertools import takewhile

from keras_cnns.inspection.calls import is_image, open_calls
from keras_cnns.inspection.layer_table import layer_table

LONGEST_BRANCH = 8  # layers; a longer one belongs to the main row, and what goes around it is told where it ends
ON_ANOTHER = ("bn", "lrn", "dropout")  # told on the layer before, or after, as no block of their own
JOINING = ("add", "concat")
WORDS = {
    "maxpool": "max pool",
    "unpool": "max unpool",
    "avgpool": "avg pool",
    "global avgpool": "global avg pool",
    "add": "+",
    "deconv": "transposed conv",
    "DepthwiseConv2D": "depthwise conv",
    "UpSampling2D": "upsampling",
}


@dataclass
class Layer:
    """One row of the layer table."""

    text: str
    kind: str
    before: list = field(default_factory=list)  # kinds of `ON_ANOTHER` around it
    after: list = field(default_factory=list)


@dataclass
class Branch:
    """Layers one after another, or none: a way around."""

    layers: list
    label: str = ""


@dataclass
class Block:
    """A step of the main path: one layer, or several branches and what joins them."""

    name: str
    shape: tuple
    branches: list
    joined: Layer | None = None
    heads: list = field(default_factory=list)  # branches that leave here for an output of their own
    last: str = ""  # the last one's name, of several folded
    number: int = 1

    @property
    def kind(self):
        if self.joined:
            return self.joined.kind
        return self.branches[0].layers[-1].kind if self.branches else "input"

    def looks_like(self, other):
        """Whether both are drawn alike; a concatenation with its own input, as in DenseNet, may grow."""
        grows = self.kind == "concat" and any(not branch.layers for branch in self.branches)
        channels = -1 if grows else None
        alike = self.shape[:channels] == other.shape[:channels]
        return alike and (self.branches, self.joined, self.heads) == (other.branches, other.joined, other.heads)


def blocks_of(model):
    """The `Block`s along a model's longest path from an image to an output; other outputs are heads on them.

    Inputs beside images (boxes, labels) are left out, unless there is no image.
    """
    calls, outputs = open_calls(model)
    sees = {}
    for call in calls:
        sees[call] = is_image(call) or any(sees[source] for source, _ in call.inputs)
    if any(sees.values()):
        calls = [call for call in calls if sees[call]]
    paths = sorted((upstream(calls, output) for output, _ in outputs), key=len)
    main = paths.pop()
    reader = Reader({row.name: row for row in layer_table(model)})
    reader.read(main, None)
    reader.attach_waiting()
    for path in reversed(paths):
        reader.add_head([call for call in path if call not in reader.block_of])
    return fold(reader.blocks)


def upstream(calls, output):
    """The calls that an output depends on, in order."""
    found = {output}
    for call in reversed(calls):
        if call in found:
            found.update(source for source, _ in call.inputs)
    return [call for call in calls if call in found]


class Reader:
    """Reads calls in order and writes blocks."""

    def __init__(self, rows):
        self.rows = rows
        self.blocks = []
        self.block_of = {}  # call -> the block it is told in
        self.waiting = []  # kinds of `ON_ANOTHER` that the next layer will carry

    def row(self, call):
        return self.rows.get(call.layer.name)

    def read(self, calls, start):
        """Read a part of the graph, all of it behind `start`: a block ends at each call that all paths go through."""
        position = {call: i for i, call in enumerate(calls)}
        last_use = list(range(len(calls)))
        entered = 0  # the last call that has an input from outside, or none
        for i, call in enumerate(calls):
            inside = [position[source] for source, _ in call.inputs if source in position]
            if len(inside) < max(len(call.inputs), 1):
                entered = i
            for j in inside:
                last_use[j] = i
        between, reach = [], entered
        for i, call in enumerate(calls):
            if reach > i:
                between.append(call)
            else:
                self.join(between, call, start) if between else self.single(call)
                between, start = [], call
            reach = max(reach, last_use[i])

    def single(self, call):
        row, shape = self.row(call), call.tensors[0].shape[1:]
        previous = self.blocks[-1] if self.blocks else None
        if not call.inputs:
            self.blocks.append(Block(call.layer.name, shape, []))
        elif row and row.kind in ON_ANOTHER and previous and previous.branches and not previous.joined:
            previous.branches[0].layers[-1].after.append(row.kind)
        elif row and row.kind in ON_ANOTHER:
            self.waiting.append(row.kind)
        elif row:
            layer = Layer(text_of(row), row.kind, self.waiting)
            self.blocks.append(Block(row.name, shape, [Branch([layer])]))
            self.waiting = []
        self.block_of[call] = self.blocks[-1]

    def join(self, between, call, start):
        """Read the branches between two calls, and what joins them."""
        parts = connected(between)
        layers = {id(part): self.layers_of(part) for part in parts}
        longest = max(parts, key=lambda part: len(layers[id(part)]))
        spread = len(layers[id(longest)]) > LONGEST_BRANCH
        if spread:
            self.read(longest, start)
        self.attach_waiting()

        branches = []
        for source, _ in call.inputs:
            part = next((part for part in parts if source in part), None)
            if spread and part is longest:
                if source is not longest[-1]:
                    branches.append(Branch([], f"from {self.block_of[source].name}"))
                continue
            around = f"from {self.block_of[start].name}" if spread and start else way_around(part or [])
            if part:
                parts.remove(part)
            inner = layers[id(part)] if part else []
            branches.append(Branch(inner, around if spread or not inner else ""))
        row = self.row(call)
        joined = Layer(text_of(row), row.kind) if row else Layer(type(call.layer).__name__, "")
        names = [row.name for row in map(self.row, between) if row and row.kind not in (*ON_ANOTHER, *JOINING)]
        name = "" if spread else common_name(names)
        self.blocks.append(Block(name or call.layer.name, call.tensors[0].shape[1:], branches, joined))
        for each in (*between, call):
            self.block_of.setdefault(each, self.blocks[-1])

    def attach_waiting(self):
        """Normalisations that stand before several branches, or last, are told on the block before."""
        if self.waiting and self.blocks[-1].branches:
            block = self.blocks[-1]
            (block.joined or block.branches[0].layers[-1]).after.extend(self.waiting)
        elif self.waiting:
            self.blocks.append(Block("", self.blocks[-1].shape, [Branch([Layer(k, k) for k in self.waiting])]))
        self.waiting = []

    def layers_of(self, calls):
        layers, waiting = [], []
        for row in map(self.row, calls):
            if row and row.kind in ON_ANOTHER:
                (layers[-1].after if layers else waiting).append(row.kind)
            elif row:
                layers.append(Layer(text_of(row, short=True), row.kind, waiting))
                waiting = []
        return layers

    def add_head(self, calls):
        """The way to an output beside the main one, on the block that it leaves."""
        sources = (source for call in calls for source, _ in call.inputs)
        block = next((self.block_of[source] for source in sources if source in self.block_of), None)
        if block:
            block.heads.append(Branch(self.layers_of(calls), f"to {calls[-1].layer.name}"))
            self.block_of.update(dict.fromkeys(calls, block))


def connected(calls):
    """The calls in connected parts, each in the order given."""
    part = {call: {call} for call in calls}
    for call in calls:
        for source, _ in call.inputs:
            if source in part and part[source] is not part[call]:
                joined = part[source] | part[call]
                part.update(dict.fromkeys(joined, joined))
    unique = {id(each): each for each in part.values()}.values()
    return [[call for call in calls if call in each] for each in unique]


def way_around(calls):
    """The label of a branch without layers: the identity, and by how many pixels it steps."""
    strides = [getattr(call.layer, "strides", 1) for call in calls]
    stride = max((each for each in strides if isinstance(each, int)), default=1)
    return f"identity, /{stride}" if stride > 1 else "identity"


def common_name(names):
    """What names share, up to an underscore: res2a of res2a_branch2a and res2a_branch1."""
    shared = "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*names, strict=False)))
    return shared if shared in names else shared.rpartition("_")[0]


def text_of(row, short=False):
    """3×3 conv, 64, /2; short, as the papers' tables print it: 3×3, 64, /2."""
    word = "" if short and row.kind == "conv" else WORDS.get(row.kind, row.kind)
    text = f"{sides(row.kernel)} {word}".strip() if row.kernel else word
    if row.weights:
        text += f", {row.output_shape[-1]}"
    if row.groups and row.groups > 1:
        text += f", {row.groups} groups"
    if row.stride and row.stride != 1:
        text += f", /{row.stride if isinstance(row.stride, int) else sides(row.stride)}"
    return text


def sides(pair):
    return "×".join(map(str, (pair, pair) if isinstance(pair, int) else pair))


def fold(blocks):
    """Blocks that look alike, one after another, become one, and so do two to four single layers that repeat."""
    folded, i = [], 0
    while i < len(blocks):
        length, times = max(
            (repeats(blocks, i, length) for length in (1, 2, 3, 4)), key=lambda found: found[0] * found[1]
        )
        block, last = blocks[i], blocks[i + length * times - 1]
        if length > 1:
            layers = [layer for each in blocks[i : i + length] for layer in each.branches[0].layers]
            block = Block(block.name, last.shape, [Branch(layers)])
        block.shape, block.number = last.shape, times
        block.last = last.name if length * times > 1 else ""
        folded.append(block)
        i += length * times
    return folded


def repeats(blocks, i, length):
    """(length, times) that a pattern of so many blocks stands at place i; (1, 1) if it does not repeat."""
    pattern, times = blocks[i : i + length], 1
    while length == 1 or all(block.branches and not block.joined and not block.heads for block in pattern):
        following = blocks[i + times * length : i + (times + 1) * length]
        if len(following) < length or not all(map(Block.looks_like, pattern, following)):
            break
        times += 1
    return (length, times) if times > 1 else (1, 1)
