"""torchvision's pipelines, for `benchmarks.input`. It imports nothing of TensorFlow."""

import os
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from benchmarks.serving import serve

MEAN = [123.68 / 255, 116.779 / 255, 103.939 / 255]


class Pictures(torch.utils.data.Dataset):
    def __init__(self, spec):
        self.tensors = spec["candidate"].startswith("tensors")
        to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, [1.0, 1.0, 1.0])]
        self.views = 2 if spec["kind"] == "simclr" else 1
        if spec["kind"] in ("cifar", "simclr"):
            self.pictures = np.load(spec["images"])
            crop = [v2.RandomCrop(32, padding=4)]
            if spec["kind"] == "simclr":
                jitter = v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8)
                crop = [v2.RandomResizedCrop(32), jitter, v2.RandomGrayscale(0.2)]
        else:
            self.pictures = sorted(map(str, Path(spec["folder"]).rglob("*.jpg")))
            crop = [v2.Resize(256), v2.CenterCrop(256), v2.RandomCrop(spec["side"])]
            if spec["kind"] == "inception":
                crop = [v2.RandomResizedCrop(224)]
        self.transform = v2.Compose([*crop, v2.RandomHorizontalFlip(), *to_float])

    def __len__(self):
        return 64 * len(self.pictures)  # as long an epoch as real ones: at its end the loader begins anew

    def __getitem__(self, index):
        picture = self.pictures[index % len(self.pictures)]
        if isinstance(picture, str) and self.tensors:
            picture = torchvision.io.decode_jpeg(torchvision.io.read_file(picture), torchvision.io.ImageReadMode.RGB)
        elif isinstance(picture, str):
            with open(picture, "rb") as file:
                picture = Image.open(file).convert("RGB")
        else:
            picture = torch.from_numpy(picture).permute(2, 0, 1) if self.tensors else Image.fromarray(picture)
        views = [self.transform(picture) for _ in range(self.views)]
        return (views[0] if self.views == 1 else torch.stack(views)), index % 10


def build(spec):
    workers = int(spec["candidate"].split(", ")[1].split()[0])  # such as "tensors, 2 workers"
    loader = torch.utils.data.DataLoader(
        Pictures(spec),
        spec["batch"],
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=lambda number: torch.set_num_threads(1),
    )

    def endless():
        while True:
            yield from loader

    batches = endless()
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    return lambda: next(batches), {"versions": versions, "threads": len(os.sched_getaffinity(0))}


if __name__ == "__main__":
    serve(build)
