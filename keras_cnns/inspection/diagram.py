"""A network as one picture for a slide: blocks as large as their maps, what repeats folded, branches side by side."""

import os
from dataclasses import dataclass, field
from math import ceil, log2
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from matplotlib.textpath import TextPath

from keras_cnns.inspection.layer_table import layer_table
from keras_cnns.inspection.receptive_field import is_image, open_calls

FORMATS = (".svg", ".png", ".pdf")
LONGEST_BRANCH = 8  # layers; a longer one is drawn as part of the main row, and what goes around it where it ends
NORMALISATION = ("bn", "lrn", "dropout")  # drawn as a strip on the layer before, or after, not as a block
JOINING = ("add", "concat")
COLOURS = {
    "conv": "#9ecae1",
    "fc": "#fdae6b",
    "maxpool": "#a1d99b",
    "avgpool": "#d9f0a3",
    "global avgpool": "#d9f0a3",
    "add": "#f4a6a0",
    "concat": "#cbb8e0",
    "bn": "#636363",
    "lrn": "#d6a500",
    "dropout": "#c51b8a",
}
OTHER = "#d9d9d9"
WORDS = {
    "conv": "convolution",
    "fc": "fully connected",
    "maxpool": "max pooling",
    "avgpool": "average pooling",
    "global avgpool": "average pooling",
    "add": "addition",
    "concat": "concatenation",
    "bn": "batch normalisation",
    "lrn": "local response normalisation",
}


def diagram(model, path=None):
    """Draw a network as a 16:9 picture and return it, a `matplotlib.figure.Figure`.

    A block is as high as its map and as wide as its channels are many, both on a logarithmic scale; under it stand the
    output's shape and the layers of its row in `layer_table`: kernel, filters, /stride. Equal blocks in a row are
    folded into one, marked with their number; branches stand side by side, with what joins them underneath.

    Args:
        model: a built functional or sequential model.
        path: file to write, .svg, .png (2,400 pixels wide) or .pdf; None writes none.

    Raises:
        ValueError: the model is not built, or the path ends otherwise.
    """
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise ValueError(f"path is {str(path)!r}; it must end in one of {', '.join(FORMATS)}.")
    rows = layer_table(model)
    figure = draw(model.name, totals(rows), fold(blocks_of(model, {row.name: row for row in rows})))
    if path is not None:
        figure.savefig(path, dpi=2400 / figure.get_figwidth())
    return figure


def totals(rows):
    """One line on the whole network."""
    count = {kind: sum(row.kind == kind for row in rows) for kind in ("conv", "fc")}
    multiply_adds = sum(row.multiply_adds for row in rows)
    parts = [f"{sum(row.weights + row.biases + row.gamma_beta for row in rows):,} parameters"]
    if multiply_adds:
        parts.append(f"{multiply_adds / 1e9:.3g} billion multiply-adds")
    parts += [f"{count['conv']} convolutional"] * (count["conv"] > 0)
    parts += [f"{count['fc']} fully connected layer{'s' * (count['fc'] != 1)}"] * (count["fc"] > 0)
    return " · ".join(parts)


# From the graph to blocks.


@dataclass
class Layer:
    """One row of the layer table as it is drawn."""

    text: str
    kind: str
    before: list = field(default_factory=list)  # normalisations and dropout around it
    after: list = field(default_factory=list)


@dataclass
class Branch:
    """Layers one under another, or none: a way around."""

    layers: list
    label: str = ""


@dataclass
class Block:
    """A step of the main path: one layer, or branches and what joins them."""

    name: str
    shape: tuple
    branches: list
    joined: Layer | None = None
    heads: list = field(default_factory=list)  # branches that leave here for an output of their own
    last: str = ""  # of several folded, the last one's name
    number: int = 1

    @property
    def kind(self):
        if self.joined:
            return self.joined.kind
        return self.branches[0].layers[-1].kind if self.branches else ""

    def looks_like(self, other):
        """Whether both would be drawn the same; a concatenation that only grows, as in DenseNet, does not count."""
        channels = None if self.kind == "concat" and self.branches != other.branches else -1
        grows = self.kind == "concat" and any(not branch.layers for branch in self.branches)
        channels = -1 if grows else None
        same_map = self.shape[:channels] == other.shape[:channels]
        return same_map and (self.branches, self.joined, self.heads) == (other.branches, other.joined, other.heads)


