"""Boxes of VOC folders, TensorFlow Datasets and COCO files; what is left out and said of it."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_cnns.data import coco_boxes, digit_boxes, joined, tfds_boxes, voc_boxes
from keras_cnns.data.boxes import pad_objects
from keras_cnns.data.detection import truth, voc_annotation

WIDTH, HEIGHT = 40, 30


def save_image(path, seed=0, size=(WIDTH, HEIGHT)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), "uint8")
    Image.fromarray(pixels).save(path, quality=95)


def xml(objects):
    """An annotation of (name, xmin, ymin, xmax, ymax, difficult)."""
    rows = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>{difficult}</difficult>"
        f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
        f"<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        f"</object>"
        for name, x1, y1, x2, y2, difficult in objects
    )
    return (
        f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>{rows}</annotation>"
    )


# The whole image is 1, 1, 40, 30.
OBJECTS = {
    "a": [("cat", 1, 1, WIDTH, HEIGHT, 0), ("dog", 5, 6, 14, 25, 1)],
    "b": [],
    "c": [("dog", 11, 3, 11.5, 4, 0)],
    "d": [("cat", 2, 2, 3, 3, 0)],
}


def voc_folder(root, objects=OBJECTS, **lists):
    for name, those in objects.items():
        save_image(root / f"JPEGImages/{name}.jpg", seed=ord(name[0]))
        (root / "Annotations").mkdir(exist_ok=True)
        (root / f"Annotations/{name}.xml").write_text(xml(those))
    (root / "ImageSets/Main").mkdir(parents=True)
    for name, stems in (lists or {"trainval": "abc", "test": "d"}).items():
        (root / f"ImageSets/Main/{name}.txt").write_text("\n".join(stems) + "\n")
    return root


def loaded(images):
    """[(image, objects)] in the fixed order."""
    return [(image[0].numpy(), objects[0].numpy()) for image, objects in images.batches(1)]


NONE = [-1.0] * 6


@pytest.mark.slow
def test_voc_boxes_from_0_with_exclusive_ends(tmp_path):
    images = voc_boxes(voc_folder(tmp_path), "train")
    assert (images.labels, len(images), images.corrupt) == (["cat", "dog"], 3, [])
    assert images.description.endswith("train, 3 images, 3 objects: 1 cat, 2 dog")
    (image, first), (_, second), (_, third) = loaded(images)
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == "uint8"
    assert first.tolist() == [[0, 0, WIDTH, HEIGHT, 0, 0], [4, 5, 14, 25, 1, 1]]
    assert second.tolist() == [NONE, NONE]
    assert third.tolist() == [[10, 2, 11.5, 4, 1, 0], NONE]
    test = voc_boxes(tmp_path, "test")
    assert test.labels == ["cat", "dog"] and loaded(test)[0][1].tolist() == [[1, 1, 3, 3, 0, 0]]
    own = truth(first)
    assert own["boxes"].tolist() == [[0, 0, WIDTH, HEIGHT], [4, 5, 14, 25]]
    assert (own["labels"].tolist(), own["difficult"].tolist()) == ([0, 1], [False, True])
    assert truth(second)["boxes"].shape == (0, 4)


@pytest.mark.slow
def test_shuffled_batches_keep_each_image_with_its_own(tmp_path):
    images = voc_boxes(voc_folder(tmp_path), "train").each(pad_objects(HEIGHT, WIDTH))
    fixed = {image.tobytes(): objects.tolist() for image, objects in loaded(images)}
    assert len(fixed) == 3
    for epoch in range(3):
        for batch, objects in images.batches(3, shuffle=True, seed=5, epoch=epoch):
            assert [fixed[image.tobytes()] for image in batch.numpy()] == objects.numpy().tolist()


FAULTY = [
    ("cat", 5, 5, 5, 9, 0),
    ("cat", 9, 5, 5, 9, 0),
    ("cat", 50, 5, 60, 9, 0),
    ("cat", 5, -9, 9, 0, 0),
    ("bird", 5, 5, 9, 9, 0),
    ("cat", "nan", 5, 9, 9, 0),
    ("cat", -3, 0, 99, 12, 0),  # kept, cut off
]


def test_what_is_wrong_is_named_counted_and_left_out(tmp_path, capsys):
    root = voc_folder(tmp_path, {**OBJECTS, "e": FAULTY}, trainval=[*"abcefghijk"], test="d")
    for name in "fghik":
        save_image(root / f"JPEGImages/{name}.jpg")
    (root / "JPEGImages/h.jpg").write_bytes(b"no image at all")
    for name, text in {
        "f": "<annotation><object>",
        "g": "<annotation><object><name>cat</name></object></annotation>",
        "h": xml([]),
        "j": xml([]),
        "k": '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation><folder>&b;</folder></annotation>',
    }.items():
        (root / f"Annotations/{name}.xml").write_text(text)
    images = voc_boxes(root, "train", ["cat", "dog"])
    assert len(images) == 4 and "; 1 cut off at the border" in images.description
    assert loaded(images)[3][1].tolist()[0] == [0, 0, WIDTH, 12, 0, 0]
    told = capsys.readouterr().err
    path = root / "Annotations"
    for line in (
        f"{path / 'e.xml'}, object 1 has no area: (5, 4, 5, 9)",
        f"{path / 'e.xml'}, object 2 has no area: (9, 4, 5, 9)",
        f"{path / 'e.xml'}, object 3 lies outside of its image of 40x30: (49, 4, 60, 9)",
        f"{path / 'e.xml'}, object 4 lies outside of its image of 40x30: (4, -10, 9, 0)",
        f"{path / 'e.xml'}, object 5 is of the class 'bird', none of cat, dog",
        f"{path / 'e.xml'}, object 6 has no area: (nan, 4, 9, 9)",
        f"{path / 'f.xml'} is no XML that can be read: ParseError(",
        f"{path / 'g.xml'} has no name or no four corners of its object 1",
        f"{root / 'JPEGImages/h.jpg'} cannot be decoded",
        f"{path / 'i.xml'} does not exist",
        f"{root / 'JPEGImages/j.jpg'} does not exist",
        f"{path / 'k.xml'} is no XML that can be read: EntitiesForbidden(",
        "(12 so far)",
    ):
        assert line in told, line
    assert len(images.corrupt) == 12
    with pytest.raises(ValueError, match=r"f.xml is no XML that can be read.*\(--strict makes that an error\)"):
        voc_boxes(root, "train", ["cat", "dog"], strict=True)


def test_an_image_that_breaks_off_is_left_out_when_it_is_read(tmp_path):
    root = voc_folder(tmp_path)
    file = root / "JPEGImages/a.jpg"
    file.write_bytes(file.read_bytes()[:-600])
    images = voc_boxes(root, "train")
    assert len(loaded(images)) == 2 and images.corrupt == [str(file)]


def test_folders_without_lists_or_images_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"trainval.txt does not exist; it must list the images"):
        voc_boxes(tmp_path, "train")
    root = voc_folder(tmp_path / "voc", {}, trainval=["x"], test=["x"])
    with pytest.raises(ValueError, match="no train image that can be used; 1 things are wrong"):
        voc_boxes(root, "train", ["cat"])
    with pytest.raises(ValueError, match="split is 'val'; it must be one of 'train', 'test'"):
        voc_boxes(root, "val")


def coco_file(folder, **changes):
    for number, name in enumerate(("one.png", "two.png")):
        save_image(folder / name, number)
    content = {
        "images": [{"id": 7, "file_name": "one.png"}, {"id": 9, "file_name": "two.png"}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 18, "bbox": [2.5, 3, 10, 4.25]},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        ],
        **changes,
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def test_coco_boxes_by_the_ids_of_categories(tmp_path):
    images = coco_boxes(coco_file(tmp_path), tmp_path)
    assert (images.labels, len(images)) == (["cat", "dog"], 2)
    (_, first), (_, second) = loaded(images)
    assert first.tolist() == [NONE, NONE]
    assert second.tolist() == [[2.5, 3, 12.5, 7.25, 1, 0], [0, 0, 40, 30, 0, 1]]


def test_what_is_wrong_in_a_coco_file(tmp_path, capsys):
    wrong = [
        {"id": 1, "image_id": 7, "category_id": 4, "bbox": [1, 1, 2, 2]},
        {"id": 2, "image_id": 8, "category_id": 3, "bbox": [1, 1, 2, 2]},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [1, 1, 0, 2]},
        {"id": 4, "image_id": 7, "category_id": 3, "bbox": [1, 1, 2]},
        {"id": 5, "image_id": 7, "category_id": 3, "bbox": [41, 1, 2, 2]},
        "nothing",
    ]
    pictures = [{"id": 7, "file_name": "one.png"}, {"id": 9, "file_name": "three.png"}]
    file = coco_file(tmp_path, images=pictures, annotations=wrong)
    images = coco_boxes(file, tmp_path)
    assert len(images) == 1 and len(images.corrupt) == 7
    told = capsys.readouterr().err
    for line in (
        "annotation 1 is of the class 'number 4', none of cat, dog",
        "annotation 2 belongs to the image 8, which the file does not list",
        "annotation 3 has no area",
        "annotation 4 lacks its id, a bbox of four numbers, its category or its image",
        "annotations[5] lacks its id",
        "annotation 5 lies outside of its image of 40x30: (41, 1, 43, 3)",
        f"{tmp_path / 'three.png'} does not exist",
    ):
        assert line in told, line
    with pytest.raises(ValueError, match="strict"):
        coco_boxes(file, tmp_path, strict=True)
    for text in ("{", "[]", "{}", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(ValueError, match="is no COCO file of instances"):
            coco_boxes(file, tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """`voc/2007` as TensorFlow Datasets itself prepares it, from a folder in place of the downloaded archives."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("voc")
    lists = {"train": "ab", "val": "c", "test": "d"}
    voc_folder(
        root / "VOCdevkit/VOC2007", {**OBJECTS, "c": [("dog", 11, 3, 11, 20, 0), ("cat", 3, 3, 9, 9, 0)]}, **lists
    )
    builder = tfds.builder("voc/2007", data_dir=root / "tfds")
    builder._make_download_manager = lambda *args, **kwargs: Downloads(root)
    builder.download_and_prepare()
    return root / "tfds"


