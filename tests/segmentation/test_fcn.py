"""FCN: where its labels lie, any size, the weights it starts from, and the figures of the paper's Table 1."""

import functools
from fractions import Fraction

import keras
import numpy as np
import pytest

from keras_cnns import fcn8s, fcn16s, fcn32s, googlenet, load_layers, resnet_cifar, vgg16, vgg19
from keras_cnns.inspection import layer_table, receptive_field
from keras_cnns.inspection.paper_table import compare, find_table, paper_rows

BUILDERS = (fcn32s, fcn16s, fcn8s)


def narrow(builder, **arguments):
    """The network with two filters in fc6 and fc7 and three labels: small, and all else as it is."""
    return builder(classes=3, **{"fc_filters": 2, **arguments})


@functools.cache
def shared(builder, **arguments):
    """One for all tests that leave its weights alone."""
    return narrow(builder, **arguments)


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def shift(rows):
    """The pixel of a map that lies on the image's pixel 0: each layer's coordinates in those of the one before."""
    place = Fraction(0)
    for row in rows:
        before = int(str(row.padding).partition("+")[0]) if row.kernel else 0
        if row.kind == "deconv":
            place = place * row.stride + Fraction(row.kernel - 1, 2) - before
        elif row.kernel:
            place = (place + before - Fraction(row.kernel - 1, 2)) / row.stride
    return place


def upto(rows, name, without=()):
    names = [row.name for row in rows]
    return [row for row in rows[: names.index(name) + 1] if row.name not in without]


@pytest.mark.parametrize(
    ("arguments", "released"), [({}, 19), ({"trunk": "alexnet"}, 18), ({"trunk": "googlenet"}, None)], ids=str
)
def test_the_crop_of_32s_brings_the_labels_onto_the_image(arguments, released):
    model = shared(fcn32s, **arguments)
    main = {"_1x1", "_3x3", "_5x5", "_3x3_reduce", "_5x5_reduce", "_pool", "_pool_proj"}  # the branches keep the place
    rows = [
        row
        for row in layer_table(model)
        if not any(row.name.endswith(part) for part in main if "inception" in row.name)
    ]
    assert shift(upto(rows, "upscore")) == model.get_layer("score").offset
    assert released in (None, model.get_layer("score").offset)


def test_the_crops_of_16s_and_8s_are_the_released_ones():
    model = shared(fcn16s)
    rows = layer_table(model)
    assert shift(upto(rows, "pool4")) - shift(upto(rows, "upscore2")) == 5 == model.get_layer("score_pool4c").offset
    assert shift(upto(rows, "upscore16", without=["score_pool4"])) == 27 == model.get_layer("score").offset
    model = shared(fcn8s)
    rows = layer_table(model)
    finer = shift(upto(rows, "upscore_pool4", without=["score_pool4"]))
    assert shift(upto(rows, "pool3")) - finer == 9 == model.get_layer("score_pool3c").offset
    last = shift(upto(rows, "upscore8", without=["score_pool4", "score_pool3"]))
    assert last == 31 == model.get_layer("score").offset


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_image_of_any_size_is_labelled_at_its_size(builder):
    """The symbolic shapes of every side from 1 to 64, and of two real images."""
    model = shared(builder)
    for side in range(1, 65):
        assert model.compute_output_shape((1, side, 65 - side, 3)) == (1, side, 65 - side, 3)
    for size in ((1, 1), (21, 50)):
        assert model(random(1, *size, 3)).shape == (1, *size, 3)


@pytest.mark.parametrize("trunk", ["alexnet", "googlenet"])
def test_the_other_trunks_too(trunk):
    model = shared(fcn32s, trunk=trunk)
    for side in range(31, 95):
        assert model.compute_output_shape((1, side, 95, 3)) == (1, side, 95, 3)
    assert model(random(1, 33, 48, 3)).shape == (1, 33, 48, 3)


@pytest.mark.slow
@pytest.mark.parametrize("builder", BUILDERS)
def test_scores_add_up_and_start_at_zero(builder):
    """Bilinear weights add up to one, so that maps of equal scores stay equal; but for the first 25 pixels, by hand for
    64x64: there a released crop takes labels that lie beside the score map's first pixels."""
    model, image = narrow(builder), random(1, 64, 64, 3)
    assert not np.any(model(image))
    scores = [layer for layer in model.layers if layer.name.startswith("score_") and layer.weights]
    assert len(scores) == 1 + BUILDERS.index(builder)
    for number, layer in enumerate(scores):
        layer.bias.assign([1.0, 10.0**number, -2.0])
    expected = [len(scores), sum(10.0**number for number in range(len(scores))), -2 * len(scores)]
    np.testing.assert_allclose(model(image)[:, 25:, 25:], np.broadcast_to(expected, (1, 39, 39, 3)), rtol=1e-5)