def blocks_of(model, rows):
    """The `Block`s of a model's longest path from input to output; other outputs are heads of the block they leave."""
    calls, outputs = open_calls(model, None)
    depends = {}  # call -> whether it stands behind an image
    for call in calls:
        depends[call] = is_image(call) or any(depends[source] for source, _ in call.inputs)
    if not any(depends.values()):
        depends = dict.fromkeys(calls, True)  # a generator: its input is no image
    paths = sorted((upstream(calls, output) & {c for c in calls if depends[c]} for output, _ in outputs), key=len)
    main = paths.pop()
    made = {}  # call -> the block it is drawn in
    blocks = read([call for call in calls if call in main], None, rows, made)
    seen = set(main)
    for path in reversed(paths):
        head = [call for call in calls if call in path - seen]
        seen |= path
        if head:
            leaves = next(source for source, _ in head[0].inputs if source in made)
            made[leaves].heads.append(Branch(layers_of(head, rows), f"to {head[-1].layer.name}"))
            made.update(dict.fromkeys(head, made[leaves]))
    return blocks


def upstream(calls, output):
    """The calls that an output depends on."""
    found = {output}
    for call in reversed(calls):
        if call in found:
            found.update(source for source, _ in call.inputs)
    return found


def read(calls, start, rows, made):
    """The blocks of a part of the graph that begins after `start`; a block ends wherever all paths meet."""
    position = {call: i for i, call in enumerate(calls)}
    last_use = [i for i in range(len(calls))]
    start_use = 0
    for i, call in enumerate(calls):
        for source, _ in call.inputs:
            if source is start:
                start_use = i
            elif source in position:
                last_use[position[source]] = i
    blocks, between, waiting, reach = [], [], [], start_use
    for i, call in enumerate(calls):
        if reach > i or (i + 1 < len(calls) and not any(s in position or s is start for s, _ in calls[i + 1].inputs)):
            between.append(call)
        else:
            add_step(blocks, between, call, start, waiting, rows, made)
            between, start = [], call
        reach = max(reach, last_use[i])
    return blocks


def add_step(blocks, between, call, start, waiting, rows, made):
    """Append the block that ends with `call`, whose branches are the calls `between` it and `start`."""
    row = rows.get(call.layer.name)
    if not between:
        single(blocks, call, row, waiting, made)
        return
    branches, long = [], None
    parts = components(between)
    for source, _ in call.inputs:
        if source is start:
            branches.append(Branch([], "identity"))
        part = next((part for part in parts if source in part), None)
        if part:
            parts.remove(part)
            branches.append(Branch(layers_of(part, rows), way_around(part)))
            if len(branches[-1].layers) > LONGEST_BRANCH and (long is None or len(part) > len(long[1])):
                long = branches[-1], part
    if long:
        branches.remove(long[0])
        for branch in branches:
            branch.label = f"from {made[start].name}" if start in made else "beside"
        first = len(blocks)
        blocks += read(long[1], start, rows, made)
        if waiting and len(blocks) > first:
            prepend(blocks[first], waiting)
    joined = Layer(text_of(row), row.kind) if row else Layer(type(call.layer).__name__, type(call.layer).__name__)
    if waiting and blocks and not long:
        (blocks[-1].joined or blocks[-1].branches[-1].layers[-1]).after += waiting
        waiting.clear()
    names = [part.layer.name for part in between if kind_of(part, rows) not in (None, *NORMALISATION, *JOINING)]
    name = call.layer.name if long else common_name(names) or call.layer.name
    blocks.append(Block(name, tuple(call.tensors[0].shape[1:]), branches, joined))
    made.update(dict.fromkeys([call, *(c for c in between if c not in made)], blocks[-1]))


def single(blocks, call, row, waiting, made):
    """Append a block of one layer, or draw the layer on its neighbour."""
    shape = tuple(call.tensors[0].shape[1:])
    if not call.inputs:
        blocks.append(Block(call.layer.name, shape, []))
    elif row and row.kind in NORMALISATION and blocks and blocks[-1].branches and not blocks[-1].joined:
        blocks[-1].branches[-1].layers[-1].after.append(row.kind)
    elif row and row.kind in NORMALISATION:
        waiting.append(row.kind)
    elif row:
        blocks.append(Block(row.name, shape, [Branch([Layer(text_of(row), row.kind, list(waiting))])]))
        waiting.clear()
    if blocks:
        made[call] = blocks[-1]


