"""Every variant against its paper's figures; one of each family through everything a user does with a network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cnns
from keras_cnns.detection import box_regressor
from keras_cnns.inspection import layer_table
from keras_cnns.inspection.layer_table import layers_in_order
from keras_cnns.inspection.paper_table import compare, find_table, paper_rows, paper_tables
from tests.zoo import NO_LOGITS, RELATIVES, SLOW_BUILDERS, SLOW_TABLES, SMALLEST, VARIANTS


def marked(row, name, slow):
    return pytest.param(row, id=name, marks=pytest.mark.slow if name in slow else ())


tables = pytest.mark.parametrize("variant", [marked(row, row.table, SLOW_TABLES) for row in VARIANTS])
smallest = [marked(row, row[0], SLOW_BUILDERS) for row in SMALLEST if row[0] not in RELATIVES]
families = pytest.mark.parametrize("small", smallest, indirect=True)


@pytest.fixture(scope="module")
def small(request):
    """One of each family with ten classes at its smallest input, and two images for it."""
    builder, arguments, input_shape = request.param
    keras.utils.set_random_seed(1)
    model = getattr(keras_cnns, builder)(input_shape=input_shape, classes=10, **arguments)
    for layer in model.layers:  # FCN's scores start at zero, through which no gradient gets
        if hasattr(layer, "kernel") and not np.any(layer.kernel):
            layer.kernel.assign(np.random.default_rng(0).normal(0, 0.1, layer.kernel.shape))
    return model, inputs(model, input_shape)


def inputs(model, input_shape):
    """Two images, and for detectors three boxes on each: the first pixel, or cell; or the images' sizes."""
    images = np.random.default_rng(0).normal(size=(2, *input_shape)).astype("float32")
    if model.inputs[-1].name == "sizes":
        return [images, np.float32([input_shape[:2]] * 2)]
    return [images, np.tile(np.int32([0, 0, 1, 1]), (2, 3, 1))] if len(model.inputs) == 2 else images


