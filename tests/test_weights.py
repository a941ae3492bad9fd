"""What the loaders refuse, that a refusal leaves the model as it was, and what they do beyond copying."""

import keras
import numpy as np
import pytest

import keras_cnns


def state_dict():
    """A CIFAR ResNet-8 of option A as PyTorch names and shapes it: kernels of ones, no two others alike."""
    convs = {
        "conv1": (16, 3),
        "layer1.0.conv1": (16, 16),
        "layer1.0.conv2": (16, 16),
        "layer2.0.conv1": (32, 16),
        "layer2.0.conv2": (32, 32),
        "layer3.0.conv1": (64, 32),
        "layer3.0.conv2": (64, 64),
    }
    arrays = {}
    for number, (conv, (filters, channels)) in enumerate(convs.items()):
        arrays[f"{conv}.weight"] = np.ones((filters, channels, 3, 3), "float32")
        for value, entry in enumerate(("weight", "bias", "running_mean", "running_var"), start=1):
            arrays[f"{conv.replace('conv', 'bn')}.{entry}"] = np.full(filters, 10 * number + value, "float32")
        arrays[f"{conv.replace('conv', 'bn')}.num_batches_tracked"] = np.array(7)
    arrays["linear.weight"] = np.arange(640, dtype="float32").reshape(10, 64)
    arrays["linear.bias"] = np.arange(10, dtype="float32")
    return arrays


@pytest.fixture
def model():
    return keras_cnns.resnet_cifar(8)


@pytest.fixture(scope="module")
def resnet50():
    return keras_cnns.resnet50(input_shape=(32, 32, 3), classes=10)


@pytest.fixture
def refused():
    """A function that expects a loader to refuse a source with these words, and to change nothing."""

    def refused(message, load, model, *arguments, **options):
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            load(model, *arguments, **options)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    return refused


def applications(name, **arguments):
    arguments = {"weights": None, "input_shape": (32, 32, 3), "classes": 10, **arguments}
    return getattr(keras.applications, name)(**arguments)


def test_a_state_dict_of_arrays(model):
    keras_cnns.load_torchvision(model, state_dict())
    kernel, bias = model.get_layer("fc").get_weights()
    assert kernel[3, 2] == 2 * 64 + 3 and bias[2] == 2
    gamma, beta, mean, variance = model.get_layer("s3_b1_b_bn").get_weights()
    assert (gamma[0], beta[0], mean[0], variance[0]) == (61, 62, 63, 64)


def test_names_that_data_parallel_training_left(model):
    keras_cnns.load_torchvision(model, {f"module.{name}": array for name, array in state_dict().items()})
    assert model.get_layer("fc").get_weights()[1][2] == 2


def test_float64_and_float16_arrays(model):
    arrays = {name: array.astype("float64" if array.ndim > 1 else "float16") for name, array in state_dict().items()}
    keras_cnns.load_torchvision(model, arrays)
    assert model.get_layer("fc").get_weights()[0][3, 2] == 131


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"linear.weight": np.ones((100, 64))},
            r"fc's kernel is \(64, 10\), linear.weight \(64, 100\)",
        ),
        (
            {"layer2.0.conv1.weight": np.ones((32, 16, 1, 1))},
            r"s2_b1_a's kernel is \(3, 3, 16, 32\), layer2.0.conv1.weight \(1, 1, 16, 32\)",
        ),
        ({"bn1.running_var": np.ones(())}, r"conv0_bn's moving_variance is \(16,\), bn1.running_var \(\)"),
        ({"layer1.0.bn2.bias": None}, "nothing was loaded: it has no layer1.0.bn2.bias for s1_b1_b_bn."),
        ({"layer1.1.conv1.weight": np.ones(3)}, "nothing was loaded: .* has no place for its layer1.1.conv1.weight."),
    ],
)
def test_a_state_dict_that_does_not_fit(model, refused, change, message):
    arrays = {**state_dict(), **change}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    refused(message, keras_cnns.load_torchvision, model, arrays)


def test_many_faults_are_counted(refused):
    plain = keras_cnns.resnet_cifar(8, residual=False)  # the same names and shapes, another network
    refused("plain_cifar8 is not in torchvision", keras_cnns.load_torchvision, plain, state_dict())
    with pytest.raises(ValueError, match="model is a NoneType"):
        keras_cnns.load_torchvision(None, state_dict())
    deeper = keras_cnns.resnet_cifar(14)  # 2 more convolutions of 1 array and 2 more normalisations of 4, in 3 stages
    message = "state_dict does not fit resnet_cifar14.*and 27 more of these"
    refused(message, keras_cnns.load_torchvision, deeper, state_dict())


