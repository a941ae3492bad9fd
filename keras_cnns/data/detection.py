"""Photographs with boxes: Pascal VOC, from its folders or from TensorFlow Datasets, and COCO's JSON.

An image's objects are float32 `(most, 6)`: x1, y1, x2, y2 in pixels, the number of the class, and 1 where it is
difficult (of COCO: a crowd); `most` is what the fullest image has, and rows of -1 stand behind those of the others.
Proposals are rows behind the objects, of the class -2.

A box that crosses the image's border is cut off there, and counted. One without area, outside of its image or of an
unknown class, and a file that is missing or cannot be read, are named, counted and left out like a corrupt image; with
`strict` they are an error.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
import tensorflow as tf
from defusedxml import DefusedXmlException, ElementTree
from PIL import Image

from keras_cnns.arguments import check_choice
from keras_cnns.data.pipeline import Images
from keras_cnns.data.random import permutation
from keras_cnns.data.sources import SUFFIXES, digits, prepared
from keras_cnns.extras import Extra

tfds = Extra("tensorflow_datasets", "data")

NO_OBJECT, PROPOSAL = -1.0, -2.0  # in place of the number of the class


def voc_boxes(
    folder: str | Path,
    split: str,
    labels: Sequence[str] | None = None,
    train_list: str = "trainval",
    test_list: str = "test",
    strict: bool = False,
) -> Images:
    """Return the photographs of a folder in Pascal VOC's layout as `Images` with objects.

    `JPEGImages/NAME.jpg` (or another ending), `Annotations/NAME.xml`, and the names in `ImageSets/Main/LIST.txt`. Their
    corners are pixels counted from 1, both inclusive: xmin, xmax become xmin - 1, xmax.

    Args:
        split: "train", the list `train_list`, or "test", `test_list`.
        labels: names of the classes; by default those that the training list's files have, in alphabetical order.

    Raises:
        ValueError: another split, no such list, no image in it that can be used, or, with `strict`, anything that would
            be left out.
    """
    check_choice("split", split, ("train", "test"))
    folder, faults, parsed = Path(folder), [], {}
    lists = {"train": voc_list(folder, train_list), "test": voc_list(folder, test_list) if split == "test" else ()}
    for name in lists[split] if labels else dict.fromkeys([*lists["train"], *lists[split]]):
        try:
            parsed[name] = voc_annotation(folder / "Annotations" / f"{name}.xml")
        except ValueError as error:
            if name in lists[split]:
                faults.append(error.args)
    if labels is None:
        labels = sorted({label for name in lists["train"] for label, *_ in parsed.get(name, ())})
    photos = []
    for name in lists[split]:
        if name in parsed:
            stem = folder / "JPEGImages" / name
            paths = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
            path = next((path for path in paths if path.exists()), paths[0])
            objects = [
                (f"{folder / 'Annotations' / name}.xml, object {number}", *each)
                for number, each in enumerate(parsed[name], start=1)
            ]
            photos.append((path, objects))
    return from_files(folder, split, photos, faults, labels, strict)


def voc_list(folder, name):
    """The names in a list of VOC's detection images, or `ValueError` if there is no such list."""
    file = folder / f"ImageSets/Main/{name}.txt"
    if not file.is_file():
        raise ValueError(f"{file} does not exist; it must list the images, one a line.")
    return [line.split()[0] for line in file.read_text().splitlines() if line.strip()]


def voc_annotation(path):
    """[(class, (x1, y1, x2, y2), difficult)] of an XML file; ValueError(path, what is wrong with it)."""
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise ValueError(str(path), "does not exist") from None
    except (ParseError, DefusedXmlException, OSError, ValueError, LookupError) as error:  # of an encoding too
        raise ValueError(str(path), f"is no XML that can be read: {error!r}") from error
    objects = []
    for number, each in enumerate(root.findall("object"), start=1):  # the parts of a person lie deeper
        try:
            box = [float(each.find("bndbox").find(key).text) for key in ("xmin", "ymin", "xmax", "ymax")]
            label, difficult = each.find("name").text.strip(), each.findtext("difficult") or "0"
            objects.append((label, from_inclusive(*box), int(difficult)))
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(str(path), f"has no name or no four corners of its object {number}") from error
    return objects


