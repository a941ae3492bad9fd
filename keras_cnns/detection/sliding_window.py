"""Sliding a classifier over an image, and finding boxes by it: Sermanet et al., "OverFeat", ICLR 2014.

Deviations: the paper shifts the last pooling by every offset and runs what follows once for each; here that pooling has
stride 1 and the layers behind it are dilated by its stride, which is the same numbers in one pass. Its match score of
two boxes is "the sum of the distance between centers [...] and the intersection area", of which the second, taken by
the letter, would keep apart the boxes that agree best; here it is the distance in mean diagonals plus 1 - IoU.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_count
from keras_cnns.classification.alexnet import normal
from keras_cnns.classification.convolutionalize import convolutionalize
from keras_cnns.ops import iou

SCALES = (245, 281, 317, 389, 425, 461)  # shorter sides of the paper's six scales


def sliding_window(
    model: keras.Model, images: np.ndarray, offset_pooling: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's output at every position of its window, and where these windows lie.

    The work on overlapping windows is shared: the network is run once, as convolutions, over the whole images. Where
    its layers have no padding the result is that of cutting out every window and running the network on each.

    Args:
        model: a network with dense layers, from one image of fixed size to `(batch, outputs)`: a classifier, or
            `box_regressor`. Or what `dense` made of it, so that many images do not build it again.
        images: `(batch, height, width, channels)`, at least the network's input size, preprocessed as for the network.
        offset_pooling: whether windows lie as close as the strides before the last pooling allow, 12 pixels for the
            accurate OverFeat, and not as all strides do, 36.

    Returns: (outputs, windows): `(batch, rows, columns, outputs)` and boxes `(rows, columns, 4)` in pixels, float32.

    Raises:
        ValueError: images smaller than the window, or a network that `convolutionalize` refuses.

    Source: sections 3.3 and 3.5.
    """
    dense_model, (height, width), stride = model if isinstance(model, tuple) else dense(model, offset_pooling)
    images = tf.convert_to_tensor(images)
    if images.shape[1] < height or images.shape[2] < width:
        raise ValueError(f"images are {images.shape[1]}x{images.shape[2]} pixels; the window is {height}x{width}.")
    # A window may have a border that the network does not look at: outputs beyond the last whole one are left out.
    rows, columns = (
        np.arange(0, side - window + 1, step)
        for side, window, step in zip(images.shape[1:3], (height, width), stride, strict=True)
    )
    outputs = dense_model(images, training=False)[:, : len(rows), : len(columns)]
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return outputs, np.stack([x, y, x + width, y + height], axis=-1).astype("float32")


def dense(model, offset_pooling=True):
    """Return what `sliding_window` slides: (the network as convolutions, its window's (height, width), its stride).

    Window and stride are in pixels. Errors: as in `convolutionalize`.
    """
    window = tuple(model.input_shape[1:3])
    converted = convolutionalize(model)
    pools = [each for each in converted.layers if isinstance(each, keras.layers.MaxPooling2D)]
    dilation = pools[-1].strides if pools and offset_pooling else (1, 1)
    behind = set() if dilation == (1, 1) else layers_behind(converted, pools[-1])

    def shifted(layer):
        settings = layer.get_config()
        if pools and layer is pools[-1] and dilation != (1, 1):
            settings["strides"] = (1, 1)
        elif layer in behind and isinstance(layer, keras.layers.Conv2D):
            settings["dilation_rate"] = dilation
        return type(layer).from_config(settings)

    closer = keras.models.clone_model(converted, clone_function=shifted)
    closer.set_weights(converted.get_weights())
    strides = [np.array(each.strides) for each in closer.layers if hasattr(each, "strides")]
    return closer, window, tuple(int(side) for side in np.prod(strides, axis=0))


def layers_behind(model, layer):
    """The layers of a chain that come after one of its layers."""
    return set(model.layers[model.layers.index(layer) + 1 :])


def box_regressor(classifier: keras.Model, classes: int = 1, name: str = "box_regressor") -> keras.Model:
    """Return OverFeat's regression network on a classifier's features: `(batch, 4 * classes)`, edges of boxes.

    From an image of the classifier's input size to (x1, y1, x2, y2) for each class, in shares of the window's width and
    height: (0, 0, 1, 1) is the window itself. It has two hidden layers of 4096 and 1024 units on the last pooling. The
    layers before are the classifier's own, and fixed, as in the paper.

    Args:
        classifier: with dense layers behind a pooling: `overfeat`, `alexnet`, `vgg16`.
        classes: 1 for a box whatever the class; the paper has one for each class.

    Raises:
        ValueError: no class, or a classifier without a flattening layer.

    Source: section 4.1.
    """
    check_count("classes", classes)
    flat = next((layer for layer in classifier.layers if isinstance(layer, keras.layers.Flatten)), None)
    if flat is None:
        raise ValueError(f"{classifier.name} has no flattening layer, after which the boxes are found.")
    features = keras.Model(classifier.inputs[0], flat.input)
    for layer in features.layers:
        layer.trainable = False
    x = keras.layers.Flatten(name="flatten")(flat.input)
    for number, units in enumerate((4096, 1024), 1):
        x = keras.layers.Dense(units, activation="relu", kernel_initializer=normal(), name=f"box_fc{number}")(x)
    boxes = keras.layers.Dense(4 * classes, dtype="float32", kernel_initializer=normal(), name="box_edges")(x)
    return keras.Model(classifier.inputs[0], boxes, name=name)


