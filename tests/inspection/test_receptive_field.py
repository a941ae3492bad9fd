"""Fields computed by hand, and measured by gradient on the built network."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import layers

import keras_cnns
from keras_cnns.__main__ import main
from keras_cnns.inspection import measured_receptive_field, receptive_field


@pytest.fixture(scope="module")
def alexnet():
    return keras_cnns.alexnet()


def stack(*parts, side=64, channels=1):
    """A functional model of layers one after another."""
    image = x = keras.Input((side, side, channels), name="image")
    for part in parts:
        x = part(x)
    return keras.Model(image, x)


def check(model, layer, size, stride, offset):
    """The arithmetic gives these numbers, and the gradient of a unit whose field lies in the image the same place."""
    field = receptive_field(model, layer)
    assert field == (size, stride, offset)
    measured = measured_receptive_field(model, layer)
    assert measured.size == size
    first = [offset + index * stride for index in measured.unit]
    assert measured.box == (first[1], first[0], first[1] + size, first[0] + size)


# VGG, section 2.3: "a stack of two 3x3 conv. layers has an effective receptive field of 5x5; three such layers 7x7";
# "3 (3^2 C^2) = 27 C^2 weights; a single 7x7 conv. layer would require 7^2 C^2 = 49 C^2".
@pytest.mark.parametrize(
    ("kernels", "size", "weights"),
    [([3, 3], 5, 18), ([5], 5, 25), ([3, 3, 3], 7, 27), ([7], 7, 49)],
)
def test_small_kernels_in_a_stack_see_what_a_large_one_sees_for_fewer_weights(kernels, size, weights):
    channels = 8
    convs = [layers.Conv2D(channels, kernel, padding="same", use_bias=False, activation="relu") for kernel in kernels]
    model = stack(*convs, side=16, channels=channels)
    check(model, convs[-1], size, stride=1, offset=-(size // 2))
    assert model.count_params() == weights * channels**2


def test_vgg_style_stack():
    convs = [layers.Conv2D(4, 3, padding="same", activation="relu", name=name) for name in ("c1", "c2", "c3", "c4")]
    pools = [layers.MaxPooling2D(2, name=name) for name in ("p1", "p2")]
    model = stack(convs[0], convs[1], pools[0], convs[2], convs[3], pools[1])
    for name, size, stride, offset in [
        ("c1", 3, 1, -1),
        ("c2", 5, 1, -2),
        ("p1", 6, 2, -2),
        ("c3", 10, 2, -4),
        ("c4", 14, 2, -6),
        ("p2", 16, 4, -6),
    ]:
        check(model, name, size, stride, offset)


@pytest.mark.parametrize(
    ("parts", "size", "stride", "offset"),
    [
        # "same" with stride 2 on an even side pads one pixel, after; on an odd side one before and one after.
        ([layers.Conv2D(1, 3, 2, "same")], 3, 2, 0),
        ([layers.Cropping2D(((0, 1), (0, 1))), layers.Conv2D(1, 3, 2, "same")], 3, 2, -1),
        ([layers.Conv2D(1, 7, 2, "same")], 7, 2, -2),
        ([layers.MaxPooling2D(3, 2, "same")], 3, 2, 0),
        ([layers.AveragePooling2D(2, 1, "same")], 2, 1, 0),
        # Dilation d: (k - 1) d + 1.
        ([layers.Conv2D(1, 3, dilation_rate=4)], 9, 1, 0),
        ([layers.Conv2D(1, 3, padding="same", dilation_rate=2), layers.Conv2D(1, 3, dilation_rate=4)], 13, 1, -2),
        ([layers.DepthwiseConv2D(3, 2), layers.Conv2D(1, 3)], 7, 2, 0),
        ([layers.SeparableConv2D(2, 5, padding="same")], 5, 1, -2),
        ([layers.ZeroPadding2D(((2, 0), (2, 0))), layers.Conv2D(1, 3, 2)], 3, 2, -2),
        ([layers.Cropping2D(3), layers.Conv2D(1, 3)], 3, 1, 3),
        ([layers.Conv2D(64, 1), layers.Conv2D(64, 1, 2), layers.Conv2D(1, 3)], 5, 2, 0),
        # Upsampled twofold, three pixels stand on two of the input; after a 2x2 pooling these are four of the image.
        ([layers.MaxPooling2D(2), layers.UpSampling2D(2), layers.Conv2D(1, 3, padding="same")], 4, 1, -2),
        # Bilinear: every output pixel lies between two of the input.
        ([layers.MaxPooling2D(2), layers.UpSampling2D(2, interpolation="bilinear")], 4, 1, -2),
        # 4x4/2 transposed convolution: two of the input (FCN's upsampling); 2x2/2: one.
        ([layers.MaxPooling2D(2), layers.Conv2DTranspose(1, 4, 2, "same")], 4, 1, -2),
        ([layers.MaxPooling2D(4), layers.Conv2DTranspose(1, 2, 4, "same"), layers.MaxPooling2D(4)], 4, 4, 0),
        ([layers.Conv2DTranspose(1, 3, padding="valid")], 3, 1, -2),
        ([layers.Conv2DTranspose(1, 5, padding="same"), layers.LeakyReLU(), layers.BatchNormalization()], 5, 1, -2),
        ([layers.Dense(3), layers.Activation("relu"), layers.Dropout(0.5), layers.Softmax()], 1, 1, 0),
    ],
)
def test_every_kind_of_layer_by_hand(parts, size, stride, offset):
    model = stack(*parts)
    field = receptive_field(model, model.layers[-1])
    assert field == (size, stride, offset)
    measured = measured_receptive_field(model, model.layers[-1])
    x1, y1, x2, y2 = measured.box
    assert (x1, x2) == (y1, y2)
    if any(isinstance(part, (layers.UpSampling2D, layers.Conv2DTranspose)) for part in parts):
        # Neighbours that share a pixel of the smaller map see the same: the unit's field is no multiple of the stride.
        assert measured.size == size
    else:
        assert (x1, x2) == (offset + measured.unit[0] * stride, offset + measured.unit[0] * stride + size)


def test_upsampling_by_steps_is_exact_for_every_pixel():
    """A stride below one pixel is a fraction; of the phases of an upsampling the largest field counts."""
    model = stack(layers.UpSampling2D(3), layers.Conv2D(1, 2))
    # Pixel 0 sees upsampled pixels 0 and 1: one of the image; pixel 2 sees 2 and 3: two.
    assert receptive_field(model, model.layers[-1]) == (2, Fraction(1, 3), 0)
    image = np.arange(64.0 * 64).reshape(1, 64, 64, 1)
    model.layers[-1].set_weights([np.ones((2, 2, 1, 1)), np.zeros(1)])
    row = np.asarray(model(image))[0, 0, :6, 0]
    np.testing.assert_array_equal(np.diff(row) > 0, [False, True, True, False, True])


def test_sides_that_differ_are_pairs():
    model = stack(layers.Conv2D(1, (3, 7), (1, 2), "valid"))
    layer = model.layers[-1]
    assert receptive_field(model, layer) == ((3, 7), (1, 2), 0)
    measured = measured_receptive_field(model, layer)
    assert (measured.size, measured.unit, measured.box) == ((3, 7), (31, 14), (28, 31, 35, 34))


def test_branches_count_at_their_largest():
    image = keras.Input((32, 32, 1))
    branches = [layers.Conv2D(2, size, padding="same", name=f"b{size}")(image) for size in (1, 3, 5)]
    pooled = layers.MaxPooling2D(3, 1, "same", name="pool")(image)
    joined = layers.Concatenate(name="joined")([*branches, pooled])
    y = layers.Conv2D(7, 3, padding="same", name="y")(joined)
    summed = layers.Add(name="sum")([layers.Conv2D(7, 1, name="shortcut")(joined), y])
    model = keras.Model(image, summed)
    for name, size in [("b1", 1), ("b5", 5), ("pool", 3), ("joined", 5), ("y", 7), ("shortcut", 5), ("sum", 7)]:
        check(model, name, size, 1, -(size // 2))


def test_bare_operations():
    image = keras.Input((32, 32, 4))
    x = layers.Conv2D(4, 3, padding="same")(image)
    x = layers.Activation("relu", name="sum")(keras.ops.relu(x) + 2 * image)
    check(keras.Model(image, x), "sum", 3, 1, -1)


def test_branches_to_either_side_are_united():
    image = keras.Input((32, 32, 1))
    left = layers.ZeroPadding2D(((4, 0), (4, 0)))(image)
    right = layers.ZeroPadding2D(((0, 4), (0, 4)))(image)
    model = keras.Model(image, layers.Add(name="sum")([left, right]))
    check(model, "sum", 5, 1, -4)


# Strides 4, 2, 2, 2 at conv1, pool1, pool2, pool5; each layer adds (kernel - 1) times the stride before it.
ALEXNET = [
    ("conv1", 11, 4, 0),
    ("norm1", 11, 4, 0),
    ("pool1", 19, 8, 0),
    ("conv2", 51, 8, -16),
    ("pool2", 67, 16, -16),
    ("conv3", 99, 16, -32),
    ("conv4", 131, 16, -48),
    ("conv5", 163, 16, -64),
    ("pool5", 195, 32, -64),
]


@pytest.mark.slow
def test_alexnet(alexnet):
    for row in ALEXNET:
        check(alexnet, *row)
    for name in ("flatten", "fc6", "drop7", "fc8"):
        assert receptive_field(alexnet, name) == (227, None, 0)
    measured = measured_receptive_field(alexnet, "flatten")
    assert (measured.size, measured.box, measured.unit) == (227, (0, 0, 227, 227), None)


@pytest.mark.slow
def test_resnet_cifar():
    """ResNet-14: two blocks a stage. conv0 3; four convolutions add 2 each, then 2 + 3 * 4, then 4 + 3 * 8."""
    model = keras_cnns.resnet_cifar(14, input_shape=(128, 128, 3))
    for row in [
        ("conv0", 3, 1, -1),
        ("s1_b1_add", 7, 1, -3),
        ("s1_b2_relu", 11, 1, -5),
        ("s2_b1_a", 13, 2, -6),
        ("s2_b1_identity", 11, 2, -5),  # every second pixel of the map before
        ("s2_b1_add", 17, 2, -8),
        ("s2_b2_b_bn", 25, 2, -12),
        ("s3_b1_a", 29, 4, -14),
        ("s3_b1_identity", 25, 4, -12),
        ("s3_b2_add", 53, 4, -26),
    ]:
        check(model, *row)
    assert receptive_field(model, "avgpool") == (128, None, 0) == receptive_field(model, "fc")
    assert receptive_field(keras_cnns.resnet_cifar(14, input_shape=(None, None, 3)), "fc") == (None, None, 0)


@pytest.mark.slow
def test_the_gradient_reaches_through_a_hundred_layers():
    """Fields larger than the image are cut at its edge; no product of a hundred kernels underflows."""
    model = keras_cnns.resnet_cifar(110)
    assert receptive_field(model, "s1_b18_add").size == 3 + 36 * 2
    assert measured_receptive_field(model, "s1_b18_add").box == (0, 0, 32, 32)


# VGG-16 from the same arithmetic: two 3x3 and a pooling, twice, then three 3x3 and a pooling, three times.
VGG16 = [
    ("conv1_1", 3, 1, -1),
    ("conv1_2", 5, 1, -2),
    ("pool1", 6, 2, -2),
    ("conv2_2", 14, 2, -6),
    ("pool2", 16, 4, -6),
    ("conv3_1", 24, 4, -10),
    ("conv3_3", 40, 4, -18),
    ("pool3", 44, 8, -18),
    ("conv4_3", 92, 8, -42),
    ("pool4", 100, 16, -42),
    ("conv5_3", 196, 16, -90),
    ("pool5", 212, 32, -90),
]


@pytest.mark.slow
def test_vgg16():
    model = keras_cnns.vgg16()
    for row in VGG16:
        check(model, *row)
    assert receptive_field(model, "fc6") == (224, None, 0)


@pytest.mark.slow
def test_resnet50():
    """conv1 7x7/2, pool1 3x3/2; then 3x3 of a block adds 2 strides: 8, 16, 32, 64, the stride of the stage's 1x1/2.

    7 + 2 * 2 = 11; three blocks 35; four of 16 99; six of 32 291; three of 64 483: the largest branch.
    """
    model = keras_cnns.resnet50()
    check(model, "conv1", 7, 2, -3)
    check(model, "pool1", 11, 4, -5)
    check(model, "res2c", 35, 4, -17)
    check(model, "res3d", 99, 8, -49)
    assert receptive_field(model, "res4f") == (291, 16, -145)
    assert receptive_field(model, "res5c") == (483, 32, -241)
    assert receptive_field(model, "res5a_branch1") == (291, 32, -145)
    assert measured_receptive_field(model, "res5c").box == (0, 0, 224, 224)
    # torchvision's way, 3x3/2: the first block of stages 3 to 5 adds a stride of its input only: 35 + 8 + 3 * 16 = 91.
    model = keras_cnns.resnet50(stride_in="3x3")
    assert receptive_field(model, "res3d") == (91, 8, -45)


@pytest.mark.slow
def test_googlenet():
    """7x7/2 7, 3x3/2 11, 3x3 19, 3x3/2 27, stride 8; a module's 5x5 adds 4 strides; pooling 3x3/2 adds 2."""
    model = keras_cnns.googlenet()
    field = {name: receptive_field(model, name) for name in ("inception_3b_output", "inception_4e_output")}
    assert field["inception_3b_output"][:2] == (27 + 2 * 32, 8)
    assert field["inception_4e_output"][:2] == (27 + 64 + 16 + 5 * 64, 16)
    assert receptive_field(model, "inception_5b_output")[:2] == (427 + 32 + 2 * 128, 32)
    measured = measured_receptive_field(model, "inception_3b_output")
    assert measured.size == 91