class Downloads:
    downloaded_size, register_checksums = 0, False
    recorded_checksums_filepath = None

    def __init__(self, root):
        self.root = root

    def download_and_extract(self, urls):
        return {name: str(self.root) for name in urls}


@pytest.mark.slow
def test_tensorflow_datasets_boxes_are_those_of_its_files(prepared):
    images = tfds_boxes("voc/2007", "train+validation", prepared)
    assert len(images) == 3 and images.labels[:2] == ["aeroplane", "bicycle"] and len(images.labels) == 20
    cat, dog = images.labels.index("cat"), images.labels.index("dog")
    rows = sorted(truth(objects)["boxes"].tolist() for _, objects in loaded(images))
    assert rows == [[], [[0, 0, WIDTH, HEIGHT], [4, 5, 14, 25]], [[2, 2, 9, 9]]]
    assert [name.partition(" ")[2] for name in images.corrupt] == ["object 1"]  # whose xmin is its xmax
    shuffled = [truth(objects[0]) for _, objects in images.batches(1, shuffle=True, seed=3)]
    assert sorted(each["labels"].tolist() for each in shuffled) == [[], [cat], [cat, dog]]
    assert sum(each["difficult"].sum() for each in shuffled) == 1
    assert len(tfds_boxes("voc/2007", "test", prepared)) == 1


