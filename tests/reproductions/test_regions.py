"""The stages of R-CNN and of SPPNet with small networks, on a small folder in VOC's layout."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_cnns.detection import window_features
from keras_cnns.layers import SpatialPyramidPooling
from keras_cnns.training import SGD
from reproductions import rcnn_bccd, rcnn_voc, region_figures, regions, sppnet_voc
from reproductions.region_figures import WAYS
from reproductions.regions import Pipeline

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


@pytest.fixture
def folder(tmp_path):
    """Three photos with a red and a blue rectangle each; one test photo, and one that is no image."""
    root = tmp_path / "voc"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    for name, shift in (("a", 0), ("b", 10), ("c", 20), ("t", 5)):
        image = np.full((80, 100, 3), 200, "uint8")
        image[10 : 40 + shift // 2, 10:50] = (200, 30, 30)
        image[55:75, 40 + shift : 90] = (30, 30, 200)
        Image.fromarray(image).save(root / f"JPEGImages/{name}.png")
        objects = OBJECT.format("red", 11, 11, 50, 40 + shift // 2) + OBJECT.format("blue", 41 + shift, 56, 90, 75)
        (root / f"Annotations/{name}.xml").write_text(f"<annotation>{objects}</annotation>")
    (root / "ImageSets/Main/trainval.txt").write_text("a\nb\nc\n")
    (root / "ImageSets/Main/test.txt").write_text("t\n")
    return root


def of_windows(classes, options):
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 5, strides=2, activation="relu", name="conv1")(image)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(16, activation="relu", name="fc7")(x)
    return keras.Model(image, keras.layers.Dense(classes + 1, name="fc8_pascal")(x), name="small"), "random"


def of_photos(classes, options):
    image, windows = keras.Input((None, None, 3)), keras.Input((None, 4), dtype="int32")
    x = keras.layers.Conv2D(4, 21, strides=16, activation="relu", name="conv5")(image)
    x = SpatialPyramidPooling((2, 1), name="spp")(x, windows)
    x = keras.layers.Dense(16, activation="relu", name="fc7")(x)
    return keras.Model([image, windows], keras.layers.Dense(classes + 1, name="fc8_pascal")(x), name="small"), "random"


SMALL = {
    "optimizer": lambda steps: SGD(1e-4),
    "widths": None,
    "claims": regions.ap_claims("B4", "small", dict(zip(WAYS, (54.2, 58.5), strict=True))),
    "steps": 3,
    "batch_size": 8,
    "proposals": 40,
}


def rcnn_small():
    return Pipeline(
        **{**SMALL, "widths": rcnn_voc.widths},
        stages=rcnn_voc.pipeline().stages,
        network=of_windows,
        training=lambda work, model: rcnn_voc.window_training(work, model, context=2),
        features=lambda model: window_features(model, 2),
        pooled=lambda model: rcnn_voc.pooled_alone(model, 2),
        kept=0.6,
        lowest=0.6,
    )


def sppnet_small():
    scales = (80, 160)
    return Pipeline(
        **{**SMALL, "widths": sppnet_voc.widths},
        stages=sppnet_voc.pipeline().stages,
        network=of_photos,
        training=sppnet_voc.pooled_training,
        features=lambda model: sppnet_voc.both_features(model, scales),
        pooled=lambda model: sppnet_voc.pyramid_features(model, scales),
        kept=0.1,
        lowest=0.5,
        difficult=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [rcnn_small, sppnet_small], ids=["rcnn", "sppnet"])
def test_all_stages_and_again_alone(pipeline, folder, tmp_path, capsys):
    out = tmp_path / "run"
    flags = ["--data-dir", str(folder), "--out", str(out)]
    assert regions.main(pipeline, flags) == 0
    record = json.loads((out / "record.json").read_text())
    assert set(record["average_precision"]) == set(WAYS) and record["seconds_by_stage"].keys() == set(regions.STAGES)
    assert {"map", "ap_red", "ap_blue"} == record["average_precision"][WAYS[0]].keys()
    assert all(claim["verdict"] == "not decided (proxy)" for claim in record["claims"])
    assert "data set voc instead of VOC 2007" in record["deviations"]
    assert len(record["finetuning"]) and record["finetuning"][-1]["step"] == 3
    assert {"record.png", "record-examples.png"} <= {file.name for file in out.iterdir()}
    told = capsys.readouterr().out
    assert "features of 16 numbers are" in told and "== stage 7 of 7: test" in told

    # A photo whose features were lost, an SVM that was deleted: these alone are made again, to the same end.
    features = np.load(out / "features/values.npy")
    np.load(out / "features/done.npy", mmap_mode="r+")[1] = 0
    np.load(out / "features/values.npy", mmap_mode="r+")[:] = 0 * features
    np.load(out / "features/done.npy", mmap_mode="r+")[:] = 0
    assert regions.main(pipeline, [*flags, "--stage", "svm"]) == 2
    assert "3 photos have no features yet; the stage features computes them" in capsys.readouterr().err
    before = (out / "network.keras").stat().st_mtime_ns
    assert regions.main(pipeline, [*flags, "--stage", "features"]) == 0
    np.testing.assert_array_equal(np.load(out / "features/values.npy"), features)
    with np.load(out / "svms.npz") as saved:
        weights = saved["weights"]
    (out / "svms.npz").unlink()
    assert regions.main(pipeline, flags) == 0
    told = capsys.readouterr().out
    assert "network.keras is fine-tuned; delete it" in told and "regressors.npz is there; delete it" in told
    with np.load(out / "svms.npz") as saved:
        np.testing.assert_array_equal(saved["weights"], weights)
    assert (out / "network.keras").stat().st_mtime_ns == before
    assert json.loads((out / "record.json").read_text())["average_precision"] == record["average_precision"]

    # Other flags, another network: nothing is mixed.
    assert regions.main(pipeline, [*flags, "--seed", "1"]) == 2
    assert "holds a run with" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["features", "svm", "test"])
def test_a_stage_before_its_time(stage, folder, tmp_path, capsys):
    flags = ["--data-dir", str(folder), "--out", str(tmp_path / "run"), "--stage", stage]
    assert regions.main(rcnn_small, flags) == 2
    assert "network.keras is not there; the stage finetune makes it" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--images", "0"], ["--steps", "-1"], ["--stage", "none"]])
def test_bad_flags(flag, capsys):
    with pytest.raises(SystemExit) as exit:
        regions.main(rcnn_small, flag)
    assert exit.value.code == 2 and flag[0] in capsys.readouterr().err


@pytest.mark.parametrize("script", [rcnn_voc, sppnet_voc, rcnn_bccd])
def test_help_says_the_command_and_the_paper(script, capsys):
    with pytest.raises(SystemExit):
        regions.main(script.pipeline, ["--help"])
    text = capsys.readouterr().out
    assert f"python -m {script.__name__}" in text and "\nPaper: " in text and "--stage" in text
    assert ("--trunk" in text) == (script is rcnn_voc) and ("--scales" in text) == (script is sppnet_voc)


def rates(optimizer, steps):
    return [float(optimizer._learning_rate(step)) for step in steps]


def test_the_papers_schedules():
    """R-CNN: 0.001, divided by ten every 20,000 of 70,000 steps; SPPNet: 250,000 at 1e-4, 50,000 at 1e-5."""
    ours = rcnn_voc.pipeline()
    assert (ours.steps, ours.batch_size, ours.proposals, ours.kept, ours.lowest) == (70_000, 128, 2000, 0.6, 0.6)
    steps = (0, 19_999, 20_000, 40_000, 60_000, 69_999)
    assert rates(ours.optimizer(70_000), steps) == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])
    ours = sppnet_voc.pipeline()
    assert (ours.steps, ours.batch_size, ours.kept, ours.lowest, ours.difficult) == (300_000, 128, 0.1, 0.5, False)
    assert rates(ours.optimizer(300_000), (0, 249_999, 250_000)) == pytest.approx([1e-4, 1e-4, 1e-5])
    assert [ours.optimizer(6).momentum, ours.optimizer(6).l2] == [0.9, 5e-4]


def test_the_papers_figures_are_the_claims():
    def figures(pipeline):
        return [row["paper"] for row in pipeline.claims(dict.fromkeys(WAYS, 60.0), "")]

    assert figures(rcnn_voc.pipeline()) == [54.2, 58.5] and figures(rcnn_voc.pipeline("vgg16")) == [66.0]
    assert figures(sppnet_voc.pipeline()) == [59.2] and figures(sppnet_voc.pipeline("688")) == [58.0]
    assert figures(sppnet_voc.pipeline("480,688")) == []
    rows = rcnn_voc.pipeline().claims({WAYS[0]: 53.3, WAYS[1]: 57.4}, "")
    assert [row["verdict"] for row in rows] == ["holds", "does not hold"]
    with pytest.raises(ValueError, match="--scales is '480,x'; it must be numbers of pixels, at least 31"):
        sppnet_voc.pipeline("480,x")


def test_one_seed_on_bccd_decides_nothing():
    def verdicts(without, with_it, undecided):
        return [row["verdict"] for row in rcnn_bccd.claims({WAYS[0]: without, WAYS[1]: with_it}, undecided)]

    assert verdicts(50, 51, "") == ["not decided (a proxy)"] * 2 + ["not decided (one seed)"]
    assert verdicts(50, 51, "smoke run")[-1] == "not decided (smoke run)"


def test_the_network_of_bccd():
    model = rcnn_bccd.small_network(3)
    assert model.get_layer("flatten").output.shape == (None, 4 * 4 * 512) and model.output_shape == (None, 4)
    # VGG-16 to conv4_3: 1,792 + 36,928 + 73,856 + 147,584 + 295,168 + 2 * 590,080 + 1,180,160 + 2 * 2,359,808.
    convolutions = sum(layer.count_params() for layer in model.layers if layer.name.startswith("conv"))
    assert convolutions == 7_635_264


def test_curves_are_thinned_out_without_their_ends():
    random = np.random.default_rng(0)
    boxes = np.column_stack([np.arange(300) * 20, np.zeros(300), np.arange(300) * 20 + 10, np.full(300, 10)])
    found = {"boxes": boxes, "scores": random.uniform(size=300), "labels": np.zeros(300, "int32")}
    truths = [{"boxes": boxes[:200], "labels": np.zeros(200, "int32"), "difficult": np.zeros(200, bool)}]
    curve = region_figures.curves({"way": [found]}, truths, ["cell"])["way"]["cell"]
    assert len(curve["recall"]) <= 101 and curve["recall"][-1] == 1 and curve["recall"] == sorted(curve["recall"])
    assert curve["precision"][-1] == pytest.approx(2 / 3, abs=0.02)