def prepend(block, waiting):
    block.branches and block.branches[0].layers and block.branches[0].layers[0].before.extend(waiting)
    waiting.clear()


def components(calls):
    """The calls in connected parts, each in the order given."""
    part = {call: {call} for call in calls}
    for call in calls:
        for source, _ in call.inputs:
            if source in part and part[source] is not part[call]:
                joined = part[source] | part[call]
                part.update(dict.fromkeys(joined, joined))
    unique = {id(each): each for each in part.values()}.values()
    return [[call for call in calls if call in each] for each in unique]


def layers_of(calls, rows):
    layers, waiting = [], []
    for call in calls:
        row = rows.get(call.layer.name)
        if row and row.kind in NORMALISATION:
            (layers[-1].after if layers else waiting).append(row.kind)
        elif row:
            layers.append(Layer(text_of(row), row.kind, waiting))
            waiting = []
    return layers


def kind_of(call, rows):
    return rows[call.layer.name].kind if call.layer.name in rows else None


def way_around(calls):
    """The label of a branch without layers of its own: where pixels are skipped, by how many."""
    strides = [getattr(call.layer, "strides", 1) for call in calls]
    return f"identity, /{max(strides)}" if all(isinstance(s, int) for s in strides) and max(strides) > 1 else "identity"


def common_name(names):
    """What the names share, up to an underscore: res2a of res2a_branch2a and res2a_branch1."""
    shared = os.path.commonprefix(names)
    return shared if shared in names else shared.rpartition("_")[0]


def text_of(row):
    """3×3 conv, 64, /2."""
    words = {"maxpool": "max pool", "avgpool": "avg pool", "global avgpool": "global avg pool"}
    words |= {"add": "+", "Conv2DTranspose": "transposed conv", "UpSampling2D": "upsampling", "DepthwiseConv2D": "depthwise conv"}
    text = words.get(row.kind, row.kind)
    if row.kernel:
        text = f"{sides(row.kernel)} {text}"
    if row.weights and len(row.output_shape) in (1, 3):
        text += f", {row.output_shape[-1]}"
    if row.groups and row.groups > 1:
        text += f", {row.groups} groups"
    if row.stride and row.stride != 1:
        text += f", /{row.stride if isinstance(row.stride, int) else sides(row.stride)}"
    return text


def sides(pair):
    return "×".join(map(str, (pair, pair) if isinstance(pair, int) else pair))


def fold(blocks):
    """Equal blocks one after another become one, and so do pairs or triples of single layers that repeat."""
    folded, i = [], 0
    while i < len(blocks):
        best = (1, 1)  # blocks in the pattern, times it stands here
        for length in (1, 2, 3, 4):
            pattern = blocks[i : i + length]
            if length > 1 and any(block.joined or block.heads or not block.branches for block in pattern):
                break
            times = 1
            while all_look_alike(pattern, blocks[i + times * length : i + (times + 1) * length]):
                times += 1
            if times > 1 and times * length > best[0] * best[1]:
                best = (length, times)
        length, times = best
        last = blocks[i + length * times - 1]
        block = blocks[i]
        if length > 1:
            layers = [layer for each in blocks[i : i + length] for layer in each.branches[0].layers]
            block = Block(block.name, last.shape, [Branch(layers)])
        block.shape, block.number = last.shape, times
        block.last = last.name if length * times > 1 else ""
        folded.append(block)
        i += length * times
    return folded


def all_look_alike(blocks, others):
    return len(blocks) == len(others) and all(a.looks_like(b) for a, b in zip(blocks, others, strict=True))


# From blocks to the picture. All lengths are in inches, all font sizes in points.

NAME, SHAPE, LAYER = 8.5, 8, 7.5  # font sizes
LAYER_HEIGHT, STRIP = 0.22, 0.045
BETWEEN_LAYERS, BETWEEN_BRANCHES, BETWEEN_BLOCKS, BETWEEN_ROWS = 0.08, 0.08, 0.3, 0.4
MARGIN, TITLE, LEGEND = 0.35, 0.85, 0.45
HIGHEST, WIDEST = 1.0, 0.5  # front of the largest map


