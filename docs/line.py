"""The line of networks from 2012 to 2020 as one picture: year, layers with weights, parameters; for README.

    python -m docs.line

Depths are those that the papers name, or the rows with weights of their tables; parameters are the builders'.
"""

from pathlib import Path

from matplotlib.figure import Figure

PICTURE = Path(__file__).parent / "line.png"
YEARS = range(2012, 2021)
CAPTION = (
    "layers with weights, one after another (of Mask R-CNN, MoCo and SimCLR their ResNet's); "
    "millions of parameters, which are a circle's area"
)
# Year, name, layers with weights one after another, parameters, the paper's table; a lane for each use.
LANES = {
    "classification": [
        (2012, "AlexNet", 8, 60_965_224, "alexnet"),
        (2013, "ZFNet", 8, 62_357_608, "zfnet"),
        (2013, "OverFeat", 9, 144_656_488, "overfeat_accurate"),
        (2014, "VGG-19", 19, 143_667_240, "vgg_E"),
        (2014, "GoogLeNet", 22, 13_378_280, "googlenet"),
        (2015, "ResNet-152", 152, 60_192_808, "resnet152_B"),
        (2016, "DenseNet-264", 264, 33_337_704, "densenet264"),
    ],
    "detection": [
        (2014, "R-CNN", 8, 56_954_261, "rcnn_alexnet"),
        (2014, "SPPNet", 8, 77_037_672, "sppnet"),
        (2015, "Fast R-CNN", 16, 134_690_729, "fast_rcnn"),
        (2015, "Faster R-CNN", 16, 137_078_239, "faster_rcnn"),
        (2016, "YOLO", 26, 271_703_550, "yolo"),
        (2017, "Mask R-CNN", 50, 44_400_436, "mask_rcnn"),
    ],
    "segmentation": [
        (2015, "FCN-8s", 16, 134_489_759, "fcn8s"),
        (2015, "DeconvNet", 30, 251_805_653, "deconvnet"),
        (2015, "SegNet", 26, 29_449_355, "segnet"),
    ],
    "generation": [
        (2014, "GAN", 3, 2_503_984, "gan_generator"),
        (2016, "DCGAN", 5, 18_855_040, "dcgan_generator"),
    ],
    "without labels": [
        (2016, "Jigsaw, a tile", 6, 4_694_400, None),
        (2016, "Colorization", 23, 32_230_393, None),
        (2018, "RotNet", 13, 1_411_140, None),
        (2020, "MoCo", 50, 23_770_304, None),
        (2020, "SimCLR", 50, 27_964_480, None),
    ],
}


def draw(path):
    """One lane a use, one column a year; a circle's area is the number of parameters."""
    heights = [max(sum(row[0] == year for row in lane) for year in YEARS) for lane in LANES.values()]
    figure = Figure(figsize=(15, 0.46 * sum(heights) + 0.9), layout="constrained")
    axes = figure.subplots()
    top = sum(heights)
    for number, ((title, lane), height) in enumerate(zip(LANES.items(), heights, strict=True)):
        colour = f"C{number}"
        axes.axhspan(top - height, top, color=colour, alpha=0.07, linewidth=0)
        axes.text(2010.7, top - height / 2, title, va="center", weight="bold", color=colour, size=11)
        for year in YEARS:
            there = [row for row in lane if row[0] == year]
            for place, (_, name, layers, parameters, _) in enumerate(there):
                y = top - height / 2 + (len(there) - 1) / 2 - place
                axes.scatter(year - 0.36, y, s=2.4 * parameters / 1e6, color=colour, alpha=0.75, linewidth=0)
                words = f"{name}\n{layers} layers, {parameters / 1e6:.3g} M"
                axes.text(year - 0.2, y, words, va="center", size=8.5, linespacing=1.25)
        top -= height
    axes.set(xlim=(2010.65, 2020.65), ylim=(0, sum(heights)), xticks=YEARS, yticks=[])
    axes.tick_params(length=0, labelsize=11)
    axes.xaxis.tick_top()
    axes.set_xlabel(CAPTION, size=9)
    axes.xaxis.set_label_position("bottom")
    for side in axes.spines.values():
        side.set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(PICTURE)
    print(PICTURE.name)
