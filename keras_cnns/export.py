"""A trained network as a file that needs nothing of this library: photographs in, names out."""

import json
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_cnns.arguments import check_choice, latent_size
from keras_cnns.files import replacing
from keras_cnns.folding import fold_batch_normalization
from keras_cnns.layers import Preprocessing
from keras_cnns.ops import decode_colour, detections, label_maps, paste_masks

TOP = 5
LARGEST = 2_000_000_000  # bytes of weights: a SavedModel's graph must stay below 2 GiB
LARGE_KERNEL = 2**22  # weights


def export(
    model: keras.Model,
    path: str | Path,
    preprocessing: Preprocessing | None = None,
    labels: Iterable | None = None,
    force: bool = False,
    format: str = "saved_model",
) -> None:
    """Write a network with its preprocessing and its class names, for TensorFlow or ONNX Runtime alone.

    What is written is for inference: batch normalisation is folded into the convolutions before it, dropout is left out
    and most weights are constants of the graph.

    A SavedModel has two signatures, `serving_default` of uint8 `images` `(batch, height, width, channels)` of any size,
    and `bytes` `(batch,)` of encoded JPEG, PNG, BMP or GIF files, each of its own size. Both return

        probabilities  (batch, classes)          float32
        classes        (batch, min(5, classes))  int32, the most probable first
        labels         (batch, min(5, classes))  string, the names of these

    A network that labels every pixel returns label maps of the images' own size, and takes one file of `bytes` a call:

        labels  (batch, height, width)  uint8, the number of each pixel's class
        names   (classes,)              string, the names of these

    A detector, whose outputs are (boxes, scores, labels) as `yolo_detector` and `faster_rcnn_detector` give them, and
    `mask_rcnn`, takes one file of `bytes` a call too. It returns what it finds, the best first and zeros behind them:

        boxes    (batch, most, 4)  float32, x1, y1, x2, y2 in the image's own pixels
        scores   (batch, most)     float32
        classes  (batch, most)     int32, labels (batch, most) string, their names
        count    (batch,)          int32, how many there are
        masks    (batch, largest count, height, width)  bool, of `mask_rcnn` alone, of the images' own size

    A detector of given boxes, as `fast_rcnn`, takes `boxes` `(batch, number, 4)` beside the images, in their pixels,
    such as selective search's, and returns the same, of at most 100 boxes.

    An encoder, whose `labels` are an empty list, returns of images and of `bytes`, each of its own size:

        features  (batch, width)  float32

    A generator, from z `(batch, latent)` to images, has one signature, `serving_default` of float32 `z`, and returns

        images  (batch, height, width, channels)  uint8

    with `preprocessing`, that of the images it was trained on, undone.

    ONNX has no antialiased resizing and no decoder, so its graph takes uint8 `images` that `preprocessing.resize` has
    brought to their size; the mean and the rest are inside, and it returns the same three. It computes in float32
    whatever the network's precision, and is run beside its SavedModel on the same images before anything is written.

    Args:
        model: a network of one image input, RGB or grey, and logits `(batch, classes)`, or `(batch, height, width,
            classes)` for a SavedModel; of several outputs the first. Or, for a SavedModel, a detector: of one image
            input, as `yolo_detector`, of an image of any size and that size, as `faster_rcnn_detector`, or of such an
            image and boxes, with logits and deltas, as `fast_rcnn`; or a generator, as `dcgan_generator`.
        path: the SavedModel's folder, or the ONNX file. It appears complete or not at all.
        preprocessing: a `Preprocessing` layer; None resizes to the network's input and leaves values from 0 to 255. A
            network that labels the pixels of images of any size, or finds objects in them, needs none. A generator's
            says which values its images have.
        labels: a name for each class; None for their numbers; none, [], of an encoder, which gives features
            `(batch, width)`, for a SavedModel. A generator has none.
        force: whether to replace an earlier export at `path`.
        format: "saved_model" or "onnx" (`pip install keras_cnns[onnx]`).

    Raises:
        FileExistsError: something is at `path` already, or with `force` something that is no export.
        OSError: it could not be written; what was at `path` stays.
        ValueError: a network that does none of this or is not functional, weights of more than 2 GB, preprocessing or
            labels that do not fit, ONNX of a network that does not classify, or an ONNX file whose probabilities differ
            by more than 1e-4 of the highest from the SavedModel's.
        ImportError: format "onnx" without its packages.
    """
    check_choice("format", format, ("saved_model", "onnx"))
    if latent_size(model):
        export_generator(model, path, preprocessing, force, format)
        return
    if len(getattr(model, "inputs", None) or []) == 2 and not finds_boxes(model):
        export_detector(model, path, preprocessing, labels, force, format)
        return
    height, width, channels, classes = sizes(model)
    pixels, boxes = (len(model.outputs[0].shape) == rank for rank in (4, 3))
    if pixels and (format == "onnx" or classes > 255):
        raise ValueError(f"{model.name} labels pixels; at most 255 classes can be exported, and as a SavedModel.")
    if boxes and (format == "onnx" or labels is None):
        raise ValueError(f"{model.name} detects objects; it can be exported with labels, and as a SavedModel.")
    free = None in (height, width)
    if preprocessing is None and (pixels or boxes or not free):
        preprocessing = Preprocessing(None if free else (height, width))
    if free and not (pixels or boxes) and (preprocessing is None or preprocessing.size[0] is None):
        raise ValueError(f"{model.name} takes images of any size; preprocessing must say to which to bring them.")
    if (pixels or boxes) and preprocessing.shorter_side is not None and preprocessing.longest_side is None:
        raise ValueError(f"preprocessing cuts images; {model.name} labels whole ones, so shorter_side must be None.")
    if any(side not in (None, ours) for side, ours in zip((height, width), preprocessing.size, strict=True)):
        raise ValueError(f"preprocessing gives {preprocessing.size} pixels; {model.name} takes {(height, width)}.")
    labels = [str(label) for label in (range(classes) if labels is None else labels)]
    features = not labels and not pixels and not boxes
    if features and format == "onnx":
        raise ValueError(f"{model.name} has no labels; features can be exported as a SavedModel alone.")
    if not boxes and not features and len(labels) != classes:
        raise ValueError(f"labels has {len(labels)} names; {model.name} has {classes} classes.")
    if not boxes:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # heads for training stay behind
    check_weights(model)
    model = fold_batch_normalization(model)
    with replacing(path, force) as new:
        if format == "onnx":
            write_onnx(model, new, preprocessing, labels, channels)
        else:
            write_saved_model(model, new, preprocessing, labels, channels)