def test_other_data_sets_and_splits_are_told(prepared):
    with pytest.raises(ValueError, match="has no split 'val'; it has test, train, validation"):
        tfds_boxes("voc/2007", "train+val", prepared)
    with pytest.raises(ValueError, match=r"'voc/2031' is not prepared in .* and could not be downloaded"):
        tfds_boxes("voc/2031", "train", prepared)
    with pytest.raises(ValueError, match=r"there is no folder \./photographs"):
        tfds_boxes("./photographs", "train", prepared)
    with pytest.raises(ValueError, match="is in no layout that is read here"):
        tfds_boxes(str(prepared), "train", prepared)


@pytest.mark.slow
def test_two_sets_are_one(tmp_path):
    first = voc_boxes(voc_folder(tmp_path / "one"), "train", labels=["cat", "dog"])
    second = voc_boxes(voc_folder(tmp_path / "two", trainval="d"), "train", labels=["cat", "dog"])
    both = joined(first, second)
    assert len(both) == 4 and both.labels == ["cat", "dog"]
    assert [objects.shape for _, objects in loaded(both)] == [(2, 6)] * 4
    assert loaded(both)[3][1].tolist() == [[1, 1, 3, 3, 0, 0], NONE]

    def order(seed):
        return [int(index) for index, *_ in both.records(seed)]

    assert order(None) == [0, 1, 2, 3] and order(5) == order(5) and sorted(order(5)) == [0, 1, 2, 3]
    assert len({str(order(seed)) for seed in range(6)}) > 1
    with pytest.raises(ValueError, match="has the classes"):
        joined(first, voc_boxes(tmp_path / "two", "train", labels=["cat", "dog", "cow"]))