@pytest.mark.slow
def test_densenet121():
    """conv1 7, pool1 11 and stride 4; 6, 12, 24, 16 layers of a 3x3 add 2 strides each, a 2x2 pooling one stride."""
    model = keras_cnns.densenet121()
    check(model, "concat_2_6", 11 + 6 * 8, 4, -5 - 6 * 4)
    assert receptive_field(model, "pool2")[:2] == (63, 8)
    assert receptive_field(model, "concat_3_12")[:2] == (63 + 12 * 16, 8)
    assert receptive_field(model, "concat_4_24")[:2] == (255 + 8 + 24 * 32, 16)
    assert receptive_field(model, "concat_5_16")[:2] == (1031 + 16 + 16 * 64, 32)


def test_models_inside_models_and_sequential_ones():
    trunk = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3, name="a"), layers.MaxPooling2D(2)])
    model = keras.Sequential([keras.Input((40, 40, 1)), trunk, layers.Conv2D(2, 3, name="b")])
    check(model, "a", 3, 1, 0)
    check(model, "b", 8, 2, 0)


def test_an_image_of_free_size_is_measured_too():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, layers.Conv2D(2, 5, 2, name="c")(x))
    check(model, "c", 7, 2, -1)


def test_a_pooled_map_that_misses_the_last_pixels():
    """Pooling drops the 33rd row: what follows global pooling sees 32 of 33."""
    model = stack(layers.MaxPooling2D(2), layers.GlobalAveragePooling2D(), layers.Dense(3, name="fc"), side=33)
    assert receptive_field(model, "fc") == (32, None, 0)
    assert measured_receptive_field(model, "fc").box == (0, 0, 32, 32)