def export_detector(model, path, preprocessing, labels, force, format):
    """`export` of a detector."""
    shapes = [[len(each.shape) for each in part] for part in (model.inputs, model.outputs)]
    channels, classes = model.inputs[0].shape[-1], model.outputs[0].shape[-1] - 1
    if shapes != [[4, 3], [3, 3]] or format == "onnx" or model.outputs[1].shape[-1] != 4 * (classes + 1):
        allowed = "only a detector as fast_rcnn or faster_rcnn_detector can do so, and no ONNX file"
        if shapes[0] == [2, 2]:
            allowed = "a generator can be exported where it takes z alone"
        raise ValueError(f"{model.name} takes two inputs; {allowed}.")
    preprocessing = preprocessing or Preprocessing(None)
    if preprocessing.size[0] is not None:
        raise ValueError(f"preprocessing gives {preprocessing.size} pixels; of a detector its size must be None.")
    labels = [str(label) for label in (range(classes) if labels is None else labels)]
    if len(labels) != classes:
        raise ValueError(f"labels has {len(labels)} names; {model.name} has {classes} classes.")
    check_weights(model)
    with replacing(path, force) as new:
        write_detector(model, new, preprocessing, labels, channels)


def export_generator(model, path, preprocessing, force, format):
    """`export` of a generator."""
    if format == "onnx" or preprocessing is None:
        needed = "it can be exported with the preprocessing of its images, and as a SavedModel"
        raise ValueError(f"{model.name} makes images; {needed}.")
    check_weights(model)
    model = fold_batch_normalization(model)
    z = tf.TensorSpec(model.inputs[0].shape, tf.float32, "z")
    network, variables = graph_of(model, [z])

    @tf.function(input_signature=[z], autograph=False)
    def images(z):
        return {"images": preprocessing.pixels(network(z))}

    module = tf.Module()
    module.weights = variables
    with replacing(path, force) as new:
        tf.saved_model.save(module, str(new), {"serving_default": images})


def check_weights(model):
    size = sum(int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize for variable in model.variables)
    if size > LARGEST:
        raise ValueError(f"{model.name} has {size:,} bytes of weights; at most {LARGEST:,} can be exported.")