@pytest.mark.parametrize("corner", ["nan", "inf"])
def test_corners_that_are_no_numbers_are_left_out_by_path(tmp_path, corner, capsys):
    images = voc_boxes(
        voc_folder(tmp_path, {"a": [("cat", corner, 1, 9, 9, 0), ("cat", 2, 2, 5, 5, 0)]}, trainval="a"), "train"
    )
    assert "a.xml, object 1" in capsys.readouterr().err
    assert loaded(images)[0][1].tolist() == [[1, 1, 5, 5, 0, 0]]


def test_a_digits_box_is_around_its_ink():
    images = digit_boxes("test")
    assert images.labels == [str(digit) for digit in range(10)] and "pages of 3x3" in images.description
    pages, rows = images.arrays
    assert pages.shape[1:] == (96, 96, 3) and rows.shape == (len(images), 9, 6)
    for page, objects in zip(pages[:3], rows[:3], strict=True):
        for number, (x1, y1, x2, y2, label, difficult) in enumerate(objects):
            top, left = 32 * (number // 3), 32 * (number % 3)
            ink = np.zeros((96, 96), bool)
            ink[top : top + 32, left : left + 32] = page[top : top + 32, left : left + 32, 0] >= 64
            inside = ink[int(y1) : int(y2), int(x1) : int(x2)]
            assert inside.sum() == ink.sum() and inside[0].any() and inside[-1].any() and not difficult
            assert inside[:, 0].any() and inside[:, -1].any() and 0 <= label < 10
    assert len(np.unique(rows[:, :, 4])) == 10 and all(len(set(labels)) > 1 for labels in rows[:, :, 4].tolist())


@pytest.mark.parametrize("encoding", ["gb2312", "foo"])
def test_an_annotation_in_an_encoding_that_cannot_be_read_is_told(encoding, tmp_path):
    file = tmp_path / "a.xml"
    file.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?><annotation/>'.encode())
    with pytest.raises(ValueError, match="is no XML that can be read") as told:
        voc_annotation(file)
    assert told.value.args[0] == str(file)
