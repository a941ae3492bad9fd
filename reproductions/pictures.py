"""The pictures of a run."""

import os

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_cnns.data.boxes import objects_and_proposals
from keras_cnns.data.detection import truth
from keras_cnns.detection import detect, draw_boxes
from keras_cnns.files import whole
from keras_cnns.ops import label_maps
from keras_cnns.segmentation.palette import palette
from keras_cnns.self_supervised import colorize

if "MPLBACKEND" not in os.environ:  # which a notebook sets, to show what is drawn
    matplotlib.use("Agg")


def draw_curves(record, path):
    """Training loss, and training and test error (or score, or value of the game), over the steps."""
    rows = record["epochs"]
    if not rows:
        return
    steps = [row["step"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.plot(steps, [row["loss"] for row in rows], label="training")
    if "test_loss" in rows[-1]:
        left.plot(steps, [row["test_loss"] for row in rows], label="test")
    curve = record.get("curve", "top1_error")
    left.set(xlabel="steps", ylabel="loss" if curve == "map" else "cross-entropy", yscale="log")
    if curve == "value":
        draw_game(right, steps, rows)
    else:
        draw_scores(right, steps, rows, record, curve)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    name = record["model"]["name"] + (" (smoke run)" if record["smoke"] else "")
    figure.suptitle(f"{name}: {record['data']['train']}")
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=120)
    finally:
        plt.close(figure)


def draw_game(axes, steps, rows):
    """What a generator and a discriminator play for, and what the latter believes."""
    for part in ("", "test_"):
        style = {"linestyle": "-" if part else "--"}
        axes.plot(
            steps, [row[f"{part}value"] for row in rows], color="C0", label=f"{part}value".replace("_", " "), **style
        )
        for name, colour in (("real", "C2"), ("fake", "C3")):
            words = f"{part}mean of D, {name}".replace("_", " ")
            axes.plot(steps, [row[f"{part}{name}"] for row in rows], color=colour, label=words, **style)
    axes.axhline(-np.log(4), color="black", linestyle=":", label="-log 4")
    axes.axhline(0.5, color="0.5", linestyle=":", label="1/2")
    axes.set(xlabel="steps", ylabel="V(D, G), and D")


def draw_scores(right, steps, rows, record, curve):
    """An error or a score in %, of the training and of the test, and the paper's."""
    name, test = curve.replace("_", " ").replace(" iu", " IU"), [row[f"test_{curve}"] for row in rows]
    if curve.endswith("error"):
        right.plot(steps, [100 * (1 - row["accuracy"]) for row in rows], label="training")
        right.plot(steps, test, label="test")
        right.set(xlabel="steps", ylabel="error, %", yscale="log", ylim=(None, 100))
    else:
        if "accuracy" in rows[0]:
            right.plot(steps, [100 * row["accuracy"] for row in rows], label="training, accuracy")
        right.plot(steps, test, label=f"test, {name}")
        right.set(xlabel="steps", ylabel="%", ylim=(0, 100))
    right.annotate(
        f"{test[-1]:.2f} %",
        (steps[-1], test[-1]),
        xytext=(-4, 6),
        textcoords="offset points",
        ha="right",
    )
    for claim in record.get("claims", []):
        if claim["paper"] is not None and claim["metric"] == curve:
            right.axhline(claim["paper"], color="black", linestyle=":", label=f"paper: {claim['paper']:.2f} %")


def write_png(path, image):
    """Write a uint8 image, `(height, width, 1 or 3)`."""
    with whole(path) as part:
        part.write_bytes(tf.io.encode_png(image).numpy())


def save_test_images(model, images, folder, count=10):
    """Write test images as PNG files named by their order and label: what a user would send to the exported model."""
    folder.mkdir(exist_ok=True)
    images, stride = images.originals(), max(len(images) // count, 1)
    for number, (image, label) in enumerate(images.batches(1).shard(stride, 0).take(count)):
        name = f"{number}-{images.labels[int(label[0])].replace('/', '_')}.png"
        write_png(folder / name, image[0])


def save_segmentations(model, images, folder, count=4):
    """Write test images as PNG files, and `examples.png`: each of them, its mask, and what the network makes of it."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, (photo, mask, given) in enumerate(some_with_masks(images, count)):
        write_png(folder / f"{number}.png", photo)
        rows.append((photo, mask, labelled(model, given, photo.shape[:2])))
    draw_label_maps(rows, ("image", "truth", model.name), images.labels, folder / "examples.png")


def some_with_masks(images, count):
    """A few of the images, spread evenly: as (original, mask of its size, what the network is given)."""
    stride = max(len(images) // count, 1)
    originals, given = (each.batches(1).shard(stride, 0).take(count) for each in (images.originals(), images))
    for (photo, _), (image, mask) in zip(originals, given, strict=True):
        mask = tf.image.resize(mask[..., None], photo.shape[1:3], "nearest")[0, ..., 0]
        yield photo[0].numpy(), mask.numpy(), image


def save_colours(model, images, folder, count=6):
    """Write test images as PNG files, and `examples.png`: each of them, grey, and in the colours the network gives."""
    folder.mkdir(exist_ok=True)
    stride, rows = max(len(images) // count, 1), []
    for number, (photo, _) in enumerate(images.batches(1).shard(stride, 0).take(count)):
        photo = np.uint8(np.clip(np.round(photo), 0, 255))
        write_png(folder / f"{number}.png", photo[0])
        grey = np.asarray(Image.fromarray(photo[0]).convert("L").convert("RGB"))
        rows.append([Image.fromarray(each) for each in (photo[0], grey, colorize(model, photo)[0])])
    save_page(rows, folder / "examples.png")


def save_detections(model, images, folder, preprocessing, count=6):
    """Write test images as PNG files, and `examples.png`: each of them with its objects, and with what is found."""
    folder.mkdir(exist_ok=True)
    stride, rows = max(len(images) // count, 1), []
    for number, (photo, found) in enumerate(images.originals().batches(1).shard(stride, 0).take(count)):
        photo = photo[0].numpy()
        objects, proposals = objects_and_proposals(found[0].numpy())
        write_png(folder / f"{number}.png", photo)
        given = len(model.outputs) == 2  # it is given boxes; others find their own
        (detected,) = detect(model, [photo], preprocessing, [proposals] if given else None)
        detected = {name: each[detected["scores"] >= 0.5] for name, each in detected.items()}
        rows.append([draw_boxes(photo, each, images.labels) for each in (truth(objects), detected)])
    save_page(rows, folder / "examples.png")


def save_page(rows, path):
    """Write rows of PIL images, as many in each, as one."""
    width, height = (int(side) for side in np.max([row[0].size for row in rows], axis=0))
    page = Image.new("RGB", (len(rows[0]) * width, len(rows) * height))
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            page.paste(picture, (column * width, number * height))
    with whole(path) as part:
        page.save(part)


def labelled(model, image, size):
    """The label map of one image that is prepared for the network, at another size."""
    return label_maps(tf.nest.flatten(model(image, training=False))[0], size)[0].numpy()


def draw_label_maps(rows, titles, labels, path):
    """Draw rows of (photograph, label map, label map, ...) under their titles, with the colours' names below."""
    colours = palette(labels)
    height, width = rows[0][0].shape[:2]
    wide = 3.2
    size = (wide * len(titles), wide * height / width * len(rows) + 1.0)
    figure, grid = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False, layout="constrained")
    for row, line in zip(rows, grid, strict=True):
        for picture, axes in zip(row, line, strict=True):
            axes.imshow(colours[picture] if picture.ndim == 2 else picture)
            axes.set(xticks=[], yticks=[])
    for title, axes in zip(titles, grid[0], strict=True):
        axes.set_title(title)
    seen = [label for label in range(len(labels)) if any(np.any(each == label) for row in rows for each in row[1:])]
    patches = [matplotlib.patches.Patch(color=colours[label] / 255, label=labels[label]) for label in seen]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), 8))
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=110)
    finally:
        plt.close(figure)