def sizes(model):
    """Height and width (None for any), channels and classes of a network."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    detects = finds_boxes(model)
    images = inputs[:1] if detects else inputs
    if len(images) != 1 or len(images[0].shape) != 4 or images[0].shape[-1] not in (1, 3):
        raise ValueError(f"{model.name} must be built, with one input of grey or RGB images.")
    if len(outputs[0].shape) not in (2, 4) and not detects:
        allowed = "only logits (batch, classes) or (batch, height, width, classes) can be exported"
        raise ValueError(f"{model.name} gives {outputs[0].shape}; {allowed}.")
    return *inputs[0].shape[1:], outputs[0].shape[-1]


def finds_boxes(model):
    """Whether a network gives boxes, scores, labels and perhaps masks, of images alone or of them and their sizes."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    given = [tuple(each.shape[1:]) for each in inputs[1:]]
    found = [tuple(each.shape[2:]) for each in outputs]
    return given in ([], [(2,)]) and found[:3] == [(4,), (), ()] and [len(each) for each in found[3:]] in ([], [2])


def answer(outputs, labels, size, given):
    """What every signature returns, from the network's outputs for images of that size, which it was given as others
    of the size `given`."""
    logits = tf.nest.flatten(outputs)[0]
    if logits.shape.rank == 3:
        boxes, scores, classes, *masks = outputs
        scale = tf.cast(size, tf.float32) / tf.cast(given, tf.float32)
        boxes, count = boxes * tf.tile(scale[::-1], [2]), tf.math.count_nonzero(scores > 0, axis=1, dtype=tf.int32)
        most = tf.reduce_max(count)
        pasted = lambda each: paste_masks(*each, tf.unstack(size))
        answered = found(boxes, scores, classes, count, labels)
        for each in masks:
            best = each[:, :most], boxes[:, :most]
            answered["masks"] = tf.map_fn(pasted, best, fn_output_signature=tf.bool)
        return answered
    if logits.shape.rank == 4:
        return {"labels": label_maps(tf.cast(logits, tf.float32), size), "names": tf.constant(labels)}
    return classify(outputs, labels)


def found(boxes, scores, classes, count, labels):
    """What the signatures of a detector return."""
    names = tf.where(tf.range(tf.shape(classes)[1]) < count[:, None], tf.gather(tf.constant(labels), classes), "")
    return {"boxes": boxes, "scores": scores, "classes": classes, "labels": names, "count": count}


def classify(outputs, labels):
    """What the signatures of a classifier return, and those of an encoder, which has no labels."""
    if not labels:
        return {"features": tf.cast(tf.nest.flatten(outputs)[0], tf.float32)}
    probabilities = tf.nn.softmax(tf.cast(tf.nest.flatten(outputs)[0], tf.float32))
    classes = tf.math.top_k(probabilities, min(TOP, len(labels))).indices
    return {"probabilities": probabilities, "classes": classes, "labels": tf.gather(tf.constant(labels), classes)}


def write_saved_model(model, path, preprocessing, labels, channels):
    specs = [tf.TensorSpec((None, *preprocessing.size, channels), tf.float32), tf.TensorSpec((None, 2), tf.float32)]
    network, variables = graph_of(model, specs[: len(model.inputs)])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.uint8, "images")], autograph=False)
    def from_images(images):
        prepared = preprocessing(images)
        size = tf.shape(prepared)[1:3]
        sizes = tf.tile(tf.cast(size[None], tf.float32), [tf.shape(images)[0], 1])
        outputs = network(*[prepared, sizes][: len(model.inputs)])
        return answer(outputs, labels, tf.shape(images)[1:3], size)

    def prepare(encoded):
        return preprocessing(decode(encoded, channels)[None])[0]

    alone = len(model.outputs[0].shape) > 2  # the answer is of the photograph's own size

    @tf.function(input_signature=[tf.TensorSpec((1 if alone else None,), tf.string, "bytes")], autograph=False)
    def from_bytes(encoded):
        if alone:
            return from_images(decode(encoded[0], channels)[None])
        output = tf.TensorSpec((*preprocessing.size, channels), tf.float32)
        prepared = tf.map_fn(prepare, encoded, fn_output_signature=output)
        return classify(network(prepared), labels)

    module = tf.Module()
    module.weights = variables
    tf.saved_model.save(module, str(path), {"serving_default": from_images, "bytes": from_bytes})


def write_detector(model, path, preprocessing, labels, channels):
    """As `write_saved_model`, of a network of images and boxes."""
    boxes = tf.TensorSpec((None, None, 4), tf.float32, "boxes")
    network, variables = graph_of(model, [tf.TensorSpec((None, None, None, channels), tf.float32), boxes])

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, channels), tf.uint8, "images"), boxes], autograph=False
    )
    def from_images(images, boxes):
        prepared, size = preprocessing(images), tf.shape(images)[1:3]
        height, width = tf.unstack(tf.cast(tf.shape(prepared)[1:3] / size, tf.float32))
        logits, deltas = network(prepared, boxes * tf.stack([width, height, width, height]))
        each = [tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.float32)]
        each += [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)]
        best = tf.map_fn(
            lambda one: detections(*one, tf.unstack(size)), (logits, deltas, boxes), fn_output_signature=tuple(each)
        )
        return found(*best, labels)

    @tf.function(input_signature=[tf.TensorSpec((1,), tf.string, "bytes"), boxes], autograph=False)
    def from_bytes(encoded, boxes):
        return from_images(decode(encoded[0], channels)[None], boxes)

    module = tf.Module()
    module.weights = variables
    tf.saved_model.save(module, str(path), {"serving_default": from_images, "bytes": from_bytes})