def from_inclusive(x1, y1, x2, y2):
    """Corners counted from 1, both in the box; two that are one stay so, since nobody drew a box of one pixel."""
    return (x1 - (x2 > x1), y1 - (y2 > y1), x2, y2)


def coco_boxes(annotations: str | Path, folder: str | Path, strict: bool = False) -> Images:
    """Return the photographs of a COCO file of instances as `Images` with objects; crowds are difficult ones.

    The classes are the file's categories by their ids, numbered from 0.

    Args:
        annotations: the JSON file, such as `instances_train2017.json`.
        folder: where the images lie.

    Raises:
        ValueError: a file that is no such JSON, no image that can be used, or, with `strict`, anything that would be
            left out.
    """
    return from_files(*coco_photos(annotations, folder), strict)


def coco_photos(annotations, folder):
    """What `from_files` takes of a COCO file of instances; each object has its segmentation, None or what it may be."""
    file, folder, faults = Path(annotations), Path(folder), []
    try:
        content = json.loads(file.read_text())
        numbers = {each["id"]: each["name"] for each in sorted(content["categories"], key=lambda each: each["id"])}
        photos = {each["id"]: (folder / each["file_name"], []) for each in content["images"]}
        found = content["annotations"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{file} is no COCO file of instances, with images, annotations and categories: {error!r}."
        ) from error
    for number, each in enumerate(found):
        name = f"{file}, annotations[{number}]"
        try:
            name = f"{file}, annotation {each['id']}"
            left, top, width, height = map(float, each["bbox"])
            label = numbers.get(each["category_id"], f"number {each['category_id']}")
            box = label, (left, top, left + width, top + height), int(each.get("iscrowd", 0)), each.get("segmentation")
            image = each["image_id"]
        except (KeyError, TypeError, ValueError):
            faults.append((name, "lacks its id, a bbox of four numbers, its category or its image"))
            continue
        if image in photos:
            photos[image][1].append((name, *box))
        else:
            faults.append((name, f"belongs to the image {image}, which the file does not list"))
    return file, folder.name, list(photos.values()), faults, list(numbers.values())


def from_files(source, split, photos, faults, labels, strict, kind=None):
    """`Images` of photos, [(path, [(name, label, corners, difficult)])]; `faults`: [(name, what is wrong with it)].

    kind: of `Objects`, by default those themselves.
    """
    paths, objects = [], (kind or Objects)(labels, faults)
    for path, found in photos:
        try:
            with Image.open(path) as file:  # its header alone
                size = file.size
        except FileNotFoundError:
            faults.append((str(path), "does not exist"))
        except (OSError, Image.DecompressionBombError):
            faults.append((str(path), "cannot be decoded"))
        else:
            paths.append(str(path))
            objects.add(found, *size)
    paths = np.array(paths)

    def records(seed):
        order = np.arange(len(paths)) if seed is None else permutation(len(paths), seed, 0)
        files = tf.data.Dataset.from_tensor_slices((order, paths[order]))
        return files.map(lambda index, path: (index, path, tf.io.read_file(path), objects.of(index)))

    return objects.images(Path(source).stem, split, records, strict)


def tfds_boxes(name: str, split: str, data_dir: str | Path | None = None, strict: bool = False) -> Images:
    """Return a TensorFlow Datasets set with Pascal VOC's features, `voc/2007` or `voc/2012`, as `Images` with objects.

    Offline when `data_dir` holds it prepared; otherwise it is downloaded and prepared there.

    split: as TensorFlow Datasets writes it: "train+validation" is VOC's trainval. (The "test" of 2012 has no boxes.)

    Raises:
        ValueError: no such data set or split, one without boxes, or one that can be neither found nor downloaded; with
            `strict`, anything that would be left out.
    """
    builder = prepared(name, data_dir)
    kinds = objects_of(builder, "objects")
    if not {"bbox", "label", "is_difficult"} <= set(kinds):
        has = ", ".join(builder.info.features)
        raise ValueError(f"data set {name!r} has {has}; objects as Pascal VOC's are needed.")
    labels = kinds["label"].names

    def found(each, sides):
        columns = (each["objects"][key] for key in ("bbox", "label", "is_difficult"))
        for shares, label, difficult in zip(*columns, strict=True):
            y1, x1, y2, x2 = corners_of(shares, sides)
            yield labels[label], from_inclusive(x1, y1, x2, y2), difficult

    return from_tfds(builder, name, split, found, {}, labels, strict)