def width_of(text, size, weight="normal"):
    extent = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).get_extents() if text.strip() else None
    return extent.width / 72 if extent else 0


def layer_height(layer):
    return LAYER_HEIGHT + STRIP * (len(layer.before) + len(layer.after))


def branch_width(branch):
    texts = [layer.text for layer in branch.layers] + [branch.label]
    return max(width_of(text, LAYER) for text in texts) + 0.14


def branch_height(branch):
    label = LAYER_HEIGHT if branch.label else 0
    return label + sum(layer_height(layer) + BETWEEN_LAYERS for layer in branch.layers)


def shown_name(block):
    if block.last and block.last != block.name:
        return f"{block.name} … {block.last}"
    return block.name


def shape_text(block):
    text = "×".join("?" if side is None else str(side) for side in block.shape)
    return text


class Box:
    """The place that a block takes."""

    def __init__(self, block, largest):
        self.block = block
        shape = block.shape if len(block.shape) == 3 else (1, 1, block.shape[-1] if block.shape else 1)
        height, depth, channels = (side or 1 for side in shape)
        scale = lambda side: 0.1 + 0.9 * log2(side + 1) / log2(largest + 1)
        self.height = HIGHEST * scale(height)
        self.slant = 0.3 * HIGHEST * scale(depth)
        self.front = 0.06 + WIDEST * log2(channels + 1) / 12
        number = width_of(f"×{block.number}", NAME, "bold") + 0.2 if block.number > 1 else 0
        self.name_width = width_of(shown_name(block), NAME, "bold")
        if self.name_width + number > 1.6 and block.last:  # first and last name one under the other
            self.name_lines = [f"{block.name} …", block.last]
        else:
            self.name_lines = [shown_name(block)]
        self.name_width = max(width_of(line, NAME, "bold") for line in self.name_lines)
        self.branches_width = sum(branch_width(branch) for branch in block.branches)
        self.branches_width += BETWEEN_BRANCHES * max(len(block.branches) - 1, 0)
        if block.joined:
            self.branches_width = max(self.branches_width, width_of(block.joined.text, LAYER) + 0.14) + 0.16
        self.head_width = max((branch_width(head) + 0.16 for head in block.heads), default=0)
        self.solid_width = self.front + self.slant
        self.width = max(
            self.name_width + number,
            width_of(shape_text(block), SHAPE),
            self.branches_width,
            self.head_width,
            self.solid_width,
        )
        self.card = max((branch_height(branch) for branch in block.branches), default=0)
        if block.joined:
            self.card += layer_height(block.joined) + 0.16
        self.below = self.card + sum(branch_height(head) + 0.3 for head in block.heads)


ABOVE_CARD = 0.46 + HIGHEST * 1.3 + 0.3  # two lines of name, the solid, the shape


def arrange(boxes, title_width):
    """The boxes in rows such that the whole is closest to 16:9, and the picture's width."""
    best = None
    for number in range(1, min(len(boxes), 8) + 1):
        rows = split(boxes, number)
        width = max(max(row_width(row) for row in rows), title_width) + 2 * MARGIN
        height = sum(ABOVE_CARD + max(box.below for box in row) for row in rows)
        height += TITLE + LEGEND + BETWEEN_ROWS * (len(rows) - 1) + 0.2
        width = max(width, height * 16 / 9)
        if best is None or width < best[1]:
            best = rows, width, height
    return best


def row_width(row):
    return sum(box.width for box in row) + BETWEEN_BLOCKS * (len(row) - 1) + 2 * BETWEEN_BLOCKS


def split(boxes, number):
    """At most `number` rows, the widest as narrow as can be."""

    def fill(limit):
        rows = [[]]
        for box in boxes:
            if rows[-1] and row_width([*rows[-1], box]) > limit:
                rows.append([])
            rows[-1].append(box)
        return rows

    low, high = max(row_width([box]) for box in boxes), row_width(boxes)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if len(fill(middle)) <= number else (middle, high)
    return fill(high)


