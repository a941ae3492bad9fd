"""Figures, the images they are made of, and the page: on a network that names the strongest of red, green and blue."""

import gc
import json
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from keras_cnns.inspection import figure_parts, figures
from keras_cnns.inspection import subject as subject_module
from keras_cnns.inspection.figure_parts import boxes, chosen_examples, majority
from keras_cnns.inspection.subject import Subject, find_images
from keras_cnns.inspection.tiles import crossed, framed, mosaic, save, signed, write_page
from keras_cnns.inspection.visualize import checkpoints_of, visualize
from keras_cnns.layers import Preprocessing
from keras_cnns.training import Checkpoints

COLOURS = {"red": (250, 20, 40), "green": (30, 240, 10), "blue": (0, 60, 255)}


def colour_network():
    """Filters: red, green, blue, and one that is always shut; each then summed over 3x3 pixels."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 1, activation="relu", name="conv1")(image)
    x = layers.Conv2D(4, 3, activation="relu", name="conv2")(layers.MaxPooling2D(2, name="pool1")(x))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, layers.Dense(3, name="fc")(x), name="colours")
    first, second = np.eye(3, 4).reshape(1, 1, 3, 4), np.zeros((3, 3, 4, 4))
    second[:, :, range(4), range(4)] = 1 / 9
    for name, kernel, bias in (("conv1", first, [0, 0, 0, -9]), ("conv2", second, 0), ("fc", 5 * np.eye(4, 3), 0)):
        layer = model.get_layer(name)
        layer.set_weights([kernel, np.zeros(layer.bias.shape) + bias])
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with three checkpoints: the weights times 1, 2 and 3."""
    folder = tmp_path_factory.mktemp("run")
    model = colour_network()
    model.compile(keras.optimizers.SGD(), "mse")
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(folder / "checkpoints", model, keep=9)
    weights = model.get_weights()
    for times in (1, 2, 3):
        model.set_weights([times * weight for weight in weights])
        checkpoints.save(10 * times, None)
    model.set_weights(weights)
    model.save(folder / "model.keras")
    preprocessing = keras.saving.serialize_keras_object(Preprocessing(16, mean=(20.0, 30.0, 40.0), scale=1 / 255))
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    epochs = [{"step": 10, "epoch": 1}, {"step": 30, "epoch": 2}]
    (folder / "record.json").write_text(json.dumps({"data": {"labels": list(COLOURS)}, "epochs": epochs}))
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Pictures of different sizes in folders by colour, each with a square that is stronger than the rest."""
    folder = tmp_path_factory.mktemp("photographs")
    for label, (name, colour) in enumerate(COLOURS.items()):
        (folder / "test" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng(10 * label + number).integers(0, 60, (20 + number, 16, 3))
            pixels[4:9, 3:8] = np.array(colour) - 40 * number
            Image.fromarray(np.clip(pixels, 0, 255).astype("uint8")).save(folder / "test" / name / f"{number}.png")
    (folder / "train").mkdir()
    return folder


@pytest.fixture(scope="module")
def subject(photographs):
    preprocessing = Preprocessing(16, mean=(20.0, 30.0, 40.0), scale=1 / 255)
    return Subject(colour_network(), preprocessing, ["red", "green", "blue"], find_images(photographs, 3))


@pytest.mark.slow
def test_all_figures_and_the_page(run, photographs, tmp_path, capsys):
    written = visualize(run, photographs, out=tmp_path / "out", against=run)
    names = ["fig2_conv2.png", "fig4_conv2.png", "fig5.png", "fig6.png", "fig7_conv2.png", "pixels_conv2.png"]
    names.append("maps_conv2.png")
    assert [file.name for file in written] == [*names, "index.html"]
    page = written[-1].read_text()
    for file in written[:-1]:
        with Image.open(file) as picture:
            assert min(picture.size) > 150 and len(set(picture.convert("L").getdata())) > 3
            assert picture.text["Description"].startswith(("Fig. ", "colours"))
        assert f'src="{file.name}"' in page and file.stat().st_size < 500_000
    assert "class activation map" in page
    # Alone it replaces its picture, and the page keeps the others.
    (tmp_path / "out" / "fig6.png").unlink()
    again = visualize(run, photographs, "conv1", ["6"], tmp_path / "out")
    assert [file.name for file in again] == ["fig6.png", "index.html"] and "fig2_conv2.png" in again[-1].read_text()


@pytest.mark.slow
def test_a_layer_without_maps_has_fewer_figures(run, photographs, tmp_path):
    assert visualize(run, photographs, "mean", ["2"], tmp_path)[0].name == "fig2_mean.png"
    with pytest.raises(ValueError, match="layer 'mean' has no maps; figures 7, pixels, maps need"):
        visualize(run, photographs, "mean", ["7"], tmp_path)


@pytest.mark.slow
def test_what_cannot_be_drawn_is_said(run, photographs, tmp_path):
    model = str(run / "alone.keras")
    colour_network().save(tmp_path / "alone.keras")
    for arguments, message in (
        ((run, photographs, "conv3"), "colours has no layer 'conv3'; the nearest are conv[12], conv[12], fc"),
        ((run, photographs / "nothing"), "nothing is no folder of images"),
        ((run, photographs / "train"), "train has no images; the endings are .jpg"),
        ((model, photographs), "is neither a .keras file nor a run's folder"),
        ((tmp_path / "alone.keras", photographs, None, ["4"]), "has no checkpoints; Fig. 4 is made from a run's"),
        ((run, photographs, None, ["8"]), "figure is '8'; it must be one of '2', '4'"),
        ((run, photographs, None, ["2"], tmp_path, [4]), "there is no feature 4; the layer has 0 to 3"),
        ((run, photographs, "conv1", ["2"], tmp_path, [-1]), "there is no feature -1"),
    ):
        with pytest.raises(ValueError, match=message):
            visualize(*arguments)
    deep = keras.Sequential([keras.Input((8, 8, 5)), layers.Conv2D(2, 3)])
    deep.save(tmp_path / "deep.keras")
    with pytest.raises(ValueError, match="takes 5 channels; only grey or RGB"):
        visualize(tmp_path / "deep.keras", photographs)
    free = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)])
    free.save(tmp_path / "free.keras")
    with pytest.raises(ValueError, match="takes images of any size"):
        visualize(tmp_path / "free.keras", photographs)


# Images.


@pytest.mark.slow
def test_images_of_every_mode_come_as_they_are_and_damaged_ones_are_named(tmp_path, capsys):
    grey = np.arange(0, 256, dtype="uint8").reshape(16, 16)
    colour = np.stack([grey, 255 - grey, grey.T], axis=-1)
    pictures = {
        "0_grey.png": (Image.fromarray(grey), np.stack([grey] * 3, -1)),
        "1_rgba.png": (Image.fromarray(np.dstack([colour, grey])), colour),
        "2_16_bit.png": (Image.fromarray(grey.astype("uint16") * 257), np.stack([grey] * 3, -1)),
        "3_palette.png": (Image.fromarray(colour // 100 * 100).quantize(64), colour // 100 * 100),
        "4_grey_alpha.png": (Image.fromarray(np.dstack([grey, grey])), np.stack([grey] * 3, -1)),
        "5_one_bit.png": (Image.fromarray(grey > 100), np.stack([(grey > 100) * 255] * 3, -1)),
        "6_bitmap.bmp": (Image.fromarray(colour), colour),
        "6_grey.bmp": (Image.fromarray(grey), np.stack([grey] * 3, -1)),
        "6_with_table.bmp": (Image.fromarray(colour // 100 * 100).quantize(64), colour // 100 * 100),
    }
    for name, (picture, _) in pictures.items():
        picture.save(tmp_path / name)
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype("uint8"))
    large.save(tmp_path / "7_whole.jpg")
    large.save(tmp_path / "7_whole.png")
    large.convert("CMYK").save(tmp_path / "7_of_four_inks.jpg")
    (tmp_path / "8_truncated.jpg").write_bytes((tmp_path / "7_whole.jpg").read_bytes()[:2000])
    (tmp_path / "9_truncated.png").write_bytes((tmp_path / "7_whole.png").read_bytes()[:800])
    Image.fromarray(grey > 100).save(tmp_path / "9_one_bit.bmp")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / ".hidden.png").write_text("none")
    images = find_images(tmp_path, 3)
    subject = Subject(colour_network(), Preprocessing(16), None, images)
    pixels = np.concatenate([batch for batch, _ in subject.batches("test")])
    assert pixels.shape == (12, 16, 16, 3) and (len(subject.images), subject.count) == (15, 12)
    for ours, (name, (_, expected)) in zip(pixels, pictures.items(), strict=False):
        np.testing.assert_array_equal(ours, expected, name)
    printed = capsys.readouterr()
    assert f"left out of {tmp_path}: notes.txt; their endings are not .jpg, " in printed.out
    for name in ("8_truncated.jpg", "9_truncated.png", "9_one_bit.bmp"):
        assert f"{tmp_path / name} cannot be decoded" in printed.err
    picked = subject.pick([6, 2])
    np.testing.assert_array_equal(picked[6][0], colour)
    assert set(picked) == {6, 2} and picked[2][1] == -1
    assert "over 12 images" in figures.strongest_patches(subject, "conv2")[1]
    for number in range(12):
        (tmp_path / f"{number:02}.csv").touch()
    find_images(tmp_path, 3)
    assert "00.csv, 01.csv, 02.csv, 03.csv, 04.csv, 05.csv, 06.csv, 07.csv, 08.csv, 09.csv, 3 more" in (
        capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_folders_labels_are_those_of_the_network_by_name(subject, photographs):
    # Files in order: blue, green, red.
    labels = np.concatenate([labels for _, labels in subject.batches("test")])
    assert labels.tolist() == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    flat = Subject(colour_network(), Preprocessing(16), ["red", "other", "blue"], find_images(photographs, 3))
    assert np.concatenate([labels for _, labels in flat.batches("test")]).tolist() == [2] * 3 + [-1] * 3 + [0] * 3


def test_digits_and_grey_networks(tmp_path):
    image = keras.Input((32, 32, 1))
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(layers.Conv2D(2, 3)(layers.Conv2D(2, 3)(image)))))
    model.save(tmp_path / "grey.keras")
    written = visualize(tmp_path / "grey.keras", "digits", None, ["2"], tmp_path / "out", features=[0])
    assert "1,000 images" in Image.open(written[0]).text["Description"]
    subject = Subject(model, None, None, find_images("digits", 1))
    assert subject.labels == list("0123456789") and subject.images.arrays is not None


# Figures.


@pytest.mark.slow
def test_examples_are_named_right_with_the_probability_wanted(subject, monkeypatch):
    """The square is darker in the second and third picture of each colour; examples come by class: red, green, blue."""
    monkeypatch.setattr(figure_parts, "SURE", 1.0)
    assert [each[1:] for each in chosen_examples(subject, 3)] == [(0, 6), (1, 3), (2, 0)]
    assert [label for _, label, _ in chosen_examples(subject, 2)] == [0, 2]
    monkeypatch.setattr(figure_parts, "SURE", 0.0)
    assert [each[1:] for each in chosen_examples(subject, 3)] == [(0, 8), (1, 5), (2, 2)]


@pytest.mark.slow
def test_dead_filters_and_features_are_told(subject):
    _, caption = figures.filters(subject)
    assert "conv1: 1x1/1: 1 of 4 dead" in caption
    _, caption = figures.strongest_patches(subject, "conv2")
    assert "3 of 4 features" in caption and "1 of its 4 features are active nowhere" in caption


@pytest.mark.slow
def test_a_filter_that_something_else_may_make_active_is_not_called_dead(subject):
    """Its convolution is never above zero, but batch normalisation follows."""
    model = keras.Sequential(
        [
            *(keras.Input((16, 16, 3)), layers.Conv2D(2, 1, name="conv1"), layers.BatchNormalization(), layers.ReLU()),
            layers.Conv2D(2, 3, activation="relu", bias_initializer=keras.initializers.Constant(-1e6), name="conv2"),
            *(layers.GlobalAveragePooling2D(), layers.Dense(3)),
        ]
    )
    model.get_layer("conv1").set_weights([-np.ones((1, 1, 3, 2)), np.full(2, -500.0)])
    looked_at = Subject(model, None, None, subject.images)
    with pytest.raises(ValueError, match="none of conv2's features is active"):
        figures.filters(looked_at)
    model.get_layer("conv2").set_weights([np.zeros((3, 3, 2, 2)), np.ones(2)])
    assert "0 of 2 dead" in figures.filters(looked_at)[1]


@pytest.mark.slow
def test_a_unit_that_is_not_active_has_no_patch_and_no_class(subject):
    figure, _ = figures.strongest_patches(subject, "conv2", [3])  # the dead one
    assert figure.axes[0].get_title() == "feature 3"


@pytest.mark.slow
@pytest.mark.parametrize("side", [8, 13])
def test_small_images_are_moved_by_fewer_amounts(side, subject):
    model = keras.Sequential(
        [
            *(keras.Input((side, side, 3)), layers.Conv2D(2, 3), layers.Conv2D(2, 3)),
            *(layers.GlobalAveragePooling2D(), layers.Dense(3, name="fc")),
        ]
    )
    model.get_layer("fc").set_weights([np.zeros((2, 3)), np.array([9.0, 0.0, 0.0])])  # red in any case
    figure, _ = figures.invariances(Subject(model, None, None, subject.images))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][1] == "0"


@pytest.mark.slow
def test_what_cannot_be_drawn_leaves_the_rest_and_the_page(photographs, tmp_path, capsys):
    one = keras.Sequential(
        [
            *(keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="c", kernel_initializer="ones")),
            *(layers.GlobalAveragePooling2D(), layers.Dense(3, name="fc")),
        ]
    )
    one.get_layer("fc").set_weights([np.zeros((2, 3)), np.array([9.0, 0.0, 0.0])])
    one.save(tmp_path / "one.keras")
    written = visualize(tmp_path / "one.keras", photographs, out=tmp_path / "out")
    assert {"fig2_c.png", "maps_c.png", "index.html"} <= {file.name for file in written}
    assert "left out: fig6: " in capsys.readouterr().out
    with pytest.raises(ValueError, match="has 1 convolutions"):
        visualize(tmp_path / "one.keras", photographs, None, ["2", "6"], tmp_path / "asked")
    assert "fig2_c.png" in (tmp_path / "asked/index.html").read_text()


def test_the_classes_of_the_strongest_are_told(subject):
    figure, caption = figures.strongest_patches(subject, "conv2", [2, 0])
    assert [axes.get_title()[:10] for axes in figure.axes[:2]] == ["feature 2:", "feature 0:"]
    assert "over 9 images" in caption
    assert majority(subject, [1, 2, 2, -1]) == ": blue, 2 of 4"
    assert majority(subject, [-1, -1]) == ""


def test_patches_are_cut_where_the_unit_looks(subject):
    """conv2: 3x3 on every second pixel's maximum of 2x2: 6 pixels from 2i on, 6 units a side."""
    assert boxes(subject, "conv2", [(0, 5), (2, 1)]) == [(0, 10, 6, 6), (4, 2, 6, 6)]
    assert boxes(subject, "conv1", [(3, 4)]) == [(3, 4, 1, 1)]
    assert boxes(subject, "mean", [(0, 0)]) == [(0, 0, 16, 16)]
    padded = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 5, 2, "same", name="conv")])
    wide = Subject(padded, None, None, subject.images)
    # 5x5/2 on 16 pixels: padded by one pixel before and two after; unit 7 begins at 13, moved in to 11.
    assert boxes(wide, "conv", [(0, 0), (0, 1), (0, 7)]) == [(0, 0, 5, 5), (0, 1, 5, 5), (0, 11, 5, 5)]
    larger = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(2, 15, 1, "same"), layers.Conv2D(2, 5, name="conv")]
    )
    assert boxes(Subject(larger, None, None, subject.images), "conv", [(3, 9)]) == [(0, 0, 16, 16)]
    folded = keras.Sequential([keras.Input((16, 16, 3)), layers.Reshape((8, 32, 3)), layers.Conv2D(2, 3, name="conv")])
    assert boxes(Subject(folded, None, None, subject.images), "conv", [(1, 1)]) == [(0, 0, 16, 16)]


