"""What PyTorch runs in a benchmark: torchvision's networks, those of `torch_networks`, pooling there and back, and a
matrix product. It imports nothing of TensorFlow."""

import os

import numpy as np
import torch
import torchvision

from benchmarks import torch_networks
from benchmarks.rows import MAPS, NETWORKS
from benchmarks.serving import serve

MEAN = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)


def build(spec):
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    about = {"versions": versions, "threads": torch.get_num_threads()}
    if spec["mode"] == "matmul":
        matrix = torch.rand(spec["side"], spec["side"], dtype=getattr(torch, spec["precision"]))
        return lambda: matrix @ matrix, about
    if spec["network"] == "max-unpooling":
        layout = torch.contiguous_format if spec["candidate"] == "channels first" else torch.channels_last
        height, width, channels = MAPS
        maps = torch.randn(2, spec["batch"], channels, height, width, dtype=getattr(torch, spec["precision"]))
        return torch_networks.there_and_back(*(each.contiguous(memory_format=layout) for each in maps)), about
    name = NETWORKS[spec["network"]].torchvision
    extra = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    build_network = torch_networks.NETWORKS.get(name) or getattr(torchvision.models, name)
    model = build_network(**extra).to(memory_format=torch.channels_last)
    images = torch.from_numpy(np.load(spec["images"]))  # uint8 NHWC: channels last already
    return (training if spec["mode"] == "training" else inference)(model, images, spec), about


def training(model, images, spec):
    images = (images.permute(0, 3, 1, 2).float() - MEAN).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(images)) % 10
    optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9, weight_decay=1e-4, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    low = spec["precision"] == "bfloat16"

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            outputs = model(images)
            if isinstance(outputs, torch.Tensor):
                every_pixel = labels.view(-1, *[1] * (outputs.ndim - 2)).expand(-1, *outputs.shape[2:])
                loss = loss_of(outputs, every_pixel)
            else:  # GoogLeNet's auxiliary heads
                logits, *auxiliary = outputs
                loss = loss_of(logits, labels) + 0.3 * sum(loss_of(each, labels) for each in auxiliary)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference(model, images, spec):
    """uint8 images to probabilities. Candidates: eager (by autocast in bfloat16), converted (the network's own weights
    in bfloat16), compiled (by Inductor, with constants folded; it needs a C++ compiler)."""
    low, candidate = spec["precision"] == "bfloat16", spec["candidate"]
    model.eval()
    if low and candidate != "eager":
        model.to(torch.bfloat16)

    def predict(images):
        x = images.permute(0, 3, 1, 2).float() - MEAN
        if low and candidate != "eager":
            x = x.bfloat16()
        return model(x).float().softmax(1)

    if candidate == "compiled":
        torch._inductor.config.freezing = True
        predict = torch.compile(predict)

    def step():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low and candidate == "eager"):
            return predict(images).numpy()

    return step


if __name__ == "__main__":
    serve(build)