def draw(name, line, blocks):
    largest = max(side or 1 for block in blocks for side in block.shape[:2] if len(block.shape) == 3) if any(
        len(block.shape) == 3 for block in blocks
    ) else 1
    boxes = [Box(block, largest) for block in blocks]
    title_width = max(width_of(line, 10), width_of(name, 17, "bold"))
    rows, width, height = arrange(boxes, title_width)
    figure = Figure((width, width * 9 / 16), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(width * 9 / 16, 0)  # downwards
    axes.axis("off")
    axes.text(MARGIN, 0.3, name, size=17, weight="bold", va="center")
    axes.text(MARGIN, 0.62, line, size=10, va="center", color="#444444")

    spare = (width * 9 / 16 - height) / (len(rows) + 1)
    y = TITLE + spare
    turn = None  # where the row above ended
    for row in rows:
        x = MARGIN + BETWEEN_BLOCKS
        gap = BETWEEN_BLOCKS
        if len(rows) > 1 and row is not rows[-1] or len(rows) == 1:  # the last row keeps its natural width
            free = width - 2 * MARGIN - row_width(row)
            gap += free / max(len(row) - 1, 1) if len(row) > 1 else 0
            gap = min(gap, 3 * BETWEEN_BLOCKS)
        middle = y + 0.46 + HIGHEST * 0.8
        previous = None
        for box in row:
            left, right = draw_box(axes, box, x, y, middle)
            if previous is not None:
                arrow(axes, [(previous, middle), (left, middle)])
            elif turn is not None:
                (end, above), down = turn, y - BETWEEN_ROWS / 2 - spare / 2
                start = MARGIN
                corner = min(end + 0.12, width - 0.1)
                arrow(axes, [(end, above), (corner, above), (corner, down), (start, down), (start, middle), (left, middle)])
            previous = right
            x += box.width + gap
        turn = (previous, middle)
        y += ABOVE_CARD + max(box.below for box in row) + BETWEEN_ROWS + spare
    draw_legend(axes, blocks, width)
    return figure


def arrow(axes, points):
    (xs, ys) = zip(*points, strict=True)
    axes.plot(xs, ys, color="#555555", linewidth=0.9, solid_capstyle="butt", zorder=1)
    x, y = points[-1]
    axes.add_patch(Polygon([(x, y), (x - 0.07, y - 0.035), (x - 0.07, y + 0.035)], color="#555555", linewidth=0, zorder=1))


def draw_box(axes, box, x, y, middle):
    """Draw one block from the left edge `x` and the top `y` on; return the left and right end of its solid."""
    block, centre = box.block, x + box.width / 2
    number = f"×{block.number}" if block.number > 1 else ""
    number_width = width_of(number, NAME, "bold") + 0.2 if number else 0
    start = centre - (box.name_width + number_width) / 2
    for i, line in enumerate(reversed(box.name_lines)):
        axes.text(start, y + 0.36 - 0.16 * i, line, size=NAME, weight="bold", va="center")
    if number:
        axes.text(
            start + box.name_width + 0.13,
            y + 0.36 - 0.08 * (len(box.name_lines) - 1),
            number,
            size=NAME,
            weight="bold",
            va="center",
            color="white",
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "#333333", "edgecolor": "none"},
        )
    colour = COLOURS.get(block.kind, OTHER)
    left = centre - box.solid_width / 2
    right, top, bottom = left + box.front, middle - box.height / 2, middle + box.height / 2
    up = box.slant
    edge = {"edgecolor": "#444444", "linewidth": 0.7, "joinstyle": "round", "zorder": 2}
    front = [(left, bottom), (right, bottom), (right, top), (left, top)]
    axes.add_patch(Polygon(front, facecolor=colour, **edge))
    axes.add_patch(
        Polygon([(left, top), (right, top), (right + up, top - up), (left + up, top - up)], facecolor=darker(colour, 1.06), **edge)
    )
    axes.add_patch(
        Polygon(
            [(right, bottom), (right, top), (right + up, top - up), (right + up, bottom - up)],
            facecolor=darker(colour, 0.85),
            **edge,
        )
    )
    y += 0.46 + HIGHEST * 1.3
    axes.text(centre, y + 0.14, shape_text(block), size=SHAPE, ha="center", va="center")
    y += 0.3
    draw_card(axes, box, centre, y)
    y += box.card
    for head in block.heads:
        axes.plot([centre, centre], [y + 0.02, y + 0.12], color="#555555", linewidth=0.9, linestyle=":")
        frame(axes, centre - box.head_width / 2, y + 0.12, box.head_width, branch_height(head) + 0.12, dashed=True)
        draw_branch(axes, head, centre - branch_width(head) / 2, y + 0.18, branch_width(head))
        y += branch_height(head) + 0.3
    return left, right + up