def graph_of(model, specs):
    """A network as a function of tensors of these specifications, and the weights that stay variables in it.

    It is called by both signatures, so that the file holds its constants once. Constants, since oneDNN brings a
    variable into its own order at every call and a constant once. Not the kernels of dense layers: the order is that of
    the first batch's size, and makes float32 several times slower on others; and loading takes many times a constant's
    memory, for VGG's 10 GB. Nor those of FCN's and DeconvNet's convolutions in their place, which took 20 GB to write.
    They are kept in the precision they are used in.
    """
    dense = {
        id(layer.kernel): layer.compute_dtype
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dense) or np.prod(getattr(layer, "kernel", np.zeros(0)).shape) > LARGE_KERNEL
    }
    weights = [
        [tf.Variable(tf.cast(v, dense[id(v)])) if id(v) in dense else v.numpy() for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    @tf.function(input_signature=specs, autograph=False)
    def network(*inputs):
        tensors = [[tf.convert_to_tensor(weight) for weight in each] for each in weights]
        outputs, _ = model.stateless_call(*tensors, inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        return outputs

    return network, [weight for each in weights for weight in each if isinstance(weight, tf.Variable)]


def decode(encoded, channels):
    image = decode_colour(encoded)
    return tf.image.rgb_to_grayscale(image) if channels == 1 else image


def write_onnx(model, path, preprocessing, labels, channels):
    try:
        import onnxruntime
        import tf2onnx
    except ImportError:
        raise ImportError("ONNX needs two more packages: pip install keras_cnns[onnx]") from None
    model = in_float32(model)
    image = tf.TensorSpec((None, *preprocessing.size, channels), tf.uint8, "images")

    @tf.function(input_signature=[image], autograph=False)
    def from_images(images):
        return classify(model(preprocessing.normalise(images), training=False), labels)

    tf2onnx.convert.from_function(from_images, [image], opset=18, output_path=str(path))

    beside = path.parent / "saved_model"
    write_saved_model(model, beside, preprocessing, labels, channels)
    # Photographs that the SavedModel only cuts, so that the other's uint8 input is the same to the last bit.
    sides = preprocessing.size if preprocessing.shorter_side is None else (preprocessing.shorter_side,) * 2
    photographs = np.random.default_rng(0).integers(0, 256, (4, *sides, channels), "uint8")
    saved = tf.saved_model.load(str(beside))
    ours = saved.signatures["serving_default"](tf.constant(photographs))["probabilities"].numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = tf.cast(preprocessing.resize(photographs), tf.uint8).numpy()
    (theirs,) = session.run(["probabilities"], {"images": images})
    difference = (abs(ours - theirs).max(axis=1) / ours.max(axis=1)).max()
    if not difference <= 1e-4:
        raise ValueError(
            f"The ONNX file's probabilities differ from the SavedModel's by {difference:.1e} of the highest, more than "
            "1e-4; it was not kept."
        )


def in_float32(model):
    """The model itself, or a copy that computes in float32 if it does not."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def copy(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=copy)
    clone.set_weights(model.get_weights())
    return clone


def load_source(source: str | Path) -> tuple[keras.Model, Preprocessing | None, list[str] | None]:
    """The model, preprocessing and labels of a run's folder, or of a `.keras` file (then None and None).

    Raises:
        ValueError: `source` is neither.
    """
    source = Path(source)
    if source.is_file() and source.suffix == ".keras":
        if (source.parent / "preprocessing.json").exists():
            raise ValueError(
                f"{source} belongs to a run; export its folder, {source.parent}, which knows its mean too."
            )
        return keras.models.load_model(source, compile=False), None, None
    if not (source / "model.keras").is_file():
        raise ValueError(f"{source} is neither a .keras file nor a run's folder with a model.keras in it.")
    model = keras.models.load_model(source / "model.keras", compile=False)
    preprocessing = keras.saving.deserialize_keras_object(json.loads((source / "preprocessing.json").read_text()))
    return model, preprocessing, json.loads((source / "record.json").read_text())["data"]["labels"]
