"""A network as one picture for a slide: blocks as large as their maps, what repeats folded, branches side by side."""

from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from keras_cnns.extras import Extra
from keras_cnns.inspection.blocks import ON_ANOTHER, blocks_of
from keras_cnns.inspection.layer_table import layer_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

plot = Extra("matplotlib.figure", "figures")
fonts = Extra("matplotlib.font_manager", "figures")
patches = Extra("matplotlib.patches", "figures")
textpath = Extra("matplotlib.textpath", "figures")

FORMATS = (".svg", ".png", ".pdf")
KINDS = {  # colour, and the word in the legend
    "conv": ("#9ecae1", "convolution"),
    "deconv": ("#6baed6", "transposed convolution"),
    "fc": ("#fdae6b", "fully connected"),
    "maxpool": ("#a1d99b", "max pooling"),
    "unpool": ("#41ab5d", "max unpooling"),
    "avgpool": ("#dcf0b0", "average pooling"),
    "global avgpool": ("#dcf0b0", "average pooling"),
    "add": ("#f4a6a0", "addition"),
    "concat": ("#cbb8e0", "concatenation"),
    "bn": ("#636363", "batch normalisation"),
    "lrn": ("#d6a500", "local response normalisation"),
    "dropout": ("#c51b8a", "dropout"),
}
OTHER = "#d9d9d9"
NOTE = "A block is as high as its map and as wide as its channels are many (log scale); /2: stride 2; ×3: three such."
LINE = "#555555"

# Lengths are in inches, font sizes in points.
TITLE, SUBTITLE, NAME, TEXT = 17, 10, 8.5, 7.5
HEADING, FOOTER, MARGIN = 0.8, 0.6, 0.3
NAME_LINE, SHAPE_LINE, LAYER_LINE, STRIP = 0.17, 0.24, 0.185, 0.045
BETWEEN_LAYERS, BETWEEN_BRANCHES, BETWEEN_BLOCKS, BETWEEN_ROWS = 0.06, 0.07, 0.26, 0.4
PAD = 0.07  # inside a frame, and left and right of a layer's text
HIGHEST, WIDEST, SLANT = 0.75, 0.5, 0.3  # front of the largest map, of 4096 channels; the side's depth by its height


def diagram(model: keras.Model, path: str | Path | None = None) -> "Figure":
    """Draw a network as a picture for a slide and return it, a `matplotlib.figure.Figure` of about 16:9.

    A block is as high as its map and as wide as its channels are many, both on a logarithmic scale. Under it stand the
    shape of its output and its layers: kernel, filters, /stride, as `layer_table` has them. Blocks that repeat are
    folded into one with their number; branches stand side by side above what joins them.

    Args:
        model: a built functional or sequential model.
        path: file to write, .svg, .png (2,400 pixels wide) or .pdf; None writes none.

    Raises:
        ValueError: the model is not built, or the path ends otherwise.
    """
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise ValueError(f"path is {str(path)!r}; it must end in one of {', '.join(FORMATS)}.")
    figure = draw(model.name, totals(layer_table(model)), blocks_of(model))
    if path is not None:
        figure.savefig(path, dpi=2400 / figure.get_figwidth())
    return figure


def totals(rows):
    """One line on the whole network."""
    parts = [f"{sum(row.weights + row.biases + row.gamma_beta for row in rows):,} parameters"]
    multiply_adds = sum(row.multiply_adds for row in rows)
    if multiply_adds:
        unit, word = (1e9, "billion") if multiply_adds >= 1e9 else (1e6, "million")
        parts.append(f"{multiply_adds / unit:.3g} {word} multiply-adds")
    for kind, word in (("conv", "convolution"), ("fc", "fully connected layer")):
        number = sum(row.kind == kind for row in rows)
        if number:
            parts.append(f"{number} {word}{'s' * (number > 1)}")
    return " · ".join(parts)