def draw_card(axes, box, centre, y):
    block = box.block
    x = centre - box.branches_width / 2
    if block.joined:
        frame(axes, x, y, box.branches_width, box.card)
        inner = sum(branch_width(branch) for branch in block.branches) + BETWEEN_BRANCHES * (len(block.branches) - 1)
        x, y = centre - inner / 2, y + 0.08
    tallest = max((branch_height(branch) for branch in block.branches), default=0)
    for branch in block.branches:
        width = branch_width(branch)
        end = draw_branch(axes, branch, x, y, width)
        if block.joined:
            axes.plot([x + width / 2] * 2, [end, y + tallest], color="#777777", linewidth=0.7, zorder=3)
        x += width + BETWEEN_BRANCHES
    if block.joined:
        draw_layer(axes, block.joined, centre - box.branches_width / 2 + 0.08, y + tallest, box.branches_width - 0.16)


def draw_branch(axes, branch, x, y, width):
    """Draw layers downwards, a line between two; return where the last one ends."""
    if branch.label:
        axes.text(x + width / 2, y + LAYER_HEIGHT / 2, branch.label, size=LAYER, ha="center", va="center", style="italic")
        y += LAYER_HEIGHT
    for i, layer in enumerate(branch.layers):
        if i:
            axes.plot([x + width / 2] * 2, [y - BETWEEN_LAYERS, y], color="#777777", linewidth=0.7, zorder=3)
        draw_layer(axes, layer, x, y, width)
        y += layer_height(layer) + BETWEEN_LAYERS
    return y - BETWEEN_LAYERS if branch.layers else y


def draw_layer(axes, layer, x, y, width):
    for kind in layer.before:
        axes.add_patch(Rectangle((x, y), width, STRIP, facecolor=COLOURS[kind], linewidth=0, zorder=4))
        y += STRIP
    colour = COLOURS.get(layer.kind, OTHER)
    axes.add_patch(Rectangle((x, y), width, LAYER_HEIGHT, facecolor=colour, linewidth=0, zorder=4))
    axes.text(x + width / 2, y + LAYER_HEIGHT / 2, layer.text, size=LAYER, ha="center", va="center", zorder=5)
    y += LAYER_HEIGHT
    for kind in layer.after:
        axes.add_patch(Rectangle((x, y), width, STRIP, facecolor=COLOURS[kind], linewidth=0, zorder=4))
        y += STRIP


def frame(axes, x, y, width, height, dashed=False):
    style = {"linestyle": "--", "facecolor": "none"} if dashed else {"facecolor": "#f4f4f4"}
    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.05", **style)
    shape.set(edgecolor="#999999", linewidth=0.6, zorder=0)
    axes.add_patch(shape)


def draw_legend(axes, blocks, width):
    kinds = []
    for block in blocks:
        for branch in [*block.branches, *block.heads, *([Branch([block.joined])] if block.joined else [])]:
            kinds += [kind for layer in branch.layers for kind in (*layer.before, layer.kind, *layer.after)]
    x, y = MARGIN, width * 9 / 16 - 0.25
    drawn = set()
    for kind in COLOURS:
        word = WORDS.get(kind, kind)
        if kind in kinds and word not in drawn:
            drawn.add(word)
            height = STRIP if kind in NORMALISATION else 0.12
            axes.add_patch(Rectangle((x, y - height / 2), 0.2, height, facecolor=COLOURS[kind], linewidth=0))
            axes.text(x + 0.26, y, word, size=SHAPE, va="center")
            x += 0.26 + width_of(word, SHAPE) + 0.25
    note = "a block's height: its map's side; its width: its channels (logarithmic)"
    axes.text(width - MARGIN, y, note, size=SHAPE, va="center", ha="right", color="#666666")


def darker(colour, factor):
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{min(255, ceil(channel * factor)):02x}" for channel in channels)