def objects_of(builder, key):
    """The features of a TensorFlow Datasets set's objects by their names, none if it has no objects."""
    features = builder.info.features
    return getattr(features[key], "feature", {}) if key in features else {}


def corners_of(shares, sides):
    """y1, x1, y2, x2 in pixels of TensorFlow Datasets' shares of an image's sides."""
    return np.round(shares.astype("float64") * [*sides, *sides], 3).tolist()


def from_tfds(builder, name, split, found, encoded, labels, strict, kind=None):
    """`Images` of a TensorFlow Datasets set.

    found: function from an example and (height, width) to its objects, [(label, corners, difficult)].
    encoded: features that `found` wants encoded, as TensorFlow Datasets' `decoders` have them.
    kind: of `Objects`, by default those themselves.
    """
    splits = builder.info.splits
    if unknown := [part for part in split.split("+") if part.partition("[")[0] not in splits]:
        raise ValueError(f"data set {name!r} has no split {unknown[0]!r}; it has {', '.join(sorted(splits))}.")

    def stored(seed=None):
        reading = tfds.ReadConfig(add_tfds_id=True, shuffle_seed=seed, try_autocache=False, enable_ordering_guard=False)
        decoders = {"image": tfds.decode.SkipDecoding(), **encoded}
        return builder.as_dataset(split, shuffle_files=seed is not None, read_config=reading, decoders=decoders)

    faults, names = [], []
    objects = (kind or Objects)(labels, faults)
    for each in stored().as_numpy_iterator():
        height, width, _ = tf.io.extract_jpeg_shape(each["image"]).numpy()
        names.append(each["tfds_id"])
        rows = enumerate(found(each, (height, width)), start=1)
        objects.add([(f"{names[-1].decode()}, object {number}", *row) for number, row in rows], width, height)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(names), tf.range(len(names), dtype=tf.int64)), -1
    )

    def records(seed):
        data = stored(seed)
        if seed is not None:
            data = data.shuffle(1024, seed=seed, reshuffle_each_iteration=False)
        data = data.map(lambda each: (table[each["tfds_id"]], each["tfds_id"], each["image"]))
        return data.map(lambda index, name, image: (index, name, image, objects.of(index)))

    return objects.images(name, split, records, strict)


def joined(first: Images, second: Images) -> Images:
    """Return the images of two sets with objects as one, such as VOC's 2007 and 2012; shuffled, they are mixed.

    Raises:
        ValueError: their classes differ.
    """
    if first.labels != second.labels:
        raise ValueError(
            f"{first.name} has the classes {first.labels}, {second.name} {second.labels}; one set is asked."
        )
    parts = first, second
    most = max(part.records().element_spec[3].shape[0] for part in parts)

    def records(seed):
        def renumbered(part, before):
            def number(index, name, image, objects):
                room = [(0, most - objects.shape[0]), (0, 0)]
                return tf.cast(index, tf.int64) + before, name, image, tf.pad(objects, room, constant_values=NO_OBJECT)

            return part.records(seed).map(number)

        data = [renumbered(part, before) for part, before in zip(parts, (0, len(first)), strict=True)]
        if seed is None:
            return data[0].concatenate(data[1])
        weights = [len(part) / (len(first) + len(second)) for part in parts]
        return tf.data.Dataset.sample_from_datasets(data, weights, seed=seed, rerandomize_each_iteration=False)

    description = " and ".join(part.description for part in parts)
    images = Images(
        f"{first.name}+{second.name}",
        description,
        first.labels,
        len(first) + len(second),
        records,
        mask=keep_objects,
        strict=first.strict,
    )
    images.corrupt = first.corrupt + second.corrupt
    return images


