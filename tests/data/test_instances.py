"""Masks of COCO's files, TensorFlow Datasets and digits, cut to their boxes; what is left out and said of it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from keras_cnns.data import coco_instances, digit_instances, tfds_instances
from keras_cnns.data.boxes import pad_objects, scale_objects
from keras_cnns.data.instances import (
    cell_means,
    decompressed,
    instance_truth,
    objects_alone,
    random_flip_instances,
    run_lengths,
    whole_masks,
)
from tests.data.test_detection import HEIGHT, NONE, WIDTH, Downloads, coco_file, save_image


def compressed(mask):
    encoded = coco.encode(np.asfortranarray(mask, "uint8"))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def rectangle(x1, y1, x2, y2, size=(HEIGHT, WIDTH)):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_two_by_two_of_four_by_four_by_hand():
    """Under a box of three by three pixels of which the mask has the lower right four: 56 cells are 3 pixels wide, so
    that the 19th cell, from 54/56 to 57/56, has a third of its width in the second pixel... and two thirds before."""
    mask = rectangle(2, 2, 4, 4, (4, 4)).astype("uint8")
    cells = cell_means(mask, (1.0, 1.0, 4.0, 4.0))
    assert cells.shape == (56, 56) and cells.dtype == "uint8"
    one = np.concatenate([np.zeros(18), [1 / 3], np.ones(37)])
    np.testing.assert_array_equal(cells, np.rint(255 * np.outer(one, one)))
    assert (cell_means(mask, (2.0, 2.0, 4.0, 4.0)) == 255).all()
    assert not cell_means(mask, (0.0, 0.0, 2.0, 4.0)).any()


def test_a_box_with_fractional_corners_by_hand():
    """From 1.25 to 2.65 a cell is 0.025 wide, and the first thirty end at 2, where the mask begins; from 1.5 to 3.74
    one is 0.04 high, and the thirteenth lies half before 2."""
    mask = rectangle(2, 2, 4, 4, (4, 4)).astype("uint8")
    cells = cell_means(mask, (1.25, 1.5, 2.65, 3.74))
    columns = np.concatenate([np.zeros(30), np.ones(26)])
    rows = np.concatenate([np.zeros(12), [0.5], np.ones(43)])
    np.testing.assert_allclose(cells, 255 * np.outer(rows, columns), atol=0.5 + 1e-6)


def test_means_of_random_cells_as_of_pixels_made_small():
    """Corners in eighths of a pixel: with every pixel made 56 x 8 in each direction a cell is a block of them."""
    random = np.random.default_rng(0)
    for _ in range(3):
        mask = (random.random((5, 6)) < 0.5).astype("uint8")
        x1, y1 = random.integers(0, 16, 2)
        x2, y2 = random.integers(17, 48), random.integers(17, 40)
        fine = np.kron(mask, np.ones((8 * 56, 8 * 56), "uint8"))[56 * y1 : 56 * y2, 56 * x1 : 56 * x2]
        blocks = fine.reshape(56, y2 - y1, 56, x2 - x1).mean(axis=(1, 3))
        np.testing.assert_allclose(cell_means(mask, np.array([x1, y1, x2, y2]) / 8), 255 * blocks, atol=0.5 + 1e-6)


def test_polygons_and_run_lengths_as_pycocotools_reads_them():
    random = np.random.default_rng(1)
    mask = random.random((HEIGHT, WIDTH)) < 0.5
    uncompressed = {"size": [HEIGHT, WIDTH], "counts": decompressed(compressed(mask)["counts"].encode())}
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[not flat[0]], flat, [not flat[-1]]])))
    assert uncompressed["counts"] == [0] * int(flat[0]) + np.diff(edges).tolist()
    polygons = [[2.5, 3, 20, 4.25, 12.5, 25], [25, 5, 35.5, 5, 35.5, 15, 25, 15], [-3, 20, 5, 20, 5, 40]]
    reader = COCO()
    reader.imgs = {1: {"height": HEIGHT, "width": WIDTH}}
    for segmentation in (compressed(mask), uncompressed, polygons):
        counts = run_lengths(segmentation, HEIGHT, WIDTH)
        expected = reader.annToMask({"image_id": 1, "segmentation": segmentation})
        np.testing.assert_array_equal(coco.decode({"size": [HEIGHT, WIDTH], "counts": counts}), expected)
        assert expected.any()
    np.testing.assert_array_equal(reader.annToMask({"image_id": 1, "segmentation": uncompressed}), mask)


ANNOTATIONS = [
    {"id": 1, "image_id": 9, "category_id": 18, "bbox": [10, 3, 10, 5], "segmentation": [[10, 3, 20, 3, 20, 8, 10, 8]]},
    {
        "id": 2,
        "image_id": 9,
        "category_id": 3,
        "bbox": [4, 0, 8, 30],
        "segmentation": {"size": [30, 40], "counts": [8 * 30, 4 * 30, 28 * 30]},
        "iscrowd": 1,
    },
    {
        "id": 3,
        "image_id": 7,
        "category_id": 3,
        "bbox": [0.5, 0, 1.75, 2],
        "segmentation": compressed(rectangle(1, 1, 3, 3)),
    },
]


@pytest.fixture
def images(tmp_path):
    return coco_instances(coco_file(tmp_path, annotations=ANNOTATIONS), tmp_path)


def test_coco_instances_are_boxes_with_masks(images):
    assert (images.labels, len(images), images.corrupt) == (["cat", "dog"], 2, [])
    assert images.description.endswith("2 images, 3 objects: 2 cat, 1 dog")
    (_, (first, cells)), (_, (second, two)) = images.batches(1)
    assert first[0].numpy().tolist() == [[0.5, 0, 2.25, 2, 0, 0], NONE]
    assert second[0].numpy().tolist() == [[10, 3, 20, 8, 1, 0], [4, 0, 12, 30, 0, 1]]
    assert cells.shape == two.shape == (1, 2, 56, 56) and cells.dtype == tf.uint8
    # 56 columns of 1/32 from 0.5: sixteen before 1; 56 rows of 1/28: half of them before 1.
    np.testing.assert_array_equal(cells[0, 0], 255 * np.outer(np.arange(56) >= 28, np.arange(56) >= 16))
    assert not cells[0, 1].numpy().any()
    assert (two[0, 0].numpy() == 255).all()
    np.testing.assert_array_equal(two[0, 1], np.tile(255 * (np.arange(56) >= 28), (56, 1)))


@pytest.mark.slow
def test_whole_masks_are_those_of_the_file(images):
    masks = {"one.png": [rectangle(1, 1, 3, 3)], "two.png": [rectangle(10, 3, 20, 8), rectangle(8, 0, 12, 30)]}
    transformed = images.each(objects_alone(scale_objects(60, 100)), random_flip_instances)
    for expected, (image, (objects, counts)) in zip(masks.values(), whole_masks(transformed).batches(1), strict=True):
        assert image.shape == (1, HEIGHT, WIDTH, 3)
        own = instance_truth(objects[0], counts[0], image.shape[1:3])
        assert len(own["boxes"]) == len(own["labels"]) == len(own["difficult"]) == len(expected)
        np.testing.assert_array_equal([coco.decode(mask) for mask in own["masks"]], expected)
    with pytest.raises(ValueError, match="has no masks in the size of its images, or no more, `in_memory`"):
        whole_masks(images.in_memory())


@pytest.mark.slow
def test_batches_of_pairs_padded_shuffled_and_in_memory(images):
    def smaller(pair, key):
        image, (objects, masks) = pair
        return image[: 10 + tf.cast(objects[0, 0], tf.int32)], (objects, masks)  # 10 and 20 rows

    ((batch, (objects, masks)),) = images.each(smaller).padded().batches(2)
    assert batch.shape == (2, 20, WIDTH, 3) and not batch[0, 10:].numpy().any() and batch[1].numpy().any()
    assert objects.shape == (2, 2, 6) and masks.shape == (2, 2, 56, 56)
    held = images.in_memory()
    for one, two in zip(images.batches(1), held.batches(1), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)
    assert held.take(1).arrays[1][1].shape == (1, 2, 56, 56) and len(list(held.take(1).batches(1))) == 1
    fixed = {image.numpy().tobytes(): label for images_, label in held.batches(1) for image in images_}
    for source in (images, held):
        for epoch in range(2):
            for image, label in source.batches(1, shuffle=True, epoch=epoch):
                tf.nest.map_structure(np.testing.assert_array_equal, fixed[image[0].numpy().tobytes()], label)


@pytest.mark.slow
def test_an_image_left_out_takes_its_masks_along(images, tmp_path):
    file = tmp_path / "one.png"
    file.write_bytes(file.read_bytes()[:200])
    for each in (images, whole_masks(images)):
        ((_, (objects, masks)),) = each.batches(1)
        assert objects[0, :, 4].numpy().tolist() == [1, 0] and len(masks[0]) == 2
    assert images.corrupt == [str(file)]


def faulty(**changes):
    return {"image_id": 7, "category_id": 3, "bbox": [1, 1, 5, 5], **changes}


ROUND = [[1, 1, 5, 1, 5, 5]]
LACKS = "neither polygons nor run lengths"
ADD_UP = "has run lengths that do not add up to its 40x30 pixels"
NO_LIST = "has a polygon that is no list of x, y, x, y, ... below 100,000 pixels"
FAULTS = [
    (faulty(), "has no segmentation"),
    (faulty(segmentation=[]), "has no segmentation"),
    (faulty(segmentation=compressed(rectangle(1, 1, 3, 3, (40, 30)))), "has a mask of 30x40, its image 40x30"),
    (faulty(segmentation=[*ROUND, [1, 1, 5, 1]]), "has a polygon with fewer than 3 points"),
    (faulty(segmentation=[[1, 1, 5, 1, 5, 5, 3]]), NO_LIST),
    (faulty(segmentation=[[1, 1, 5, 1, 5, 1e9]]), NO_LIST),
    (faulty(segmentation=[[1, 1, 5, 1, 5, float("nan")]]), NO_LIST),
    (faulty(segmentation=[["a"]]), LACKS),
    (faulty(segmentation=7), LACKS),
    (faulty(segmentation={"size": [30, 40]}), LACKS),
    (faulty(segmentation={"size": [30, 40], "counts": []}), LACKS),
    (faulty(segmentation={"size": [30, 40], "counts": [60, 2, 30]}), ADD_UP),
    (faulty(segmentation={"size": [30, 40], "counts": [-5, 1205]}), ADD_UP),
    (faulty(segmentation={"size": [30, 40], "counts": compressed(rectangle(1, 1, 3, 3))["counts"][:-1]}), ADD_UP),
    (faulty(segmentation=compressed(rectangle(0, 0, 0, 0))), "has an empty mask, or one outside of its box"),
    (faulty(segmentation=compressed(rectangle(10, 1, 12, 3))), "has an empty mask, or one outside of its box"),
    (faulty(segmentation=ROUND, category_id=4), "is of the class 'number 4', none of cat, dog"),
    (faulty(segmentation=ROUND, bbox=[1, 1, 0, 5]), "has no area"),
]


def test_what_is_wrong_is_named_counted_and_left_out(tmp_path, capsys):
    wrong = [{"id": number, **each} for number, (each, _) in enumerate(FAULTS)]
    pictures = [{"id": 7, "file_name": "one.png"}, {"id": 9, "file_name": "three.png"}]
    good = {"id": 99, **faulty(segmentation=ROUND, bbox=[-3, 1, 8, 5])}
    file = coco_file(tmp_path, images=pictures, annotations=[*wrong, good])
    images = coco_instances(file, tmp_path)
    told = capsys.readouterr().err
    for number, (_, fault) in enumerate(FAULTS):
        (line,) = (line for line in told.splitlines() if f"annotation {number} " in line)
        assert fault in line
    assert f"{tmp_path / 'three.png'} does not exist" in told and len(images.corrupt) == len(FAULTS) + 1
    assert "; 1 cut off at the border" in images.description
    ((_, (objects, masks)),) = images.batches(1)
    assert objects[0].numpy().tolist() == [[0, 1, 5, 6, 0, 0]] and masks.shape == (1, 1, 56, 56)
    with pytest.raises(ValueError, match="strict"):
        coco_instances(file, tmp_path, strict=True)


def test_a_file_without_objects(tmp_path):
    images = coco_instances(coco_file(tmp_path, annotations=[]), tmp_path)
    for _, (objects, masks) in images.batches(1):
        assert objects.shape == (1, 0, 6) and masks.shape == (1, 0, 56, 56)


def test_a_flip_takes_boxes_and_masks_along():
    """A mask is the same when the mirrored whole mask is cut to the mirrored box."""
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    box, mirrored = np.float32([4.25, 5, 14, 25.5]), np.float32([WIDTH - 14, 5, WIDTH - 4.25, 25.5])
    image = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    objects = np.float32([[*box, 1, 0], NONE])
    masks = np.stack([cell_means(mask, box), np.zeros((56, 56), "uint8")])
    seen = set()
    for key in range(20):
        pair = tf.constant(image), (tf.constant(objects), tf.constant(masks))
        moved, (boxes, cells) = random_flip_instances(pair, tf.constant(key * 2**59, tf.uint64))
        assert boxes[1].numpy().tolist() == NONE and not cells[1].numpy().any()
        own = boxes[0, :4].numpy()
        np.testing.assert_array_equal(own, box if own[0] == box[0] else mirrored)
        whole = moved[..., 0].numpy() > 0
        np.testing.assert_array_equal(whole, mask if own[0] == box[0] else mask[:, ::-1])
        np.testing.assert_allclose(cells[0].numpy().astype(int), cell_means(whole, own), atol=1)  # halves round to even
        seen.add(float(own[0]))
    assert seen == {4.25, WIDTH - 14.0}


def test_functions_of_objects_alone_leave_masks():
    masks = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 56, 56), "uint8"))
    item = tf.zeros((30, 40, 3), tf.uint8), (tf.constant([[4.0, 4, 20, 8, 0, 0], NONE]), masks)
    for function in (scale_objects(60, 100), pad_objects(100, 100)):
        item = objects_alone(function)(item, None)
    image, (objects, same) = item
    assert image.shape == (100, 100, 3) and objects.numpy().tolist() == [[8, 8, 40, 16, 0, 0], NONE]
    np.testing.assert_array_equal(same, masks)


@pytest.mark.slow
def test_digits_have_the_masks_of_their_ink():
    images = digit_instances("test").take(2)
    flipped = images.each(objects_alone(scale_objects(192, 192)), random_flip_instances)
    pages = zip(images.batches(1), whole_masks(images).batches(1), flipped.batches(1), strict=True)
    for (image, (objects, cells)), (same, (_, counts)), (larger, (_, turned)) in pages:
        np.testing.assert_array_equal(image, same)
        assert larger.shape == (1, 192, 192, 3) and cells.shape == turned.shape == (1, 9, 56, 56)
        own = instance_truth(objects[0], counts[0], image.shape[1:3])
        masks = np.array([coco.decode(mask) for mask in own["masks"]], bool)
        np.testing.assert_array_equal(masks.any(axis=0), image[0, ..., 0] >= 64)
        assert masks.sum(axis=0).max() == 1
        for mask, (x1, y1, x2, y2), small in zip(masks, own["boxes"], cells[0].numpy(), strict=True):
            assert coco.toBbox(compressed(mask)).tolist() == [x1, y1, x2 - x1, y2 - y1]
            assert small.mean() / 255 == pytest.approx(mask.sum() / ((x2 - x1) * (y2 - y1)), abs=0.002)


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory):
    """`coco/2017_panoptic` as TensorFlow Datasets itself prepares it, from a folder in place of its archives."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("panoptic")
    # The ids are of all three bytes of a colour: a dog and a crowd of cats (things), and sky, which is none.
    ids = {3 + 256 * 2: (0, 0, 10, 30), 70_000: (10, 4, 30, 20), 200: (10, 20, 40, 30)}
    colours = np.zeros((HEIGHT, WIDTH, 3), "uint8")
    for number, (x1, y1, x2, y2) in ids.items():
        colours[y1:y2, x1:x2] = number % 256, number // 256 % 256, number // 256**2
    segments = [
        {"id": number, "area": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": category, "iscrowd": crowd}
        for (number, (x1, y1, x2, y2)), category, crowd in zip(ids.items(), (5, 80, 133), (0, 1, 0), strict=True)
    ]
    for split in ("train2017", "val2017"):
        save_image(root / split / "1.jpg")
        (root / f"annotations/panoptic_{split}").mkdir(parents=True)
        Image.fromarray(colours).save(root / f"annotations/panoptic_{split}/1.png")
        content = {
            "images": [{"id": 1, "file_name": "1.jpg", "width": WIDTH, "height": HEIGHT}],
            "categories": [{"id": number, "name": f"class {number}"} for number in range(1, 134)],
            "annotations": [{"image_id": 1, "file_name": "1.png", "segments_info": segments}],
        }
        (root / f"annotations/panoptic_{split}.json").write_text(json.dumps(content))
    builder = tfds.builder("coco/2017_panoptic", data_dir=root / "tfds")
    builder._make_download_manager = lambda *args, **kwargs: Archives(root)
    builder.download_and_prepare()
    return root / "tfds"


class Archives(Downloads):
    def extract(self, path):
        return str(path.parent if hasattr(path, "parent") else path.rpartition("/")[0])


@pytest.mark.slow
def test_panoptic_things_of_tensorflow_datasets(panoptic):
    images = tfds_instances("coco/2017_panoptic", "train", panoptic)
    assert (len(images), len(images.labels), images.corrupt) == (1, 80, [])
    for batches in (images.batches(1), images.batches(1, shuffle=True, seed=1)):
        ((_, (objects, masks)),) = batches
        assert objects[0].numpy().tolist() == [[0, 0, 10, 30, 4, 0], [10, 4, 30, 20, 79, 1]]
        assert (masks.numpy() == 255).all() and masks.shape == (1, 2, 56, 56)
    ((image, (objects, counts)),) = whole_masks(images).batches(1)
    own = instance_truth(objects[0], counts[0], image.shape[1:3])["masks"]
    np.testing.assert_array_equal(coco.decode(own[1]), rectangle(10, 4, 30, 20))


@pytest.mark.slow
def test_a_set_with_a_mask_for_each_object(tmp_path):
    """As `lvis` has them: PNGs of 0 and 255, no crowds."""
    import tensorflow_datasets as tfds

    kinds = {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(names=["cat", "dog"])}
    kinds["segmentation"] = tfds.features.Image(shape=(None, None, 1))
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(encoding_format="jpeg"), "objects": tfds.features.Sequence(kinds)}
    )
    boxes = [(4, 3, 20, 15), (0, 0, 30, 30)]
    example = {
        "image": np.zeros((HEIGHT, WIDTH, 3), "uint8"),
        "objects": [
            {
                "bbox": tfds.features.BBox(y1 / HEIGHT, x1 / WIDTH, y2 / HEIGHT, x2 / WIDTH),
                "label": label,
                "segmentation": np.uint8(255 * rectangle(x1, y1, x2, y2)[..., None]),
            }
            for label, (x1, y1, x2, y2) in zip((1, 0), boxes, strict=True)
        ],
    }

    class Few(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield "a", example

    Few(data_dir=tmp_path).download_and_prepare()
    images = tfds_instances("few", "train", tmp_path)
    ((_, (objects, masks)),) = images.batches(1)
    assert objects[0].numpy().tolist() == [[4, 3, 20, 15, 1, 0], [0, 0, 30, 30, 0, 0]]
    assert (masks.numpy() == 255).all() and images.labels == ["cat", "dog"]


def test_sets_without_masks_are_told(panoptic):
    with pytest.raises(ValueError, match="has no split 'test'; it has train, validation"):
        tfds_instances("coco/2017_panoptic", "test", panoptic)
    with pytest.raises(ValueError, match=r"'nothing' is not prepared in .* and could not be downloaded"):
        tfds_instances("nothing", "train", panoptic)