@pytest.mark.slow
@pytest.mark.usefixtures("without_values")
@tables
def test_counts_and_rows_equal_the_paper(variant):
    model = getattr(keras_cnns, variant.builder)(**variant.arguments)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == variant.trainable
    assert model.count_params() == variant.total
    parts = [part for part in model.layers if isinstance(part, keras.Model)]
    inputs_of = {
        layer.name: node.input_tensors for each in (model, *parts) for layer, node in layers_in_order(each).items()
    }
    for row in layer_table(model):
        if row.kind == "conv":  # claim C1
            channels = inputs_of[row.name][0].shape[-1]
            assert row.weights == row.kernel**2 * (channels // row.groups) * row.output_shape[-1]
    different = [pair for pair in compare(layer_table(model), paper_rows(variant.table)) if pair[2]]
    assert not different
    assert find_table(getattr(keras_cnns, variant.builder), variant.arguments) == variant.table


def first_numbers(model):
    """{the first fifty weights of a kernel, over the largest of them: its name}, and the names of those met again."""
    seen, again = {}, []
    for weight in model.trainable_weights:
        if len(weight.shape) > 1 and np.prod(weight.shape) >= 50 and not weight.path.startswith("upscore"):
            numbers = weight.numpy().ravel()[:50]
            key = tuple((numbers / max(np.abs(numbers).max(), 1e-30)).round(3).tolist())
            if np.any(numbers) and seen.setdefault(key, weight.path) != weight.path:
                again.append((seen[key], weight.path))
    return seen, again


@pytest.mark.parametrize(
    "builder",
    [
        "alexnet",
        "gan_generator",
        "gan_discriminator",
        "box_regressor",
        "fast_rcnn alexnet",
        "faster_rcnn zf",
        *(marked(name, name, [name]) for name in ("dcgan_generator", "dcgan_discriminator", "mask_rcnn", "jigsaw")),
        *(marked(name, name, [name]) for name in ("context_prediction", "colorization", "rotation")),
        *(marked(row[0], row[0], [row[0]]) for row in SMALLEST if row[0] not in RELATIVES | {"alexnet", "faster_rcnn"}),
    ],
)
def test_no_two_layers_start_with_the_same_numbers(builder):
    """Keras gives the layers that share an initializer the same weights: h0, h1 and y of the GAN had them once."""
    small = {row[0]: row[1:] for row in SMALLEST}
    name, *trunk = builder.split()
    if name == "box_regressor":
        model = box_regressor(keras_cnns.alexnet((64, 64, 3), classes=10))
    elif trunk:
        model = getattr(keras_cnns, name)(trunk=trunk[0], classes=3, input_shape=(1, 1, 3))
    elif name in small:
        arguments, input_shape = small[name]
        model = getattr(keras_cnns, name)(input_shape=input_shape, classes=10, **arguments)
    else:
        model = getattr(keras_cnns, name)()
    seen, again = first_numbers(model)
    assert not again and len(seen) > 1


def test_every_paper_table_has_a_variant():
    assert {variant.table for variant in VARIANTS} == set(paper_tables())


def test_every_builder_has_a_family_test():
    assert {row[0] for row in SMALLEST} | NO_LOGITS == set(keras_cnns.builders())


def labels(logits):
    """3 for the first image, 7 for the second, or for all pixels of each."""
    numbers = np.full(logits.shape[:-1], 3)
    numbers[1] = 7
    return numbers


@pytest.mark.slow
@families
def test_every_weight_gets_a_gradient(small):
    model, images = small
    with tf.GradientTape() as tape:
        outputs = [each for each in tf.nest.flatten(model(images, training=True)) if each.shape[-1] != 4]  # no boxes
        losses = [tf.nn.sparse_softmax_cross_entropy_with_logits(labels(logits), logits) for logits in outputs]
        loss = tf.add_n([tf.reduce_sum(each) for each in losses])
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    without = [
        weight.path
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
        if gradient is None or not np.abs(gradient).max() > 0 or not np.isfinite(gradient).all()
    ]
    assert not without


@pytest.mark.slow
@families
def test_saved_and_loaded_it_is_the_same(small, tmp_path):
    model, images = small
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for ours, loaded in zip(tf.nest.flatten(model(images)), tf.nest.flatten(again(images)), strict=True):
        np.testing.assert_array_equal(ours, loaded)


@pytest.mark.parametrize(("builder", "arguments", "input_shape"), SMALLEST, ids=[row[0] for row in SMALLEST])
def test_a_smaller_input_is_refused_with_the_smallest_size(builder, arguments, input_shape):
    side, _, channels = input_shape
    with pytest.raises(ValueError, match=f"at least {side} pixels"):
        getattr(keras_cnns, builder)(input_shape=(side - 1, side, channels), **arguments)


@pytest.mark.slow
@pytest.mark.usefixtures("without_values")
@pytest.mark.parametrize("row", smallest)
def test_logits_are_float32_under_mixed_precision(row):
    builder, arguments, input_shape = row
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = getattr(keras_cnns, builder)(input_shape=input_shape, classes=10, **arguments)
    finally:
        keras.config.set_dtype_policy("float32")
    for logits in model.outputs:
        if logits.shape[-1] == 4:
            continue  # boxes
        places = {2: (), 3: logits.shape[1:-1], 4: (1, 1) if builder == "yolo" else input_shape[:2]}[len(logits.shape)]
        assert logits.dtype == "float32" and logits.shape[1:-1] == places
        widths = (11, 44, 18, 36) if len(model.inputs) == 2 else {"yolo": (20,), "rcnn": (11,)}.get(builder, (10,))
        assert logits.shape[-1] in widths  # a background, a box for each class; anchors; two boxes a cell


@pytest.mark.parametrize("builder", [row[0] for row in SMALLEST])
def test_no_class_is_refused(builder):
    arguments = next(row[1] for row in SMALLEST if row[0] == builder)
    with pytest.raises(ValueError, match="classes is 0; it must be a whole number of at least 1"):
        getattr(keras_cnns, builder)(classes=0, **arguments)
