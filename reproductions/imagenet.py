"""What the scripts on ImageNet share."""

from keras_cnns.data.augmentation import resize_shorter_side, subtract_mean, with_mirror
from keras_cnns.evaluation import at_scales, classification_errors
from keras_cnns.segmentation import convolutionalize
from reproductions.recipe import Claim


def dense_test(images, mean, *scales):
    """A final test by VGG's section 3.2 and ResNet's 3.4: the network as convolutions over each whole image and its
    mirror, brought to each of the scales, the pixels of the shorter side."""
    views = [images.each(resize_shorter_side(scale)).map(subtract_mean(mean), with_mirror) for scale in scales]

    def errors(model):
        with model.distribute_strategy.scope():
            dense = convolutionalize(model)
        return classification_errors(dense, at_scales([each.batches(1) for each in views]))

    return errors


def error_claims(tested, test, figures, id):
    """The claims on top-1 and, where printed, top-5 error of a final test ("" for that after each epoch)."""
    prefix = f"{test}_" if test else ""
    return [
        Claim(f"{tested}, top-{k} error on val, %", f"{prefix}top{k}_error", figure, figure + 0.5, id)
        for k, figure in zip((1, 5), figures, strict=False)
    ]
