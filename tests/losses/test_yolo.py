"""YOLO's loss term by term, against numbers worked by hand on a 2x2 grid of an image of 8x8 pixels, and by Darknet's
rules written out cell by cell."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.losses import YOLOLoss

SIZE, NOTHING = (8, 8), [-1.0] * 6
# A cell of 4x4 pixels, 2 classes, B = 2: its numbers are class 0, class 1, confidences 1 and 2, box 1 and box 2.


def loss_of(objects, outputs, **arguments):
    arguments = {"classes": 2, "size": SIZE, **arguments}
    return float(YOLOLoss(**arguments)(np.float32([objects]), np.float32(outputs)[None]))


def zeros():
    return np.zeros((2, 2, 12), "float32")


def test_an_image_without_objects_pays_for_its_confidences_alone():
    outputs = zeros()
    outputs[0, 1, 2:4] = 0.6, -0.2
    outputs[1, 0, :2] = 7, -7  # classes and boxes of a cell without an object count nowhere
    outputs[1, 0, 4:] = 3
    assert loss_of([NOTHING], outputs) == pytest.approx(0.5 * (0.36 + 0.04))
    assert loss_of([NOTHING], outputs, noobj=2.0) == pytest.approx(2 * (0.36 + 0.04))


# In cell (row 0, column 1): middle (5, 1), 2 wide, 2 high: x = 5 / 4 - 1 = 0.25, y = 0.25, w = h = 0.25, roots 0.5.
OBJECT = [4, 0, 6, 2, 1, 0]


def test_each_term_by_hand():
    outputs = zeros()
    # Box 1 is the object moved right by a pixel, a quarter of a cell: IoU = 1x2 / (4 + 4 - 2) = 1/3. Box 2 is far off.
    outputs[0, 1] = [0.1, 0.7, 0.9, 0.4, 0.5, 0.25, 0.5, 0.5, 0.9, 0.9, 0.1, 0.1]
    coordinates = 5 * 0.25**2
    confidence = (0.9 - 1 / 3) ** 2
    others = 0.5 * 0.4**2
    classes = 0.1**2 + 0.3**2
    assert loss_of([OBJECT], outputs) == pytest.approx(coordinates + confidence + others + classes, rel=1e-5)
    doubled = 2 * coordinates + confidence + others + classes
    assert loss_of([OBJECT], outputs, coord=10.0) == pytest.approx(doubled, rel=1e-5)


def test_sides_count_by_their_roots():
    outputs = zeros()
    # In place, but as high as the image (root 1) and 4.5 pixels wide (share 0.5625, root 0.75): IoU 4 / 36 = 1/9.
    outputs[0, 1] = [0, 1, 1 / 9, 0, 0.25, 0.25, 0.75, 1.0, 0, 0, 0, 0]
    assert loss_of([OBJECT], outputs) == pytest.approx(5 * (0.25**2 + 0.5**2), rel=1e-5)


def test_the_box_of_the_higher_iou_is_responsible_whatever_its_error():
    outputs = zeros()
    # Box 1 lies over the object and is as large as the image: IoU 4 / 64. Box 2 has its size, and touches it.
    outputs[0, 1] = [0, 1, 1 / 16, 0, 0.25, 0.25, 1.0, 1.0, 0.75, 0.25, 0.5, 0.5]
    assert loss_of([OBJECT], outputs) == pytest.approx(5 * (0.5**2 + 0.5**2), rel=1e-5)


def test_without_overlap_the_smaller_error_is_responsible_and_its_target_is_no_confidence():
    outputs = zeros()
    # Box 1 is 3 cells off, 1.5 images; box 2 half a cell: a quarter of the image. Its IoU is 0.
    outputs[0, 1] = [0, 1, 0.3, 0.8, 3.25, 0.25, 0.5, 0.5, 0.75, 0.25, 0.5, 0.5]
    assert loss_of([OBJECT], outputs) == pytest.approx(5 * 0.5**2 + 0.8**2 + 0.5 * 0.3**2, rel=1e-5)


def test_a_negative_root_is_a_side_too():
    """Darknet squares what the network gives: the box overlaps, yet its sides pay for their sign."""
    outputs = zeros()
    outputs[0, 1] = [0, 1, 1.0, 0, 0.25, 0.25, -0.5, 0.5, 0, 0, 0, 0]
    assert loss_of([OBJECT], outputs) == pytest.approx(5 * 1.0**2, rel=1e-5)


def test_of_two_objects_in_a_cell_the_first_counts_and_difficult_ones_and_padding_count_nowhere():
    outputs = zeros()
    outputs[0, 1] = [0, 1, 1, 0, 0.25, 0.25, 0.5, 0.5, 0, 0, 0, 0]  # the object itself
    assert loss_of([OBJECT, [5, 1, 7, 3, 0, 0]], outputs) == pytest.approx(0, abs=1e-6)
    assert loss_of([[5, 1, 7, 3, 0, 1], OBJECT, NOTHING], outputs) == pytest.approx(0, abs=1e-6)
    assert loss_of([[5, 1, 7, 3, 0, 0], OBJECT], outputs) > 1


def test_a_middle_on_the_images_edge_belongs_to_the_last_cell():
    outputs = zeros()
    outputs[1, 1] = [1, 0, 1, 0, 1.0, 1.0, 0.5, 0.5, 0, 0, 0, 0]
    assert loss_of([[7, 7, 9, 9, 0, 0]], outputs) == pytest.approx(0, abs=1e-6)


def darknet(objects, outputs, classes, size):
    """detection_layer.c's rules in float64, a cell and a box at a time."""
    (rows, columns, depth), (height, width) = outputs.shape, size
    number, cost = (depth - classes) // 5, 0.0
    truth = {}
    for x1, y1, x2, y2, label, difficult in objects:
        if label >= 0 and not difficult:
            x, y = (x1 + x2) / 2 / width * columns, (y1 + y2) / 2 / height * rows
            place = min(int(y), rows - 1), min(int(x), columns - 1)
            truth.setdefault(place, (x - place[1], y - place[0], (x2 - x1) / width, (y2 - y1) / height, int(label)))
    for row in range(rows):
        for column in range(columns):
            cell = outputs[row, column].astype("float64")
            confidences = cell[classes : classes + number]
            cost += 0.5 * (confidences**2).sum()
            if (row, column) not in truth:
                continue
            *box, label = truth[row, column]
            cost += ((cell[:classes] - np.eye(classes)[label]) ** 2).sum()
            best, best_iou, best_rmse = 0, 0.0, 20.0
            for j in range(number):
                x, y, w, h = cell[classes + number + 4 * j :][:4]
                ours = np.array([x / columns, y / rows, w * w, h * h])
                theirs = np.array([box[0] / columns, box[1] / rows, box[2], box[3]])
                sides = np.minimum(ours[:2] + ours[2:] / 2, theirs[:2] + theirs[2:] / 2)
                sides -= np.maximum(ours[:2] - ours[2:] / 2, theirs[:2] - theirs[2:] / 2)
                common = sides.clip(0).prod()
                iou = common / (ours[2:].prod() + theirs[2:].prod() - common)
                rmse = np.sqrt(((ours - theirs) ** 2).sum())
                if best_iou > 0 or iou > 0:
                    if iou > best_iou:
                        best, best_iou = j, iou
                elif rmse < best_rmse:
                    best, best_rmse = j, rmse
            x, y, w, h = cell[classes + number + 4 * best :][:4]
            cost += (best_iou - confidences[best]) ** 2 - 0.5 * confidences[best] ** 2
            target = box[0], box[1], box[2] ** 0.5, box[3] ** 0.5
            cost += 5 * ((np.array([x, y, w, h]) - target) ** 2).sum()
    return cost