def test_checkpoints_are_the_weights_they_were(run):
    model = keras.models.load_model(run / "model.keras")
    found = checkpoints_of(run, model)
    assert [words for words, _ in found] == ["epoch 1", "step 20", "epoch 2"]
    for times, (_, read) in zip((1, 2, 3), found, strict=True):
        for value, variable in zip(read(), model.variables, strict=True):
            np.testing.assert_allclose(value, times * np.asarray(variable))
    with pytest.raises(ValueError, match="step-10 holds another network than other"):
        checkpoints_of(run, keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="other"))


@pytest.mark.slow
def test_the_evolution_leaves_the_network_as_it_was(subject, run):
    before = subject.model.get_weights()
    figure, caption = figures.evolution(subject, "conv2", checkpoints_of(run, subject.model), count=2)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["epoch 1", "step 20", "epoch 2"]
    assert "so of 0, 0 % of the active features" in caption
    for old, new in zip(before, subject.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_one_checkpoint_at_a_time_is_in_memory(subject):
    alive = weakref.WeakSet()

    class Values(list):
        """A list that can be watched."""

        __hash__ = object.__hash__

    def read():
        gc.collect()
        assert not alive
        values = Values(subject.model.get_weights())
        alive.add(values)
        return values

    figures.evolution(subject, "conv2", [("first", read), ("second", read), ("third", read)], count=1)


@pytest.mark.slow
def test_the_images_are_read_once_for_all_examples(subject, monkeypatch):
    read, batches = [], Subject.batches
    monkeypatch.setattr(Subject, "batches", lambda self, what: read.append(what) or batches(self, what))
    figures.occlusions(subject, "conv2", count=3)
    assert read == ["examples", "colours, conv2", "the chosen images"]


def test_no_more_images_are_read_than_it_takes(subject, monkeypatch):
    monkeypatch.setattr(subject_module, "PIXELS_AT_ONCE", 2 * 16 * 16)  # batches of two
    subject, read = Subject(subject.model, subject.preprocessing, subject.labels, subject.images), []
    monkeypatch.setattr(subject.images, "batches", lambda size: (read.append(n) or each for n, each in enumerate(kept)))
    kept = [(np.full((2, 16, 16, 3), n), tf.zeros(2, tf.int64)) for n in range(5)]
    assert subject.pick([3, 0])[3][0].max() == 1 and read == [0, 1]
    assert subject.pick([]) == {} and read == [0, 1]


@pytest.mark.slow
def test_a_decision_is_compared_on_what_there_is(subject):
    _, caption = figures.occlusions(subject, "conv2", count=1)
    assert "it lies between red" in caption
    assert "No class activation maps" not in figures.comparison(subject, "conv2", 1)[1]
    flat = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="c"), layers.Flatten(), layers.Dense(3, name="fc")]
    )
    flat.get_layer("fc").set_weights(
        [np.zeros((392, 3)), np.array([9.0, 0.0, 0.0])]
    )  # by chance it may name none right
    assert "No class activation maps" in figures.comparison(Subject(flat, None, None, subject.images), "c", 1)[1]