def test_what_is_no_state_dict(model, refused):
    refused("state_dict is a list; it must be a mapping", keras_cnns.load_torchvision, model, [1, 2])
    refused("no place for its state_dict", keras_cnns.load_torchvision, model, {"state_dict": state_dict()})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "input_shape"),
    [
        ("alexnet", (64, 64, 3)),
        ("googlenet", (79, 79, 3)),
        ("zfnet", (47, 47, 3)),
    ],
)
def test_networks_that_no_other_library_has(builder, input_shape, refused):
    network = getattr(keras_cnns, builder)(input_shape, classes=10)
    refused(f"{builder} is not in torchvision, whose AlexNet .* GoogLeNet", keras_cnns.load_torchvision, network, {})
    refused(f"{builder} is not in keras.applications", keras_cnns.load_keras_applications, network, keras.Model())


def test_a_cifar_densenet_is_not_in_torchvision(refused):
    network = keras_cnns.densenet_cifar(10, 4, bottleneck=True)
    refused("is not in torchvision", keras_cnns.load_torchvision, network, {})


def test_a_network_with_a_layer_of_its_own(refused):
    trunk = keras_cnns.resnet18(input_shape=(32, 32, 3))
    score = keras.layers.Conv2D(2, 1, name="score")(trunk.get_layer("res5b").output)
    network = keras.Model(trunk.input, score, name="segmenter")
    refused("segmenter is not in torchvision", keras_cnns.load_torchvision, network, {})


def vgg_a(side_by_side):
    """Torchvision's VGG-11 for ten classes, with the maps that the first fully connected layer sees."""
    channels = {0: (64, 3), 3: (128, 64), 6: (256, 128), 8: (256, 256)}
    channels |= {11: (512, 256), 13: (512, 512), 16: (512, 512), 18: (512, 512)}
    arrays = {}
    for position, (filters, inputs) in channels.items():
        arrays[f"features.{position}.weight"] = np.ones((filters, inputs, 3, 3), "float32")
        arrays[f"features.{position}.bias"] = np.ones(filters, "float32")
    arrays["classifier.0.weight"] = np.ones((4096, 512 * side_by_side), "float32")
    arrays["classifier.3.weight"] = np.ones((4096, 4096), "float32")
    arrays["classifier.6.weight"] = np.ones((10, 4096), "float32")
    return arrays | {f"classifier.{i}.bias": np.ones(size, "float32") for i, size in ((0, 4096), (3, 4096), (6, 10))}


def test_pixels_before_a_fully_connected_layer_are_reordered():
    arrays = vgg_a(2 * 3)
    arrays["classifier.0.weight"][1] = np.arange(512 * 6)  # (512, 2, 3): channel, row, column
    model = keras_cnns.vgg11((64, 96, 3), classes=10)
    keras_cnns.load_torchvision(model, arrays)
    kernel = model.get_layer("fc6").get_weights()[0][:, 1].reshape(2, 3, 512)
    assert kernel[1, 2, 500] == 500 * 6 + 1 * 3 + 2
    assert kernel[0, 1, 3] == 3 * 6 + 1


def test_configuration_A_with_normalisation_is_not_torchvisions(refused):
    network = keras_cnns.vgg("A-LRN", (32, 32, 3), classes=10)
    refused("it has no features.4.weight for conv2_1", keras_cnns.load_torchvision, network, vgg_a(1))


def test_an_input_whose_maps_are_not_7x7(refused):
    network = keras_cnns.vgg11((32, 32, 3), classes=10)
    shapes = r"fc6's kernel is \(512, 4096\), classifier.0.weight \(25088, 4096\)"
    refused(shapes, keras_cnns.load_torchvision, network, vgg_a(7 * 7))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ResNet50", {"classes": 7}, r"fc1000's kernel is \(2048, 10\), predictions.kernel \(2048, 7\)"),
        ("ResNet50", {"include_top": False}, "it has no predictions.kernel for fc1000"),
        ("ResNet50V2", {}, "resnet50v2 does not fit resnet50, and nothing was loaded"),
        pytest.param("DenseNet121", {}, "densenet121 does not fit resnet50", marks=pytest.mark.slow),
    ],
)
def test_a_source_that_does_not_fit(name, arguments, message, resnet50, refused):
    refused(message, keras_cnns.load_keras_applications, resnet50, applications(name, **arguments))


def test_a_source_that_is_no_model(model, refused):
    refused("source is a dict; it must be a model", keras_cnns.load_keras_applications, model, {})
    refused("resnet_cifar8 is not in keras.applications", keras_cnns.load_keras_applications, model, model)