@pytest.mark.parametrize(("classes", "boxes", "grid"), [(2, 2, (2, 2)), (5, 1, (3, 4)), (3, 4, (7, 7)), (1, 3, (1, 2))])
def test_any_s_b_and_c_as_darknet(classes, boxes, grid):
    random = np.random.default_rng(classes)
    size = (60, 80)
    outputs = random.uniform(-0.2, 1.1, (4, *grid, classes + 5 * boxes)).astype("float32")
    corners = np.sort(random.uniform(0, 60, (4, 6, 2, 2)), axis=2).reshape(4, 6, 4)
    labels = random.integers(-1, classes, (4, 6, 1))
    objects = np.concatenate([corners, labels, random.random((4, 6, 1)) < 0.2], axis=-1).astype("float32")
    expected = np.mean([darknet(*pair, classes, size) for pair in zip(objects, outputs, strict=True)])
    assert float(YOLOLoss(classes, size)(objects, outputs)) == pytest.approx(expected, rel=1e-4)


def test_the_gradient_takes_the_iou_for_a_constant_and_is_finite():
    outputs = zeros()
    outputs[0, 1] = [0.1, 0.7, 0.9, 0.4, 0.5, 0.25, 0.5, 0.5, 0.9, 0.9, 0.1, 0.1]
    outputs = tf.constant(outputs[None])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = YOLOLoss(2, SIZE)(np.float32([[OBJECT, NOTHING]]), outputs)
    gradient = tape.gradient(loss, outputs).numpy()
    expected = [0.2, -0.6, 2 * (0.9 - 1 / 3), 0.4, 5 * 2 * 0.25, *[0] * 7]
    np.testing.assert_allclose(gradient[0, 0, 1], expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_it_survives_a_file():
    loss = YOLOLoss(3, (64, 96), coord=2.0, noobj=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config() and again.size == (64, 96)


def test_a_depth_without_a_whole_number_of_boxes_is_told():
    with pytest.raises(ValueError, match="outputs have 12 numbers a cell; 3 classes need 3 \\+ 5 for each box"):
        loss_of([OBJECT], zeros(), classes=3)