def test_counts_for_any_number_of_classes():
    """By hand for 5: score layers of c + 1 numbers for each of c channels, and k x k x 5 x 5 for each upsampling."""
    trunk = 14_714_688 + (49 * 512 + 1) * 2 + (2 + 1) * 2  # VGG-16's convolutions, fc6 and fc7 of two filters
    scores = [(2 + 1) * 5, (512 + 1) * 5, (256 + 1) * 5]
    kernels = [[64], [4, 32], [4, 4, 16]]
    for number, builder in enumerate(BUILDERS):
        expected = trunk + sum(scores[: number + 1]) + sum(size**2 * 25 for size in kernels[number])
        assert builder(classes=5, fc_filters=2).count_params() == expected


def test_table_1():
    """Receptive fields of 355, 404 and 907 pixels, a stride of 32, GoogLeNet's 6 M parameters. Of its 907 six times 32
    are those of the 7x7 average pooling, which section 4.1 discards."""
    for trunk, size in (("alexnet", 355), ("vgg16", 404), ("googlenet", 907 - 6 * 32)):
        model = shared(fcn32s, trunk=trunk)
        field = receptive_field(model, "score_fr")
        assert (field.size, field.stride) == (size, 32)
    parameters = model.count_params() - 63**2 * 9 + (1024 + 1) * (21 - 3)  # without upsampling, and for 21 labels
    assert parameters == 6_998_552 - 1_025_000 + 21_525 and round(parameters / 1e6) == 6


@pytest.mark.slow
@pytest.mark.parametrize(("trunk", "millions", "size"), [("alexnet", 57, 63), ("vgg16", 134, 64)])
def test_table_1_counts(trunk, millions, size):
    model = fcn32s(trunk=trunk)
    classifiers = {"alexnet": 60_965_224, "vgg16": 138_357_544}  # with 1000 classes in place of 21
    fixed = size**2 * 21**2
    assert model.count_params() == classifiers[trunk] - 4097 * (1000 - 21) + fixed
    assert round((model.count_params() - fixed) / 1e6) == millions


@pytest.mark.slow
def test_a_free_size_is_compared_with_the_papers_table():
    model = fcn8s()
    assert find_table(fcn8s, {}) == find_table(fcn8s, {"input_shape": (500, 500, 3)}) == "fcn8s"
    pairs = compare(layer_table(model), paper_rows("fcn8s"))
    assert not [pair for pair in pairs if pair[2]]
    rows = [{**row, "output_shape": row["output_shape"].replace("x512", "x511")} for row in paper_rows("fcn8s")]
    assert {pair[0].name for pair in compare(layer_table(model), rows) if pair[2]} >= {"conv4_1", "pool5"}