def test_channel_attention_sees_the_whole_image():
    image = keras.Input((16, 16, 4))
    scale = layers.GlobalAveragePooling2D(keepdims=True)(image)
    model = keras.Model(image, layers.Multiply(name="scaled")([layers.Conv2D(4, 3, padding="same")(image), scale]))
    assert receptive_field(model, "scaled") == (16, None, 0)
    assert measured_receptive_field(model, "scaled").size == 16


def test_weights_are_left_alone_and_dead_units_hide_nothing():
    model = stack(layers.Conv2D(2, 3, activation="relu", name="a"), layers.MaxPooling2D(2, name="p"), side=16)
    model.get_layer("a").set_weights([np.zeros((3, 3, 1, 2)), np.full(2, -1.0)])
    check(model, "p", 4, 2, 0)
    assert not model.get_layer("a").get_weights()[0].any()


def test_what_cannot_be_known_is_refused():
    model = stack(layers.Reshape((32, 128, 1), name="fold"), layers.Conv2D(1, 3, name="after"))
    with pytest.raises(ValueError, match="layer 'fold' of class Reshape may mix places"):
        receptive_field(model, "after")
    assert receptive_field(model, "image") == (1, 1, 0)
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, layers.Concatenate(axis=1, name="beside")([image, image]))
    with pytest.raises(ValueError, match="'beside' of class Concatenate works along axis 1"):
        receptive_field(model, "beside")
    image = keras.Input((8, 8, 1))
    halved = layers.ZeroPadding2D(((0, 4), (0, 4)))(layers.MaxPooling2D(2)(image))
    model = keras.Model(image, layers.Add(name="mixed")([image, halved]))
    with pytest.raises(ValueError, match="'mixed' of class Add joins maps of different strides"):
        receptive_field(model, "mixed")
    latent = keras.Input((100,), name="latent")
    model = keras.Model(latent, layers.Dense(3, name="fc")(latent))
    with pytest.raises(ValueError, match="input 'latent' of shape"):
        receptive_field(model, "fc")
    with pytest.raises(ValueError, match="depends on no image"):
        measured_receptive_field(model, "fc")