def locate(
    classifier: keras.Model,
    regressor: keras.Model,
    image: np.ndarray,
    scales: Sequence[int] = SCALES,
    top: int = 5,
    threshold: float = 0.5,
) -> dict[str, np.ndarray]:
    """Return what is in an image, and where: {"boxes" `(N, 4)`, "scores" `(N,)`, "labels" `(N,)`}, the best first.

    At every scale both networks slide over the image; the boxes of the classes that are among the `top` anywhere at
    that scale are kept, with the class's probability in their window, and merged class by class. Boxes are in the
    image's pixels, float32; a score is the sum of the probabilities of the windows that a box is merged from, as in
    the paper, and may be above 1.

    Args:
        classifier: gives logits. regressor: `box_regressor` of it.
        image: `(height, width, channels)`, preprocessed as for the classifier.
        scales: shorter sides that it is brought to, in pixels.
        top: classes kept at each scale.
        threshold: see `merge_boxes`.

    Raises:
        ValueError: a scale below the window's side, no class kept, or a network that `convolutionalize` refuses.

    Source: sections 3.3, 4.1 to 4.3.
    """
    check_count("top", top)
    height, width = image.shape[:2]
    found, sliding = {}, [dense(each) for each in (classifier, regressor)]
    for side in scales:
        scale = side / min(height, width)
        size = round(height * scale), round(width * scale)
        resized = tf.image.resize(image[None], size, antialias=True)
        logits, windows = sliding_window(sliding[0], resized)
        edges, _ = sliding_window(sliding[1], resized)
        probabilities = tf.nn.softmax(logits[0]).numpy().reshape(-1, logits.shape[-1])
        windows = windows.reshape(-1, 4) * np.tile([width / size[1], height / size[0]], 2)
        edges = edges.numpy().reshape(len(windows), -1, 4)
        for label in np.argsort(-probabilities.max(axis=0), kind="stable")[:top]:
            boxes = of_windows(edges[:, label % edges.shape[1]], windows)
            found.setdefault(int(label), []).append((boxes, probabilities[:, label]))
    rows = []
    for label, parts in found.items():
        boxes, scores = merge_boxes(*(np.concatenate(each) for each in zip(*parts, strict=True)), threshold)
        rows += [(score, label, box) for box, score in zip(boxes, scores, strict=True)]
    rows.sort(key=lambda row: -row[0])
    return {
        "boxes": np.array([box for _, _, box in rows], "float32").reshape(-1, 4),
        "scores": np.array([score for score, _, _ in rows], "float32"),
        "labels": np.array([label for _, label, _ in rows], "int32"),
    }


def of_windows(edges, windows):
    """Boxes `(N, 4)` from edges in shares of their windows."""
    corner, sides = np.tile(windows[:, :2], 2), np.tile(windows[:, 2:] - windows[:, :2], 2)
    return corner + edges * sides


def merge_boxes(boxes: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Merge the two boxes that match best until none match: OverFeat's greedy merge; (boxes `(M, 4)`, scores `(M,)`).

    Two boxes match by the distance of their centres, in mean diagonals of the two, plus 1 - IoU: 0 for a box and
    itself, more than 1 where they do not overlap. The merged box is the mean of its parts' coordinates, and its score
    their sum.

    Args:
        boxes, scores: `(N, 4)` and `(N,)`.
        threshold: what matches less well than this is not merged.

    Raises:
        ValueError: as many scores as boxes are needed.

    Source: section 4.3.
    """
    boxes, scores = np.array(boxes, "float32").reshape(-1, 4), np.array(scores, "float32")
    if len(boxes) != len(scores):
        raise ValueError(f"there are {len(boxes)} boxes and {len(scores)} scores; there must be as many.")
    match = match_scores(boxes, boxes)
    np.fill_diagonal(match, np.inf)
    alive = np.ones(len(boxes), bool)
    while alive.sum() > 1:
        first, second = np.unravel_index(match.argmin(), match.shape)
        if match[first, second] > threshold:
            break
        boxes[first], scores[first] = (boxes[first] + boxes[second]) / 2, scores[first] + scores[second]
        alive[second] = False
        match[second], match[:, second] = np.inf, np.inf
        match[first] = np.where(alive, match_scores(boxes[first][None], boxes)[0], np.inf)
        match[first, first] = np.inf
        match[:, first] = match[first]
    return boxes[alive], scores[alive]


def match_scores(boxes, others):
    """`(N, M)`: the distance of the centres in mean diagonals, plus 1 - IoU."""
    centres, other_centres = ((each[:, :2] + each[:, 2:]) / 2 for each in (boxes, others))
    diagonals, other_diagonals = (np.linalg.norm(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, others))
    distances = np.linalg.norm(centres[:, None] - other_centres, axis=2)
    mean = np.maximum((diagonals[:, None] + other_diagonals) / 2, 1e-3)  # of boxes without sides
    return distances / mean + 1 - iou(boxes, others).numpy()
