"""What is measured: the networks, the rows, and the aims they are held to."""

from typing import NamedTuple


class Network(NamedTuple):
    """One of our networks and the same network of the peers, where they have it."""

    builder: str  # of keras_cnns
    arguments: dict
    keras: str | None  # of keras.applications; "clone": our graph with Keras's own batch normalisation
    torchvision: str | None
    side: int = 224
    torchvision_side: int = 224
    batch_normalization: bool = False
    note: str = ""


OF_PYTORCH = "torchvision has none: that network written in PyTorch (benchmarks/torch_networks.py)"
MAPS = (180, 240, 64)  # that max-unpooling is measured on

NETWORKS = {
    "alexnet": Network(
        "alexnet",
        {},
        None,
        "alexnet",
        side=227,
        note="torchvision's is another network: one tower, narrower, no response normalisation, 224 px",
    ),
    "vgg16": Network("vgg16", {}, "VGG16", "vgg16", note="keras.applications' has no dropout"),
    "googlenet": Network(
        "googlenet",
        {},
        None,
        "googlenet",
        note="torchvision's has batch normalisation, no response normalisation, and 3x3 where the paper has 5x5",
    ),
    # The peers differ in where a stage's first block strides, which is 6 % of the arithmetic.
    "resnet50": Network("resnet50", {}, "ResNet50", None, batch_normalization=True, note="stride in the 1x1"),
    "resnet50-3x3": Network(
        "resnet50", {"stride_in": "3x3"}, None, "resnet50", batch_normalization=True, note="stride in the 3x3"
    ),
    "densenet121": Network("densenet121", {}, "DenseNet121", "densenet121", batch_normalization=True),
    "resnet20": Network(
        "resnet_cifar",
        {"depth": 20},
        "clone",
        None,
        side=32,
        batch_normalization=True,
        note="neither peer has it: our graph with keras.layers.BatchNormalization",
    ),
    "segnet-basic": Network("segnet_basic", {"input_shape": (224, 224, 3)}, None, "segnet_basic", note=OF_PYTORCH),
    "fcn8s": Network("fcn8s", {"input_shape": (224, 224, 3)}, None, "fcn8s", note=OF_PYTORCH),
    "max-unpooling": Network(
        "",  # layers alone
        {},
        None,
        "max_unpool2d",
        note="MaxPoolingWithIndices, MaxUnpooling and the gradients of both, on maps of 180x240x64, beside max_pool2d "
        "and max_unpool2d of PyTorch, channels last or first, whichever is faster",
    ),
}
TRAINED_ALONE = {"resnet20": 128, "segnet-basic": 4, "fcn8s": 1, "max-unpooling": 4}  # with their batches

PRECISIONS = ("float32", "bfloat16")


class Row(NamedTuple):
    network: str
    mode: str  # training, inference
    batch: int
    precision: str

    @property
    def key(self):
        return f"{self.network} {self.mode} {self.batch} {self.precision}"


FULL = [
    Row(network, mode, batch, precision)
    for mode, batch in (("training", 16), ("inference", 16), ("inference", 1))
    for network in NETWORKS
    if network not in TRAINED_ALONE
    for precision in PRECISIONS
]
FULL[12:12] = [
    Row(network, "training", batch, precision) for network, batch in TRAINED_ALONE.items() for precision in PRECISIONS
]


def in_short(row):
    """Whether `make bench` has it: all trainings, and of inference what has an aim at batch 16, or says what batch 1
    costs."""
    if row.mode == "training":
        return True
    return row.network in ("resnet50-3x3", "densenet121") if row.batch == 16 else row.network == "resnet50-3x3"


def aim(row, peer):
    """The least ratio ours / peer asked for, or None."""
    network, low = NETWORKS[row.network], row.precision == "bfloat16"
    if row.mode == "training":
        if peer == "torchvision":
            return 1.0
        return (2.0 if low else 1.4) if network.batch_normalization else 1.0
    if peer == "torchvision" and network.batch_normalization:
        return 1.5 if low else 1.2
    return None


INPUT_AIMS = {"cifar": 7.0, "jpeg": 1.4}
