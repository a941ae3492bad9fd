"""Our networks beside other libraries', with the same random weights: the largest difference between their logits.

    python -m tests.parity_table

prints a row a pair, the figures of the README's table; without torch and torchvision, those of keras.applications.
"""

from typing import NamedTuple

import keras
import numpy as np

import keras_cnns

try:
    import torch
    import torchvision
    from torch import nn
    from torch.nn import functional
except ImportError:
    torch = None


class Pair(NamedTuple):
    """One of our builders and what the library calls the same network."""

    builder: str
    arguments: dict
    library: str
    peer: str
    sides: tuple = ((224, 224), (225, 241))  # that both take: two images, one of odd sides

    def __str__(self):
        variant = "_".join(str(value) for value in self.arguments.values())
        return f"{self.library}-{self.builder}{variant and '_'}{variant}"


APPLICATIONS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
}
TORCHVISION = ("vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
TORCHVISION += ("densenet121", "densenet161", "densenet169", "densenet201")
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")
CIFAR = [{"depth": 20}, {"depth": 20, "shortcut": "B"}, {"depth": 56}, {"depth": 110}]

PAIRS = [
    *[Pair(builder, {}, "keras.applications", peer) for builder, peer in APPLICATIONS.items()],
    *[Pair(name, {"stride_in": "3x3"} if name in BOTTLENECKS else {}, "torchvision", name) for name in TORCHVISION],
    *[Pair("resnet_cifar", row, "PyTorch", f"ResNet-{row['depth']}", ((32, 32), (33, 47))) for row in CIFAR],
]


class KerasPeer:
    def __init__(self, pair, sides, classes):
        build = getattr(keras.applications, pair.peer)
        self.model = build(weights=None, input_shape=(*sides, 3), classes=classes, classifier_activation=None)

    def read(self):
        return {variable.path: np.array(variable.value) for variable in self.model.weights}

    def write(self, arrays):
        self.model.set_weights(list(arrays.values()))

    def load_into(self, model):
        keras_cnns.load_keras_applications(model, self.model)

    def __call__(self, images):
        return np.asarray(self.model(images, training=False))


class TorchPeer:
    def __init__(self, pair, sides, classes):
        if pair.library == "torchvision":
            self.module = getattr(torchvision.models, pair.peer)(weights=None, num_classes=classes).eval()
        else:
            self.module = CifarResNet(classes=classes, **pair.arguments).eval()

    def read(self):
        state = self.module.state_dict()
        return {name: tensor.numpy().copy() for name, tensor in state.items() if "num_batches_tracked" not in name}

    def write(self, arrays):
        self.module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)

    def load_into(self, model):
        keras_cnns.load_torchvision(model, self.module.state_dict())

    def __call__(self, images):
        with torch.no_grad():
            return self.module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


if torch:

    class CifarBlock(nn.Module):
        """Two 3x3 convolutions and a way around, in the names that PyTorch's CIFAR networks share."""

        def __init__(self, channels, filters, stride, shortcut):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(filters)
            self.shortcut = nn.Sequential()
            if channels != filters and shortcut == "A":
                self.shortcut = PadChannels((filters - channels) // 2)
            elif channels != filters:
                projection = nn.Conv2d(channels, filters, 1, stride, bias=False)
                self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(filters))

        def forward(self, x):
            y = functional.relu(self.bn1(self.conv1(x)))
            return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    class PadChannels(nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, x):
            return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.number, self.number))

    class CifarResNet(nn.Module):
        def __init__(self, depth, shortcut="A", classes=10):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            for stage, (channels, filters) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
                blocks = [CifarBlock(channels, filters, filters // channels, shortcut)]
                blocks += [CifarBlock(filters, filters, 1, shortcut) for _ in range((depth - 2) // 6 - 1)]
                setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            self.linear = nn.Linear(64, classes)

        def forward(self, x):
            x = functional.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.linear(x.mean(dim=(2, 3)))


def compare(pair, sides, classes=1000):
    """Three logits `(1, classes)`: ours; the peer's, whose random weights ours has; and the peer's with two exchanged.

    The third tells whether the first two could differ: two kernels of the same shape have changed places in it.
    """
    peer = (KerasPeer if pair.library == "keras.applications" else TorchPeer)(pair, sides, classes)
    arrays = randomised(peer.read(), outputs_last=isinstance(peer, KerasPeer))
    peer.write(arrays)
    model = getattr(keras_cnns, pair.builder)(input_shape=(*sides, 3), classes=classes, **pair.arguments)
    peer.load_into(model)
    images = np.random.default_rng(1).standard_normal((1, *sides, 3), "float32")
    ours, theirs = np.asarray(model(images, training=False)), peer(images)
    peer.write(exchanged(arrays))
    return ours, theirs, peer(images)


def randomised(arrays, outputs_last):
    """Random arrays of the same shapes, with which signals neither fade nor grow much over a hundred layers."""
    rng = np.random.default_rng(0)
    random = {}
    for name, array in arrays.items():
        kind = name.replace(".", "/").split("/")[-1]
        if array.ndim > 1:
            fan_in = np.prod(array.shape[:-1] if outputs_last else array.shape[1:])
            gain = 2 if array.ndim == 4 else 1  # less where no normalisation holds VGG's signals
            values = rng.standard_normal(array.shape, "float32") * np.float32(np.sqrt(gain / fan_in))
        elif kind in ("gamma", "weight"):
            values = rng.uniform(0.3, 0.6, array.shape)
        elif kind in ("moving_variance", "running_var"):
            values = rng.uniform(0.5, 1.5, array.shape)
        else:  # biases, beta, means
            values = rng.normal(0, 0.1, array.shape)
        random[name] = values.astype("float32")
    return random


def exchanged(arrays):
    """The arrays with the last two kernels of the same shape exchanged."""
    seen = {}
    for name, array in reversed(arrays.items()):
        if array.ndim == 4 and array.shape in seen:
            other = seen[array.shape]
            return {**arrays, name: arrays[other], other: array}
        seen[array.shape] = name
    raise ValueError("no two kernels have the same shape.")


def main():
    print("| network | peer | largest absolute difference of the logits | largest logit |")
    print("|---|---|---|---|")
    for pair in PAIRS:
        if pair.library != "keras.applications" and torch is None:
            continue
        ours, theirs, _ = zip(*(compare(pair, sides) for sides in pair.sides), strict=True)
        difference = max(abs(a - b).max() for a, b in zip(ours, theirs, strict=True))
        largest = max(abs(logits).max() for logits in theirs)
        arguments = ", ".join(f"{key}={value!r}" for key, value in pair.arguments.items())
        peer = f"{pair.library} {pair.peer}"
        print(f"| `{pair.builder}({arguments})` | {peer} | {difference:.1e} | {largest:.1f} |", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
