"""`layer_table` of models made by hand, their rows written by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_cnns.inspection import Row, layer_table
from keras_cnns.layers import (
    BatchNormalization,
    LocalResponseNormalization,
    OriginalDropout,
    PaddedIdentity,
    TowerConv2D,
)


def names(model):
    return [row.name for row in layer_table(model)]


def only_row(layer, input_shape):
    return layer_table(keras.Sequential([keras.Input(input_shape), layer]))[0]


def branching():
    """A trunk, a main branch of two layers with a shortcut beside it, joined; then the classifier."""
    image = keras.Input((32, 24, 3), name="image")
    x = layers.ZeroPadding2D(((1, 2), (3, 3)), name="pad")(image)
    trunk = layers.Conv2D(8, (4, 3), strides=(1, 2), use_bias=False, name="trunk")(x)  # 32x14x8
    shortcut = layers.Conv2D(6, 1, name="shortcut")(trunk)
    main = layers.ReLU(name="relu")(BatchNormalization(name="main_bn")(trunk))
    main = TowerConv2D(6, 3, padding="same", name="main_conv")(main)
    x = layers.Add(name="join")([main, shortcut])
    x = LocalResponseNormalization(n=3, name="norm")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(x)  # 16x7x6
    x = layers.Concatenate(name="concat")([x, layers.AveragePooling2D(1, name="copy")(x)])  # 16x7x12
    x = PaddedIdentity(16, name="widen")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = OriginalDropout(name="drop")(layers.Dense(5, activation="relu", name="hidden")(x))
    x = layers.Softmax(name="softmax")(layers.Dense(2, use_bias=False, name="classifier")(x))
    return keras.Model(image, x, name="branching")


def test_a_branching_model_row_by_row():
    none = (None, None, None, None)
    assert layer_table(branching()) == [
        # 4 x 3 x 3 x 8 weights at 32 x 14 places
        Row("trunk", "conv", (4, 3), (1, 2), ("1+2", 3), 1, (32, 14, 8), 288, 0, 0, 129_024),
        Row("main_bn", "bn", *none, (32, 14, 8), 0, 0, 16, 0),
        # 3 x 3 x 8/2 x 6
        Row("main_conv", "conv", 3, 1, 1, 2, (32, 14, 6), 216, 6, 0, 96_768),
        Row("shortcut", "conv", 1, 1, 0, 1, (32, 14, 6), 48, 6, 0, 21_504),
        Row("join", "add", *none, (32, 14, 6), 0, 0, 0, 0),
        Row("norm", "lrn", *none, (32, 14, 6), 0, 0, 0, 0),
        Row("pool", "maxpool", 3, 2, "0+1", None, (16, 7, 6), 0, 0, 0, 0),
        Row("copy", "avgpool", 1, 1, 0, None, (16, 7, 6), 0, 0, 0, 0),
        Row("concat", "concat", *none, (16, 7, 12), 0, 0, 0, 0),
        Row("average", "global avgpool", *none, (16,), 0, 0, 0, 0),
        Row("hidden", "fc", *none, (5,), 80, 5, 0, 80),
        Row("drop", "dropout", *none, (5,), 0, 0, 0, 0),
        Row("classifier", "fc", *none, (2,), 10, 0, 0, 10),
    ]


def test_the_table_counts_what_keras_counts():
    model = branching()
    model.trainable = False  # a frozen layer has its row all the same
    counted = sum(row.weights + row.biases + row.gamma_beta for row in layer_table(model))
    assert counted == model.count_params() - 16  # moving statistics of 8 channels


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "dilation", "expected"),
    [
        (8, 3, 1, 1, 1),
        (8, 3, 2, 1, "0+1"),
        (7, 3, 2, 1, 1),
        (224, 7, 2, 1, "2+3"),
        (8, 2, 2, 1, 0),
        (8, 1, 2, 1, 0),
        (8, 2, 1, 1, "0+1"),
        (8, 3, 1, 2, 2),  # dilated, a 3x3 kernel spans 5x5
        (None, 5, 1, 1, 2),
    ],
)
def test_padding_that_same_adds(size, kernel, strides, dilation, expected):
    layer = layers.Conv2D(1, kernel, strides, "same", dilation_rate=dilation)
    assert only_row(layer, (size, size, 1)).padding == expected


def test_padding_of_one_side_only_is_told_before_and_after():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.ZeroPadding2D(((0, 3), (0, 3))), layers.Conv2D(1, 3, padding="same")]
    )
    assert layer_table(model)[0].padding == "1+4"


def test_unknown_sizes_are_none_and_their_multiply_adds_0():
    row = only_row(layers.Conv2D(4, 3, padding="same"), (None, 8, 3))
    assert row.output_shape == (None, 8, 4) and row.weights == 108 and row.multiply_adds == 0


def test_a_fully_connected_layer_on_a_map_is_used_at_every_place():
    row = only_row(layers.Dense(5), (4, 6, 3))
    assert (row.kind, row.weights, row.multiply_adds) == ("fc", 15, 360)


def test_a_model_inside_the_model_is_listed_layer_by_layer():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="inner_conv")], name="inner")
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="before")(image)
    model = keras.Model(image, layers.Dense(2, name="after")(layers.Flatten()(inner(x))))
    assert names(model) == ["before", "inner_conv", "after"]


def test_a_shared_layer_has_one_row():
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.Conv2D(3, 1, name="between")(shared(image))
    model = keras.Model(image, layers.Add(name="sum")([shared(x), x]))
    rows = layer_table(model)
    assert [row.name for row in rows] == ["shared", "between", "sum"]
    assert rows[0].multiply_adds == 81 * 64  # of its first use


def test_a_layer_that_served_another_model_shows_its_size_in_this_one():
    conv = layers.Conv2D(4, 3, padding="same", strides=2, name="conv")
    for side, output, padding in ((16, 8, "0+1"), (9, 5, 1)):
        image = keras.Input((side, side, 3))
        row = layer_table(keras.Model(image, conv(image)))[0]
        assert (row.output_shape, row.padding) == ((output, output, 4), padding)
        assert row.multiply_adds == 108 * output**2


def test_a_model_cut_out_of_another_has_its_own_layers_alone():
    whole = branching()
    cut = keras.Model(whole.get_layer("main_bn").input, whole.get_layer("join").output)
    assert names(cut) == ["main_bn", "main_conv", "shortcut", "join"]


def test_of_two_outputs_the_nearer_stands_where_it_leaves():
    image = keras.Input((8,))
    trunk = layers.Dense(4, name="trunk")(image)
    deep = layers.Dense(4, name="deep")(layers.Dense(4, name="middle")(trunk))
    near = layers.Dense(2, name="near")(trunk)
    expected = ["trunk", "near", "middle", "deep"]
    assert names(keras.Model(image, [deep, near])) == names(keras.Model(image, [near, deep])) == expected


def test_a_bare_operation_has_a_row_without_weights():
    image = keras.Input((8, 8, 3))
    rows = layer_table(keras.Model(image, layers.Conv2D(3, 1, name="conv")(image) + image))
    assert [(row.kind, row.output_shape, row.weights) for row in rows] == [
        ("conv", (8, 8, 3), 9),
        ("Add", (8, 8, 3), 0),
    ]


def test_a_layer_without_a_kind_goes_by_its_class():
    row = only_row(layers.UpSampling2D(2), (4, 4, 3))
    assert (row.kind, row.output_shape, row.kernel) == ("UpSampling2D", (8, 8, 3), None)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.dense = layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


def built_subclassed():
    model = Subclassed()
    model(np.ones((1, 3), "float32"))
    return model


@pytest.mark.parametrize(
    "model",
    [Subclassed, built_subclassed, lambda: keras.Sequential([layers.Dense(1)]), lambda: layers.Dense(1), lambda: "x"],
    ids=["subclassed", "subclassed and built", "unbuilt sequential", "layer", "string"],
)
def test_what_is_no_built_graph_is_refused(model):
    with pytest.raises(ValueError, match="is not a built functional or sequential Keras model"):
        layer_table(model())
