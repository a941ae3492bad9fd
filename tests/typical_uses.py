"""What users write, for `make lint`: mypy compares it with the types of the public functions. It is never run.

What ends in `# type: ignore` is wrong: if mypy took it for right, it would complain that nothing is ignored there.
"""

from pathlib import Path

import numpy as np

import keras_cnns
from keras_cnns.data import digits, folder_images, voc_boxes
from keras_cnns.detection import detect, selective_search
from keras_cnns.evaluation import frechet_distance, voc_scores
from keras_cnns.export import load_source
from keras_cnns.inspection import diagram, layer_table, project_back, receptive_field
from keras_cnns.layers import LocalResponseNormalization, Preprocessing
from keras_cnns.ops import iou, non_max_suppression
from keras_cnns.segmentation import segment
from keras_cnns.training import SGD, step_decay

photo = np.zeros((48, 64, 3), "uint8")
boxes = np.zeros((1, 4), "float32")


def build() -> None:
    keras_cnns.alexnet(two_towers=False)
    keras_cnns.vgg("A-LRN", input_shape=(64, 64, 3), classes=10)
    keras_cnns.resnet50(input_shape=(None, None, 3))
    keras_cnns.resnet_cifar(20, shortcut="B", name="small")
    keras_cnns.fast_rcnn(classes=3, trunk="alexnet")
    keras_cnns.simclr(keras_cnns.resnet18(), temperature=0.5)
    keras_cnns.vgg16(input_shape=(None, None, 3))  # type: ignore[arg-type]  # dense layers want a size
    keras_cnns.resnet_cifar("20")  # type: ignore[arg-type]
    keras_cnns.alexnet(clases=10)  # type: ignore[call-arg]


def read() -> int:
    images = folder_images(Path("photos"), "train", strict=True)
    objects = voc_boxes("VOC2007", "train", labels=["cell"])
    digits(1)  # type: ignore[arg-type]
    return digits("train").size + images.size + objects.size


def train() -> SGD:
    rate = step_decay(0.1, at=(32_000, 48_000), warm_up=(0.01, 400))
    SGD(rate, momentum="0.9")  # type: ignore[arg-type]
    return SGD(rate, l2=1e-4, undecayed=("bias",))


def use(folder: str) -> list[str]:
    model, preprocessing, labels = load_source(folder)
    (found,) = detect(model, [photo, "photo.jpg"], preprocessing, [selective_search(photo)], score_threshold=0.5)
    scores = voc_scores([found], [{"boxes": boxes, "labels": np.zeros(1), "difficult": np.zeros(1)}], ["cell"])
    segment(model, photo, "none")  # type: ignore[arg-type]
    frechet_distance("a", "b")  # type: ignore[arg-type]
    keras_cnns.export(model, Path("saved"), Preprocessing(64, mean=[123.7, 116.8, 103.9]), labels, force=True)
    keras_cnns.export(model)  # type: ignore[call-arg]
    return [f"{scores['map']:.1f}", *(labels or [])]


def look(folder: str) -> list[int]:
    model, *_ = load_source(folder)
    diagram(model, "network.svg").savefig("network.png")
    print(receptive_field(model, "conv1").length)  # type: ignore[attr-defined]
    project_back(model, "conv1", photo[None], features=3, places=[(0, 0)]).mean()
    return [row.weights for row in layer_table(model)]


def compute() -> None:
    non_max_suppression(boxes, iou(boxes, boxes)[0], iou_threshold=0.5, max_outputs=10)
    LocalResponseNormalization(n=5, alpha=1e-4)(photo)
    LocalResponseNormalization(n="five")  # type: ignore[arg-type]
