"""Small pictures set side by side, PNG files that carry their caption, and the page that shows them together."""

import html
import io
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from keras_cnns.files import whole


def photograph(pixels):
    """uint8 RGB of pixels from 0 to 255, grey or RGB."""
    pixels = np.clip(np.round(pixels), 0, 255).astype("uint8")
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def signed(values, largest=None):
    """uint8 RGB of values of either sign: 0 is grey, `largest` white or a full colour; by default nearly their own."""
    largest = np.percentile(abs(values), 99.8) if largest is None else largest
    return photograph(127.5 + 127.5 * values / (largest or 1.0))


def resized(tile, side):
    """A square tile at `side` x `side` pixels: its own pixels enlarged, or their means."""
    way = Image.Resampling.NEAREST if len(tile) * 2 <= side else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(tile).resize((side, side), way))


def mosaic(tiles, columns, gap=1):
    """Tiles of one size row by row, white lines between them."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, "uint8")
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        picture[top : top + height, left : left + width] = tile
    return picture


def save_grid(images, path, columns=8):
    """Write uint8 images `(number, height, width, 1 or 3)` row by row as a PNG file, small ones enlarged."""
    picture = mosaic([photograph(image) for image in images], min(columns, len(images)))
    times = max(500 // picture.shape[1], 1)
    with whole(path) as part:
        Image.fromarray(picture.repeat(times, axis=0).repeat(times, axis=1)).save(part, "PNG")


def framed(tile, colour, width=2):
    """A tile whose edge is drawn in a colour, (red, green, blue)."""
    tile = tile.copy()
    for edge in (tile[:width], tile[-width:], tile[:, :width], tile[:, -width:]):
        edge[:] = colour
    return tile


def crossed(tile, colour=(220, 30, 30)):
    """A tile with its diagonals drawn."""
    tile = tile.copy()
    line = np.arange(len(tile))
    tile[line, line] = tile[line, -1 - line] = colour
    return tile


def save(figure, path, caption):
    """Write a figure as PNG, its caption inside, each colour in steps of 8: half the size, and no eye sees it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    pixels = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    picture = Image.fromarray(np.minimum((pixels + 4) // 8 * 8, 255).astype("uint8"))
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", caption)
    with whole(path) as part:
        picture.save(part, optimize=True, pnginfo=text)


def write_page(folder, title):
    """Write `index.html`, which shows every picture of a folder that `save` wrote, with its caption."""
    parts = [f"<!doctype html>\n<meta charset=utf-8>\n<title>{html.escape(title)}</title>"]
    parts.append("<style>body{font:16px sans-serif;max-width:1100px;margin:2em auto}img{max-width:100%}</style>")
    parts.append(f"<h1>{html.escape(title)}</h1>")
    for file in sorted(Path(folder).glob("*.png")):
        with Image.open(file) as picture:
            caption = picture.text.get("Description")
        if caption:
            parts.append(f'<p><img src="{html.escape(file.name)}"></p>\n<p>{html.escape(caption)}</p>')
    with whole(Path(folder) / "index.html") as part:
        part.write_text("\n".join(parts) + "\n")