def test_weights_flow_from_32s_to_16s_to_8s():
    networks = [narrow(builder) for builder in BUILDERS]
    coarse, middle, fine = networks
    for layer in coarse.layers:
        layer.set_weights([random(*weight.shape) for weight in layer.weights])
    convolutions = [layer.name for layer in coarse.layers if layer.name.startswith(("conv", "fc")) and layer.weights]
    assert len(convolutions) == 15
    assert load_layers(middle, coarse) == [*convolutions, "score_fr"]
    middle.get_layer("score_pool4").bias.assign([1, 2, 3])
    assert sorted(load_layers(fine, middle)) == sorted([*convolutions, "score_fr", "upscore2", "score_pool4"])
    for name in (*convolutions, "score_fr"):
        for ours, theirs in zip(fine.get_layer(name).get_weights(), coarse.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(fine.get_layer("score_pool4").get_weights()[1], [1, 2, 3])
    assert not np.any(fine.get_layer("score_pool3").get_weights()[0])


def torch_vgg16(fc=2):
    """A state dict as torchvision's VGG-16 names and shapes it, with fully connected layers of a few units."""
    arrays, channels = {}, 3
    positions = {64: (0, 2), 128: (5, 7), 256: (10, 12, 14), 512: (17, 19, 21, 24, 26, 28)}
    for filters, places in positions.items():
        for place in places:
            arrays[f"features.{place}.weight"] = random(filters, channels, 3, 3)
            arrays[f"features.{place}.bias"] = np.full(filters, place, "float32")
            channels = filters
    for place, shape in {0: (fc, 512 * 7 * 7), 3: (fc, fc), 6: (1000, fc)}.items():
        arrays[f"classifier.{place}.weight"] = np.arange(np.prod(shape), dtype="float32").reshape(shape)
        arrays[f"classifier.{place}.bias"] = np.full(shape[0], place, "float32")
    return arrays


def test_a_trunk_from_torchvision():
    model, arrays = narrow(fcn8s), torch_vgg16()
    loaded = load_layers(model, arrays)
    assert len(loaded) == 15 and loaded[-2:] == ["fc6", "fc7"]
    kernel, bias = model.get_layer("conv4_2").get_weights()
    np.testing.assert_array_equal(kernel, arrays["features.19.weight"].transpose(2, 3, 1, 0))
    assert bias[0] == 19
    kernel, bias = model.get_layer("fc6").get_weights()
    assert kernel[3, 5, 100, 1] == 1 * 25_088 + 100 * 49 + 3 * 7 + 5  # PyTorch flattens channels first
    assert bias[0] == 0 and model.get_layer("fc7").get_weights()[0][0, 0, 1, 0] == 1


def test_a_trunk_from_keras_applications():
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    model = narrow(fcn32s)
    assert len(load_layers(model, source)) == 13
    for ours, theirs in (("conv1_1", "block1_conv1"), ("conv5_3", "block5_conv3")):
        np.testing.assert_array_equal(model.get_layer(ours).get_weights()[0], source.get_layer(theirs).get_weights()[0])


@pytest.mark.slow
def test_fully_connected_layers_become_the_convolutions_of_their_window():
    maps = keras.Input((7, 7, 512))
    x = keras.layers.Dense(2, activation="relu", name="fc6")(keras.layers.Flatten()(maps))
    classifier = keras.Model(maps, keras.layers.Dense(2, name="fc7")(x))
    model, x = narrow(fcn32s), random(1, 7, 7, 512)
    assert load_layers(model, classifier) == ["fc6", "fc7"]
    np.testing.assert_allclose(
        model.get_layer("fc6")(x)[:, 0, 0], classifier.get_layer("fc6")(x.reshape(1, -1)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_a_googlenet_gives_its_features():
    classifier, model = googlenet((64, 64, 3), classes=10, auxiliary_heads=False), narrow(fcn32s, trunk="googlenet")
    assert len(load_layers(model, classifier)) == 57
    features = [keras.Model(net.input, net.get_layer("inception_5b_output").output) for net in (classifier, model)]
    image = random(1, 64, 64, 3)
    np.testing.assert_array_equal(features[0](image), features[1](image))


@pytest.mark.slow
def test_a_vgg16_gives_its_features():
    """At the window of a label within the image, the network computes what the classifier does."""
    classifier, model = vgg16(), fcn32s()
    assert len(load_layers(model, classifier)) == 15
    image = random(1, 224, 224, 3)
    trunk = keras.Model(classifier.input, classifier.get_layer("pool5").output)
    fc7 = keras.Sequential([model.get_layer("fc6"), model.get_layer("fc7")])
    expected = keras.Model(classifier.input, classifier.get_layer("fc7").output)(image)
    np.testing.assert_allclose(fc7(trunk(image))[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (lambda: resnet_cifar(8), "they have no layer in common"),
        (lambda: {"conv1.weight": np.ones((2, 2))}, "they have no layer in common"),
        (lambda: vgg19((32, 32, 3), classes=10), "only one of them has conv3_4"),
        (lambda: keras.applications.VGG19(include_top=False, weights=None), "only one of them has block3_conv4"),
        (lambda: {**torch_vgg16(), "features.3.weight": np.ones(3)}, "only one of them has features.3"),
        (lambda: narrow(fcn32s, fc_filters=3), r"fc6.kernel is \(7, 7, 512, 2\), the source's \(7, 7, 512, 3\)"),
        (lambda: fcn32s(classes=4, fc_filters=2), r"score_fr.kernel is \(1, 1, 2, 3\), the source's \(1, 1, 2, 4\)"),
        (lambda: torch_vgg16() | {"features.0.bias": np.ones(3)}, r"conv1_1.bias is \(64,\), the source's \(3,\)"),
        (lambda: [1, 2], "source is a list; it must be a network or torchvision's state dict"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_loaded(source, reason):
    model = narrow(fcn16s)
    before = model.get_weights()
    with pytest.raises(ValueError, match=reason):
        load_layers(model, source())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_names_are_the_released_ones():
    names = {layer.name for layer in shared(fcn8s).layers}
    assert names >= {"fc6", "drop6", "score_fr", "upscore2", "score_pool4", "score_pool4c", "fuse_pool4"}
    assert names >= {"upscore_pool4", "score_pool3", "score_pool3c", "fuse_pool3", "upscore8", "score"}


@pytest.mark.slow
def test_saved_and_loaded_for_any_size(save_and_load):
    model = narrow(fcn8s)
    model.get_layer("score_pool3").set_weights([random(1, 1, 256, 3), random(3)])
    again = save_and_load(model)
    for size in ((17, 30), (32, 20)):
        image = random(1, *size, 3)
        np.testing.assert_array_equal(model(image), again(image))


@pytest.mark.parametrize(
    ("builder", "arguments", "message"),
    [
        (fcn32s, {"trunk": "resnet"}, "trunk is 'resnet'; it must be one of 'vgg16', 'alexnet', 'googlenet'"),
        (fcn8s, {"trunk": "alexnet"}, "trunk is 'alexnet'; it must be one of 'vgg16'"),
        (fcn32s, {"trunk": "googlenet", "input_shape": (30, 40, 3)}, "at least 31 pixels"),
        (fcn16s, {"input_shape": (0, 40, 3)}, "at least 1 pixels"),
    ],
)
def test_bad_arguments_are_told(builder, arguments, message):
    with pytest.raises(ValueError, match=message):
        builder(**arguments)