# Tiles.


def test_tiles():
    values = np.float32([[[-2], [0]], [[1], [2]]])
    assert signed(values, 2)[..., 0].tolist() == [[0, 128], [191, 255]]
    assert signed(0 * values)[..., 2].tolist() == [[128, 128], [128, 128]]
    one, two = np.zeros((2, 2, 3), "uint8"), np.full((2, 2, 3), 7, "uint8")
    expected = [[0, 0, 255, 7, 7], [0, 0, 255, 7, 7], [255] * 5, [7, 7, 255, 255, 255], [7, 7, 255, 255, 255]]
    assert mosaic([one, two, two], 2)[..., 1].tolist() == expected
    assert framed(np.zeros((4, 4, 3), "uint8"), (9, 9, 9), 1)[..., 0].sum() == 12 * 9
    assert crossed(np.zeros((3, 3, 3), "uint8"))[..., 0].tolist() == [[220, 0, 220], [0, 220, 0], [220, 0, 220]]


def test_a_page_shows_pictures_with_captions_alone(tmp_path, subject):
    figure, _ = figures.maps(subject, "conv1")
    save(figure, tmp_path / "b.png", "a < b & “c”")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    write_page(tmp_path, "<title>")
    page = (tmp_path / "index.html").read_text()
    assert "a &lt; b &amp; “c”" in page and "b.png" in page and "a.png" not in page and "<h1>&lt;title&gt;</h1>" in page