def test_an_unknown_layer_is_told_the_nearest_names(alexnet):
    with pytest.raises(ValueError, match="alexnet has no layer 'conv9'; the nearest are conv5, conv4, conv3"):
        receptive_field(alexnet, "conv9")
    with pytest.raises(ValueError, match="alexnet has no layer 'other'"):
        measured_receptive_field(alexnet, layers.ReLU(name="other"))
    with pytest.raises(ValueError, match="not a built functional or sequential"):
        receptive_field(keras.Sequential([layers.Conv2D(1, 3)]), "conv2d")


def test_command_line_of_one_layer(capsys):
    assert main(["receptive-field", "resnet_cifar", "s2_b1_add", "depth=8"]) == 0
    arithmetic, gradient = capsys.readouterr().out.splitlines()
    assert arithmetic.endswith("size 13, stride 2, offset -6")  # 7, then 2 and twice 2
    assert gradient.endswith("size 13; unit (8, 8) sees the box (10, 10, 23, 23) of the 32x32 image")
    assert main(["receptive-field", "resnet_cifar", "s2_b1_ad", "depth=8"]) == 2
    assert "has no layer 's2_b1_ad'; the nearest are s2_b1_add" in capsys.readouterr().err
    assert main(["receptive-field", "resnet_cifar", "s2_b1_add", "conv0", "depth=8"]) == 2
    assert "one layer at a time" in capsys.readouterr().err


def test_command_line_of_all_layers(capsys):
    assert main(["receptive-field", "resnet_cifar", "depth=8"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["conv0", "conv", "3", "1", "-1"] in lines
    assert ["s1_b1_add", "add", "7", "1", "-3"] in lines
    assert ["fc", "fc", "32", "-", "0"] in lines