def draw(name, line, blocks):
    maps = [side for block in blocks if len(block.shape) == 3 for side in block.shape[:2] if side]
    boxes = [Box(block, max(maps, default=1)) for block in blocks]
    entries, legend_width = legend(blocks)
    least = max(width_of(name, TITLE, "bold"), width_of(line, SUBTITLE), legend_width, width_of(NOTE, TEXT))
    rows, width, height = arrange(boxes, least)
    figure = plot.Figure((width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # downwards
    axes.axis("off")
    axes.text(MARGIN, 0.3, name, size=TITLE, weight="bold", va="center")
    axes.text(MARGIN, 0.6, line, size=SUBTITLE, va="center", color="#444444")

    y, path = HEADING, []  # of the arrow that leads into the next block
    for row in rows:
        gap = (width - 2 * MARGIN - row_width(row)) / max(len(row) - 1, 1)
        gap = BETWEEN_BLOCKS + min(gap, 1.5 * BETWEEN_BLOCKS)
        x, middle = MARGIN + BETWEEN_BLOCKS, y + row_above(row) - SHAPE_LINE - max(box.height for box in row) / 2
        if path:  # around the end of the row above, and back to the left
            turn = y - BETWEEN_ROWS / 2
            path += [(path[-1][0], turn), (MARGIN, turn), (MARGIN, middle)]
        for box in row:
            left, right = box.draw(axes, x, middle, y + row_above(row))
            if path:
                arrow(axes, [*path, (left, middle)])
            path = [(right, middle)]
            x += box.width + gap
        path.append((x - gap + BETWEEN_BLOCKS / 2, middle))
        y += row_height(row) + BETWEEN_ROWS
    draw_legend(axes, entries, height)
    return figure


def arrange(boxes, least):
    """Rows of boxes such that the picture, at least so wide, fits best into 16:9; its width and height."""
    pictures = []
    for number in range(1, min(len(boxes), 8) + 1):
        rows = split(boxes, number)
        width = max(least, *map(row_width, rows)) + 2 * MARGIN
        height = HEADING + sum(map(row_height, rows)) + BETWEEN_ROWS * (len(rows) - 1) + FOOTER
        pictures.append((max(width / 16, height / 9), rows, width, height))
    return min(pictures, key=lambda picture: picture[0])[1:]


def split(boxes, number):
    """At most so many rows, the widest as narrow as can be."""

    def fill(limit):
        rows = [[]]
        for box in boxes:
            if rows[-1] and row_width([*rows[-1], box]) > limit:
                rows.append([])
            rows[-1].append(box)
        return rows

    low, high = max(row_width([box]) for box in boxes), row_width(boxes)
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if len(fill(middle)) <= number else (middle, high)
    return fill(high)


def row_width(row):
    return sum(box.width for box in row) + BETWEEN_BLOCKS * (len(row) + 1)


def row_above(row):
    """Names, solids and shapes."""
    return (
        max(len(box.lines) for box in row) * NAME_LINE + 0.1 + max(box.height + box.slant for box in row) + SHAPE_LINE
    )


def row_height(row):
    return row_above(row) + max(box.card + box.heads for box in row)


def width_of(text, size, weight="normal"):
    if not text.strip():
        return 0
    return textpath.TextPath((0, 0), text, size=size, prop=fonts.FontProperties(weight=weight)).get_extents().width / 72


class Box:
    """A block with the place it takes."""

    def __init__(self, block, largest):
        self.block = block
        rows, columns, channels = block.shape if len(block.shape) == 3 else (1, 1, block.shape[-1])
        share = lambda side: 0.1 + 0.9 * log2((side or largest) + 1) / log2(largest + 1)
        self.height, self.slant = HIGHEST * share(rows), SLANT * HIGHEST * share(columns)
        self.front = 0.06 + WIDEST * log2((channels or 1) + 1) / 12
        self.shape = "×".join("?" if side is None else str(side) for side in block.shape)

        self.number = f"×{block.number}" if block.number > 1 else ""
        number_width = width_of(self.number, NAME, "bold") + 0.2 if self.number else 0
        name = f"{block.name} … {block.last}" if block.last != block.name and block.last else block.name
        long = width_of(name, NAME, "bold") > 1.3 and name != block.name
        self.lines = [f"{block.name} …", block.last] if long else [name]
        self.name_width = max(width_of(line, NAME, "bold") for line in self.lines)
        self.head_line = self.name_width + number_width

        self.branches = sum(map(branch_width, block.branches)) + BETWEEN_BRANCHES * max(len(block.branches) - 1, 0)
        self.deepest = self.card = max(map(branch_height, block.branches), default=0)
        self.card_width = self.branches
        if block.joined:
            self.card_width = max(self.branches, width_of(block.joined.text, TEXT) + 2 * PAD) + 2 * PAD
            self.card += layer_height(block.joined) + BETWEEN_LAYERS + 2 * PAD
        self.heads = sum(branch_height(head) + 2 * PAD + 0.12 for head in block.heads)
        self.head_width = max((branch_width(head) + 2 * PAD for head in block.heads), default=0)
        solid = self.front + self.slant
        self.width = max(self.head_line, width_of(self.shape, TEXT), self.card_width, self.head_width, solid)

    def draw(self, axes, x, middle, below):
        """Draw it from `x` to the right, `below` being where the card begins; return the ends of its solid."""
        centre = x + self.width / 2
        left, right = centre - (self.front + self.slant) / 2, centre + (self.front - self.slant) / 2
        top, bottom, up = middle - self.height / 2, middle + self.height / 2, self.slant
        colour = KINDS.get(self.block.kind, (OTHER,))[0]
        faces = [
            ([(left, bottom), (right, bottom), (right, top), (left, top)], 0),
            ([(left, top), (right, top), (right + up, top - up), (left + up, top - up)], 0.35),
            ([(right, bottom), (right, top), (right + up, top - up), (right + up, bottom - up)], -0.15),
        ]
        for corners, light in faces:
            face = patches.Polygon(corners, facecolor=shade(colour, light), edgecolor="#444444", linewidth=0.7)
            axes.add_patch(face).set(joinstyle="round", zorder=2)

        start, line_y = centre - self.head_line / 2, top - up - 0.06 - NAME_LINE / 2
        for i, line in enumerate(self.lines):
            axes.text(
                start, line_y - (len(self.lines) - 1 - i) * NAME_LINE, line, size=NAME, weight="bold", va="center"
            )
        if self.number:
            pill = {"boxstyle": "round,pad=0.15", "facecolor": "#333333", "edgecolor": "none"}
            style = {"size": NAME, "weight": "bold", "color": "white", "bbox": pill}
            place = start + self.name_width + 0.12, line_y - NAME_LINE / 2 * (len(self.lines) - 1)
            axes.text(*place, self.number, va="center", **style)
        axes.text(centre, below - SHAPE_LINE / 2, self.shape, size=TEXT, ha="center", va="center")

        self.draw_card(axes, centre, below)
        below += self.card
        for head in self.block.heads:
            axes.plot([centre, centre], [below, below + 0.12], color=LINE, linewidth=0.9, linestyle=":")
            below += 0.12
            tall = branch_height(head) + 2 * PAD
            frame(axes, centre - self.head_width / 2, below, self.head_width, tall, linestyle="--", facecolor="none")
            draw_branch(axes, head, centre - branch_width(head) / 2, below + PAD)
            below += tall
        return left, right + up

    def draw_card(self, axes, centre, y):
        joined = self.block.joined
        if joined:
            frame(axes, centre - self.card_width / 2, y, self.card_width, self.card, facecolor="#f4f4f4")
            y += PAD
        x, end = centre - self.branches / 2, y + self.deepest + BETWEEN_LAYERS
        for branch in self.block.branches:
            width = branch_width(branch)
            last = draw_branch(axes, branch, x, y)
            if joined:
                axes.plot([x + width / 2] * 2, [last, end], color=LINE, linewidth=0.7, zorder=3)
            x += width + BETWEEN_BRANCHES
        if joined:
            draw_layer(axes, joined, centre - self.card_width / 2 + PAD, end, self.card_width - 2 * PAD)


def branch_width(branch):
    return max(width_of(text, TEXT) for text in (branch.label, *(layer.text for layer in branch.layers))) + 2 * PAD


def branch_height(branch):
    heights = [LAYER_LINE] * bool(branch.label) + [layer_height(layer) for layer in branch.layers]
    return sum(heights) + BETWEEN_LAYERS * (len(heights) - 1)


def layer_height(layer):
    return LAYER_LINE + STRIP * len(layer.before + layer.after)


def draw_branch(axes, branch, x, y):
    """Draw layers one under another, a line between two; return where the last one ends."""
    width, end = branch_width(branch), y
    if branch.label:
        style = {"size": TEXT, "style": "italic", "ha": "center", "va": "center"}
        axes.text(x + width / 2, y + LAYER_LINE / 2, branch.label, **style)
        end += LAYER_LINE
    for layer in branch.layers:
        if end > y:
            axes.plot([x + width / 2] * 2, [end, end + BETWEEN_LAYERS], color=LINE, linewidth=0.7, zorder=3)
            end += BETWEEN_LAYERS
        draw_layer(axes, layer, x, end, width)
        end += layer_height(layer)
    return end


def draw_layer(axes, layer, x, y, width):
    """Draw a layer's text on its colour, with strips for the normalisations around it."""
    for kind, height in [
        *((kind, STRIP) for kind in layer.before),
        (layer.kind, LAYER_LINE),
        *((kind, STRIP) for kind in layer.after),
    ]:
        colour = KINDS.get(kind, (OTHER,))[0]
        axes.add_patch(patches.Rectangle((x, y), width, height, facecolor=colour, linewidth=0, zorder=4))
        if height == LAYER_LINE:
            axes.text(x + width / 2, y + height / 2, layer.text, size=TEXT, ha="center", va="center", zorder=5)
        y += height


def frame(axes, x, y, width, height, **style):
    corners = "round,pad=0,rounding_size=0.05"
    style = {"edgecolor": "#999999", "linewidth": 0.6, "zorder": 0, **style}
    axes.add_patch(patches.FancyBboxPatch((x, y), width, height, boxstyle=corners, **style))


def arrow(axes, points):
    axes.plot(*zip(*points, strict=True), color=LINE, linewidth=0.9, zorder=1)
    x, y = points[-1]
    head = [(x, y), (x - 0.07, y - 0.035), (x - 0.07, y + 0.035)]
    axes.add_patch(patches.Polygon(head, facecolor=LINE, linewidth=0, zorder=1))


def legend(blocks):
    """What stands in the legend, as (kind, word, place), and its width."""
    layers = [layer for block in blocks for branch in (*block.branches, *block.heads) for layer in branch.layers]
    layers += [block.joined for block in blocks if block.joined]
    shown = {kind for layer in layers for kind in (*layer.before, layer.kind, *layer.after)}
    words = {word: kind for kind, (_, word) in KINDS.items() if kind in shown}
    x, entries = 0, []
    for word, kind in words.items():
        entries.append((kind, word, x))
        x += 0.26 + width_of(word, TEXT) + 0.25
    return entries, x


def draw_legend(axes, entries, height):
    for kind, word, x in entries:
        thick = STRIP if kind in ON_ANOTHER else 0.12
        y = height - FOOTER + 0.25
        colour = KINDS[kind][0]
        axes.add_patch(patches.Rectangle((MARGIN + x, y - thick / 2), 0.2, thick, facecolor=colour, linewidth=0))
        axes.text(MARGIN + x + 0.26, y, word, size=TEXT, va="center")
    axes.text(MARGIN, height - 0.15, NOTE, size=TEXT, va="center", color="#666666")


def shade(colour, light):
    """A colour nearer to white by a share, or nearer to black by a negative one."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return [(each + (255 - each) * light if light > 0 else each * (1 + light)) / 255 for each in channels]