@pytest.mark.slow
def test_strides_in_the_other_convolution(refused):
    network = keras_cnns.resnet50(stride_in="3x3", input_shape=(32, 32, 3), classes=10)
    message = r"res3a_branch2a strides by \(1, 1\), conv3_block1_1_conv by \(2, 2\): .*stride_in=\"1x1\""
    refused(message, keras_cnns.load_keras_applications, network, applications("ResNet50"))


def test_strides_of_torchvision(resnet50, refused):
    models = pytest.importorskip("torchvision").models
    state = models.resnet50(num_classes=10).state_dict()
    refused('build it with stride_in="3x3"', keras_cnns.load_torchvision, resnet50, state)


@pytest.mark.parametrize("name", ["resnet34", "vgg11_bn", "googlenet", "alexnet", "densenet121"])
def test_another_network_of_torchvision(name, refused):
    models = pytest.importorskip("torchvision").models
    options = {"init_weights": False} if name == "googlenet" else {}
    network = keras_cnns.resnet18(input_shape=(32, 32, 3))
    state = getattr(models, name)(**options).state_dict()
    refused("state_dict does not fit resnet18", keras_cnns.load_torchvision, network, state)


def test_names_in_the_published_files_of_densenet():
    torchvision = pytest.importorskip("torchvision")
    state = torchvision.models.densenet121(num_classes=10).state_dict()
    published = {}
    for name, tensor in state.items():  # denselayer1.norm1.weight was norm.1.weight
        for part in ("norm", "conv"):
            for number in "12":
                name = name.replace(f".{part}{number}.", f".{part}.{number}.") if "denselayer" in name else name
        published[name] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in published
    network = keras_cnns.densenet121((32, 32, 3), classes=10)
    keras_cnns.load_torchvision(network, published)
    kernel = state["features.denseblock3.denselayer5.conv2.weight"].numpy()
    ours = network.get_layer("conv4_5_x2").get_weights()[0]
    assert ours[2, 1, 7, 9] == kernel[9, 7, 2, 1]


def test_bfloat16_tensors_that_want_gradients(model):
    torch = pytest.importorskip("torch")
    arrays = {name: torch.tensor(array) for name, array in state_dict().items()}
    arrays["linear.bias"] = torch.nn.Parameter(arrays["linear.bias"].to(torch.bfloat16))
    keras_cnns.load_torchvision(model, arrays)
    assert model.get_layer("fc").get_weights()[1][2] == 2


@pytest.fixture(scope="module")
def with_biases():
    """A ResNet-50 of keras.applications whose convolutions have biases, and small variances."""
    source = applications("ResNet50", classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in source.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    source.get_layer("conv1_bn").moving_mean.assign(np.full(64, 2.0))
    source.get_layer("conv1_bn").moving_variance.assign(np.full(64, 1e-6))
    return source


def test_biases_and_epsilon_are_folded(with_biases, resnet50):
    keras_cnns.load_keras_applications(resnet50, with_biases)
    _, _, mean, variance = resnet50.get_layer("bn_conv1").get_weights()
    np.testing.assert_allclose(mean, 2 - np.array(with_biases.get_layer("conv1_conv").bias.value), rtol=1e-6)
    np.testing.assert_allclose(variance, 1e-6 + 1e-8, rtol=1e-5)  # its epsilon is 1.001e-5, ours 1e-5


def test_folded_biases_make_no_difference_in_training(resnet50):
    source = applications("ResNet50")
    source.get_layer("conv1_conv").bias.assign(np.linspace(-3, 3, 64))
    keras_cnns.load_keras_applications(resnet50, source)
    ours = keras.Model(resnet50.input, resnet50.get_layer("bn_conv1").output)
    theirs = keras.Model(source.input, source.get_layer("conv1_bn").output)
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(ours(images, training=True), theirs(images, training=True), rtol=0, atol=1e-4)


def test_biases_are_refused_if_not_to_be_folded(with_biases, resnet50, refused):
    message = "conv1_conv.bias is not zero and conv1 has no bias; fold_biases=True"
    refused(message, keras_cnns.load_keras_applications, resnet50, with_biases, fold_biases=False)
    fresh = applications("ResNet50")  # its biases start from zero
    keras_cnns.load_keras_applications(resnet50, fresh, fold_biases=False)
    kernel = np.array(fresh.get_layer("predictions").kernel.value)
    np.testing.assert_array_equal(resnet50.get_layer("fc1000").get_weights()[0], kernel)