def digit_boxes(split: str, side: int = 3) -> Images:
    """Return pages of `side` x `side` digits that need no download as `Images` with objects: the boxes of their ink.

    A page has 32 * `side` pixels a side. Arguments and errors: as in `digits`.
    """
    images = digits(split, channels=3)
    pixels, numbers = images.arrays
    pages = len(numbers) // side**2
    order = np.arange(pages * side**2).reshape(side**2, pages).T.ravel()  # the digits of a page lie far apart
    pixels, numbers = pixels[order], numbers[order]
    height, width = pixels.shape[1:3]
    grid = pixels.reshape(pages, side, side, height, width, 3).transpose(0, 1, 3, 2, 4, 5)
    rows = np.zeros((len(numbers), 6), "float32")
    for number, digit in enumerate(pixels):
        top, left = (height, width) * np.array(divmod(number % side**2, side))
        y, x = np.nonzero(digit[..., 0] >= 64)
        rows[number, :4] = left + x.min(), top + y.min(), left + x.max() + 1, top + y.max() + 1
    rows[:, 4] = numbers
    arrays = grid.reshape(pages, side * height, side * width, 3), rows.reshape(pages, side**2, 6)
    description = f"digits {split}, {pages:,} pages of {side}x{side}"
    # Both splits' pages may come to lie in one folder, by their names.
    return Images(f"digits-{split}", description, images.labels, pages, arrays=arrays, mask=keep_objects)


class Objects:
    """The objects of a data set, image after image, checked.

    labels: names of the classes. faults: a list of (name, what is wrong with it), to which others are added.
    """

    def __init__(self, labels, faults):
        self.labels, self.faults = list(labels), faults
        self.rows, self.cut = [], 0

    def add(self, objects, width, height):
        """Add those of one image: [(name, label, (x1, y1, x2, y2), difficult)]."""
        rows = []
        for name, label, corners, *others in objects:
            try:
                rows.append(self.row(width, height, label, corners, *others))
            except ValueError as error:
                self.faults.append((name, str(error)))
            else:
                self.cut += rows[-1][:4] != corners
        self.rows.append(np.float32(rows).reshape(-1, 6))

    def row(self, width, height, label, corners, difficult, mask=None):
        """The row of an object in an image of this size; ValueError(what is wrong with it)."""
        x1, y1, x2, y2 = corners
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height))
        box = f"({x1:g}, {y1:g}, {x2:g}, {y2:g})"
        if label not in self.labels:
            raise ValueError(f"is of the class {label!r}, none of {', '.join(self.labels)}")
        if not (x2 > x1 and y2 > y1):  # or not a number
            raise ValueError(f"has no area: {box}")
        if not (inside[2] > inside[0] and inside[3] > inside[1]):
            raise ValueError(f"lies outside of its image of {width}x{height}: {box}")
        return (*inside, self.labels.index(label), difficult)

    def images(self, name, split, records, strict):
        """`Images` of these records, each (index, name, bytes, objects)."""
        if not self.rows:
            raise ValueError(f"{name} has no {split} image that can be used; {len(self.faults)} things are wrong.")
        counts = [len(rows) for rows in self.rows]
        self.most, self.flat = max(counts), np.concatenate(self.rows)
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        by_label = np.bincount(np.int64(self.flat[:, 4]), minlength=len(self.labels))
        told = ", ".join(f"{number:,} {label}" for number, label in zip(by_label, self.labels, strict=True))
        description = f"{name} {split}, {len(counts):,} images, {len(self.flat):,} objects: {told}"
        if self.cut:
            description += f"; {self.cut:,} cut off at the border"
        images = Images(name, description, self.labels, len(counts), records, mask=keep_objects, strict=strict)
        for fault in self.faults:
            images.leave_out(*fault)
        return images

    def of(self, index):
        """The objects `(most, 6)` of an image, a tensor's number."""
        own = self.own(self.flat, index)
        missing = self.most - tf.shape(own)[0]
        return tf.ensure_shape(tf.pad(own, [(0, missing), (0, 0)], constant_values=NO_OBJECT), (self.most, 6))

    def own(self, values, index):
        """Of a value for each object, those of an image's."""
        starts = tf.constant(self.starts)
        return tf.constant(values)[starts[index] : starts[index + 1]]


def keep_objects(name, image, objects):
    return objects


def truth(objects):
    """The boxes `(n, 4)`, labels `(n,)` int32 and difficult `(n,)` bool, as a dict, of an image's rows `(most, 6)`."""
    rows = np.asarray(objects)
    rows = rows[rows[:, 4] >= 0]
    return {"boxes": rows[:, :4], "labels": rows[:, 4].astype("int32"), "difficult": rows[:, 5] > 0}
