"""A picture has every layer once, repeats folded and counted, and nothing on top of anything else."""

import itertools
import re
from xml.etree import ElementTree

import keras
import pytest
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

import keras_cnns
from keras_cnns.__main__ import main
from keras_cnns.inspection import diagram


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def check_readable(figure):
    """No text leaves the picture, touches another text or is crossed by a line; the picture fits a slide."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer).padded(-1) for text in figure.axes[0].texts]
    for box in boxes:
        assert figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0 and box.y1 < figure.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for line in figure.axes[0].lines:
        points = line.get_transform().transform(line.get_xydata())
        for (x1, y1), (x2, y2) in itertools.pairwise(points):  # all lines are vertical or horizontal
            for box in boxes:
                crosses = (
                    min(x1, x2) < box.x1 and max(x1, x2) > box.x0 and min(y1, y2) < box.y1 and max(y1, y2) > box.y0
                )
                assert not crosses
    width, height = figure.get_size_inches()
    assert width <= 17 and height <= 17 * 3 / 4  # text of 7.5 points is 5.9 on a slide 13.3 inches wide


@pytest.mark.slow
def test_alexnet():
    figure = diagram(keras_cnns.alexnet())
    check_readable(figure)
    found = words(figure)
    assert found[0] == "alexnet"
    assert found[1] == "60,965,224 parameters · 724 million multiply-adds · 5 convolutions · 3 fully connected layers"
    for word in (
        "image",
        "227×227×3",
        "conv1",
        "11×11 conv, 96, /4",
        "55×55×96",
        "5×5 conv, 256, 2 groups",
        "13×13×384",
    ):
        assert word in found
    assert found.count("3×3 max pool, /2") == 3
    assert "fc6 … fc7" in found and found.count("×2") == 1  # both 4096 wide
    assert {"local response normalisation", "dropout", "max pooling"} <= set(found)
    assert "batch normalisation" not in found


@pytest.mark.slow
def test_residual_blocks_are_folded():
    """Section 4.2: 2n layers a stage; the first block of stages 2 and 3 halves the maps and stands alone."""
    figure = diagram(keras_cnns.resnet_cifar(110))
    check_readable(figure)
    found = words(figure)
    assert [word for word in found if re.fullmatch("×[0-9]+", word)] == ["×18", "×17", "×17"]
    assert "s1_b1 … s1_b18" in " ".join(found)
    assert found.count("identity") == 3 and found.count("identity, /2") == 2 and found.count("+") == 5
    assert found.count("3×3, 16") == 2 and found.count("3×3, 32, /2") == 1 and found.count("3×3, 32") == 3


@pytest.mark.slow
@pytest.mark.usefixtures("without_values")
def test_a_network_deeper_than_pythons_stack():
    figure = diagram(keras_cnns.resnet_cifar(302))
    assert "×50" in words(figure)


@pytest.mark.slow
@pytest.mark.usefixtures("without_values")
def test_imagenet_networks():
    """Folded numbers from Table 1 of both papers: 3, 8, 36, 3 bottlenecks; 6, 12, 64, 48 dense layers."""
    expected = {
        "resnet152": ["×2", "×7", "×35", "×2"],
        "densenet264": ["×6", "×12", "×64", "×48"],
        "vgg16": ["×2", "×2", "×3", "×3", "×3", "×2"],
        "googlenet": [],
    }
    for name, numbers in expected.items():
        figure = diagram(getattr(keras_cnns, name)())
        check_readable(figure)
        found = words(figure)
        assert [word for word in found if re.fullmatch("×[0-9]+", word)] == numbers
        if name == "resnet152":
            assert "res4b1 … res4b35" in found and found.count("1×1, 2048, /2") == 1
        if name == "densenet264":
            assert "7×7×2688" in found and found.count("1×1, 128") == 4
        if name == "googlenet":
            assert found.count("concat") == 9 and {"inception_3a", "inception_5b", "5×5, 48"} <= set(found)
            assert {"to loss1_classifier", "to loss2_classifier"} <= set(found)


def test_pairs_that_alternate_are_folded():
    image = x = keras.Input((16, 16, 3), name="image")
    for i in range(4):
        x = layers.Conv2D(8, 1, name=f"a{i}")(x)
        x = layers.Conv2D(16, 3, padding="same", name=f"b{i}")(x)
    figure = diagram(keras.Model(image, x, name="alternating"))
    check_readable(figure)
    found = words(figure)
    assert "a0 … b3" in found and "×4" in found
    assert found.count("1×1 conv, 8") == 1 and found.count("3×3 conv, 16") == 1


def test_branches_stand_side_by_side_and_normalisation_on_its_layer():
    image = keras.Input((16, 16, 3), name="image")
    left = layers.BatchNormalization(name="m_bn")(layers.Conv2D(4, 1, name="m_left")(image))
    right = layers.Conv2D(6, (3, 5), (1, 1), "same", name="m_right")(image)
    x = layers.Concatenate(name="join")([left, right, image])
    figure = diagram(keras.Model(image, x, name="branches"))
    check_readable(figure)
    found = words(figure)
    assert {"m", "1×1, 4", "3×5, 6", "identity", "concat", "16×16×13"} <= set(found)
    assert not {"m_bn", "bn"} & set(found) and "batch normalisation" in found


@pytest.mark.slow
def test_long_ways_around_are_told_where_they_end():
    """Encoder and decoder: the levels are steps of the main row; what skips them is named at the other end."""
    image = x = keras.Input((64, 64, 3), name="image")
    skipped = []
    for level in range(3):
        for part in "abcd":
            x = layers.Conv2D(8 << level, 3, padding="same", name=f"down{level}{part}")(x)
        skipped.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    for level in reversed(range(3)):
        x = layers.Conv2DTranspose(8 << level, 2, 2, name=f"up{level}")(x)
        x = layers.Add(name=f"sum{level}")([x, skipped[level]])
        for part in "abcd":
            x = layers.Conv2D(8 << level, 3, padding="same", name=f"out{level}{part}")(x)
    figure = diagram(keras.Model(image, x, name="hourglass"))
    check_readable(figure)
    found = words(figure)
    assert {"from down0d", "from down1d"} <= set(found)
    assert found.count("×4") == 6


def test_models_without_images_or_of_free_size_and_inside_models():
    latent = keras.Input((10,), name="z")
    x = layers.Reshape((4, 4, 2), name="fold")(layers.Dense(32, name="project")(latent))
    figure = diagram(keras.Model(latent, layers.Conv2DTranspose(3, 5, 2, "same", name="deconv")(x), name="generator"))
    check_readable(figure)
    assert {"z", "fc, 32", "5×5 transposed conv, 3, /2", "8×8×3"} <= set(words(figure))

    trunk = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="c")], name="trunk")
    model = keras.Sequential([keras.Input((None, None, 3), name="image"), trunk, layers.Conv2D(5, 1, name="d")])
    figure = diagram(model)
    check_readable(figure)
    assert {"image", "c", "d", "?×?×5", "1×1 conv, 5"} <= set(words(figure))


@pytest.mark.slow
def test_files(tmp_path):
    model = keras_cnns.resnet_cifar(8)
    diagram(model, tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[1] == 2400
    diagram(model, tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match=r"a\.gif'; it must end in one of \.svg, \.png, \.pdf"):
        diagram(model, tmp_path / "a.gif")
    with pytest.raises(ValueError, match="not a built functional or sequential"):
        diagram(keras.Sequential([layers.Conv2D(1, 3)]))


def test_command_line(tmp_path, capsys):
    file = tmp_path / "network.svg"
    assert main(["diagram", "resnet_cifar", "depth=8", "--out", str(file)]) == 0
    assert file.read_text().startswith("<?xml") and str(file) in capsys.readouterr().out
    assert main(["diagram", "resnet_cifar", "depth=8", "--out", "network.bmp"]) == 2
    assert "must end in one of" in capsys.readouterr().err
