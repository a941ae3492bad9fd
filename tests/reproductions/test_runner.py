"""The runner: what it writes, what it refuses, what it loses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import digits
from keras_cnns.data.sources import is_jpeg_copy
from keras_cnns.files import alone
from reproductions import resnet_cifar10, runner
from reproductions.recipe import Claim
from reproductions.record import command
from reproductions.run import Run, parse
from tests.reproductions.small_recipe import recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run that has ended."""
    out = tmp_path_factory.mktemp("runs") / "small"
    assert runner.main(recipe, ["--out", str(out), "--steps", "20", "--filters", "6", "--seed", "3"]) == 0
    return out


@pytest.mark.slow
def test_everything_is_written(finished):
    record = json.loads((finished / "record.json").read_text())
    for key in ("command", "commit", "versions", "hardware", "data", "deviations", "started", "finished"):
        assert key in record
    assert (record["seed"], record["steps"], record["batch_size"]) == (3, 20, 64)
    assert record["arguments"]["filters"] == 6
    assert [row["step"] for row in record["epochs"]] == [15, 20]
    assert {"loss", "accuracy", "test_loss", "test_top1_error", "learning_rate"} <= record["epochs"][0].keys()
    (claim,) = record["claims"]
    assert claim["ours"] == record["epochs"][-1]["test_top1_error"]
    # Fewer steps than the recipe's: a proxy, which decides nothing, and says by what it departs.
    assert claim["verdict"] == "not decided (proxy)"
    assert record["deviations"] == ["20 steps, schedule scaled, instead of 40"]
    (sitting,) = record["sittings"]
    assert sitting["commit"] == record["commit"] and sitting["versions"]["keras"] == keras.__version__
    for name in ("curves.png", "model.keras", "preprocessing.json", "saved_model/saved_model.pb"):
        assert (finished / name).stat().st_size > 0
    assert len(list((finished / "test_images").glob("*.png"))) == 10
    events = list((finished / "tensorboard").glob("events*"))
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events[0])) for value in event.summary.value}
    assert {"loss", "test_top1_error"} <= tags


@pytest.mark.slow
def test_the_exported_model_says_what_the_network_says(finished):
    model = keras.models.load_model(finished / "model.keras")
    files = sorted((finished / "test_images").glob("*.png"))
    images = np.stack([tf.io.decode_png(file.read_bytes()).numpy() for file in files])
    expected = model(images.astype("float32") - 30.0).numpy().argmax(axis=1)
    output = subprocess.run(
        [sys.executable, ROOT / "reproductions" / "use_saved_model.py", finished / "saved_model", *files],
        capture_output=True,
        text=True,
        check=True,
        cwd=finished,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    ).stdout
    lines = output.splitlines()[1:11]
    assert [line.split()[2] for line in lines] == [str(digit) for digit in expected]
    assert [line.split()[4] for line in lines] == [str(digit) for digit in expected]
    assert "by a process without keras_cnns" in output


def test_a_second_run_into_the_same_folder_is_refused_and_nothing_is_lost(finished, capsys):
    before = {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    assert runner.main(recipe, ["--out", str(finished), "--steps", "20", "--filters", "6", "--seed", "3"]) == 2
    assert "holds a run already; --resume goes on with it" in capsys.readouterr().err
    assert runner.main(recipe, ["--out", str(finished), "--resume", "--steps", "20", "--filters", "6"]) == 2
    assert "was started with {'seed': 3}" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()} == before


def test_a_finished_run_is_shown_again_and_not_touched(finished, capsys):
    before = {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    same = ["--out", str(finished), "--steps", "20", "--filters", "6", "--seed", "3", "--resume"]
    assert runner.main(recipe, same) == 0
    assert "is finished" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()} == before


@pytest.fixture
def unfinished(tmp_path):
    """The folder of a run that stopped after its training, as a kill would leave it."""
    assert runner.main(recipe, ["--out", str(tmp_path / "run"), "--steps", "4"]) == 0
    change_record(tmp_path / "run", lambda record: record.pop("finished"))
    return tmp_path / "run"


def change_record(folder, change):
    record = json.loads((folder / "record.json").read_text())
    change(record)
    (folder / "record.json").write_text(json.dumps(record))


@pytest.mark.slow
def test_a_resumed_run_must_be_what_it_was(unfinished, capsys):
    resume = ["--out", str(unfinished), "--steps", "4", "--resume"]
    change_record(unfinished, lambda record: record.update(replicas=4))
    assert runner.main(recipe, resume) == 2
    assert "was started with replicas 4; now it would be 1" in capsys.readouterr().err
    change_record(unfinished, lambda record: record.pop("replicas"))  # as an earlier version's
    change_record(unfinished, lambda record: record["data"].update(train="other images"))
    assert runner.main(recipe, resume) == 2
    assert "was started with data {'train': 'other images'" in capsys.readouterr().err
    (unfinished / "record.json").write_text('{"half')
    assert runner.main(recipe, resume) == 2
    assert "record.json is damaged" in capsys.readouterr().err
    (unfinished / "record.json").unlink()
    assert runner.main(recipe, resume) == 2
    assert "has checkpoints and no record.json" in capsys.readouterr().err


def test_two_processes_do_not_train_in_one_folder(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    with alone(tmp_path / "run"):
        assert runner.main(recipe, ["--out", str(tmp_path / "run"), "--steps", "4"]) == 2
    assert "error: another process is writing to" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sitting_is_added_and_the_first_one_s_provenance_kept(unfinished):
    change_record(unfinished, lambda record: record.update(commit="the first"))
    assert runner.main(recipe, ["--out", str(unfinished), "--steps", "4", "--resume"]) == 0
    record = json.loads((unfinished / "record.json").read_text())
    assert record["commit"] == "the first" and len(record["sittings"]) == 2 and "finished" in record


@pytest.mark.slow
def test_a_failed_claim_is_the_exit_status(tmp_path):
    def failing(run, filters=8):
        made = recipe(run, filters)
        made.claims = [Claim("test error, %", "top1_error", paper=None, at_most=0.0)]
        return made

    failing.__module__ = recipe.__module__
    assert runner.main(failing, ["--out", str(tmp_path / "run"), "--batch-size", "64"]) == 1


def test_statistics_are_of_these_images(tmp_path):
    run = runner.Run("script", *runner.parse(recipe, "script", ["--out", str(tmp_path)]))
    black, white = (digits("test").map(lambda images, keys, c=c: images * 0 + c) for c in (0, 255))
    white.description = "white"
    assert run.statistics(black)[0].max() == 0
    assert run.statistics(white)[0].min() == 255
    assert run.statistics(white.map(lambda images, keys: images * 0))[0].min() == 255  # kept: the same images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--batch-size", "5000"],
            "the batch size is 5000; there are only 960 training images, so --batch-size must be that or less",
        ),
        (["--batch-size", "63", "--replicas", "2"], "the batch size is 63; it must divide by the 2 replicas"),
        (["--replicas", "9"], "replicas is 9; there are 2 CPU devices"),
        (["--dataset", "mnist"], "has data of its own; --dataset would not be used"),
        (["--synchronized"], "--synchronized would be without effect; there is one replica"),
        (["--synchronized", "--accumulate", "2", "--replicas", "2"], "with synchronised batch normalisation"),
    ],
)
def test_what_cannot_work_is_said_at_the_door(tmp_path, capsys, flags, sentence):
    assert runner.main(recipe, ["--out", str(tmp_path / "run"), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run" / "record.json").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--steps", "0"], "--steps is 0; it must be at least 1"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--replicas", "0"], "--replicas is 0; it must be at least 1"),
        (["--steps", "5", "--epochs", "1"], "not allowed with argument"),
        (["--smoke", "--dataset", "mnist"], "--dataset would not be used"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, sentence, capsys):
    with pytest.raises(SystemExit):
        runner.main(recipe, flags)
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_readme_s_own_photographs(tmp_path, capsys):
    """A recipe of small images on a folder of photographs of any size, one of them broken; then strictly."""
    from reproductions.resnet_cifar10 import recipe as resnet_cifar10

    skimage_data = pytest.importorskip("skimage.data")
    for name in ("astronaut", "chelsea"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for piece in range(10):
            cut = getattr(skimage_data, name)()[5 * piece :, 7 * piece : 260 + piece]
            (tmp_path / "photos" / name / f"{piece}.png").write_bytes(tf.io.encode_png(cut).numpy())
    broken = tmp_path / "photos" / "chelsea" / "3.png"
    broken.write_bytes(b"broken")
    flags = ["--dataset", str(tmp_path / "photos"), "--depth", "8", "--epochs", "1", "--batch-size", "8"]
    assert runner.main(resnet_cifar10, [*flags, "--out", str(tmp_path / "run")]) == 0
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["corrupt_images"] == ["chelsea/3.png"] and record["data"]["labels"] == ["astronaut", "chelsea"]
    assert record["proxy"] and f"data set {tmp_path / 'photos'} instead of cifar10" in record["deviations"]
    capsys.readouterr()
    assert runner.main(resnet_cifar10, [*flags, "--out", str(tmp_path / "strict"), "--strict"]) == 2
    assert f"error: {broken} cannot be decoded (--strict makes that an error)." in capsys.readouterr().err


@pytest.mark.slow
def test_bfloat16_trains_with_float32_weights(tmp_path):
    assert runner.main(recipe, ["--out", str(tmp_path), "--steps", "2", "--precision", "bfloat16"]) == 0
    assert json.loads((tmp_path / "record.json").read_text())["precision"] == "bfloat16"
    model = keras.models.load_model(tmp_path / "model.keras")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.layers[0].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_list_names_every_script_with_its_title():
    output = subprocess.run(
        [sys.executable, "-m", "reproductions"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    scripts = {file.stem for file in (ROOT / "reproductions").glob("*.py") if "main(recipe)" in file.read_text()}
    assert len(scripts) >= 3
    for name in scripts:
        assert f"\n{name}\n" in output.stdout
    assert "\nalexnet_imagenet\n  AlexNet on ImageNet: Krizhevsky et al., NIPS 2012" in output.stdout


def test_a_record_tells_the_command_without_the_machines_paths(monkeypatch):
    flags = "/here/runs/cells --depth 20 --data-dir /here/sets --out=/here/run --resume --precision bfloat16"
    monkeypatch.setattr("sys.argv", ["script", *flags.split()])
    assert command("reproductions.resnet") == "python -m reproductions.resnet cells --depth 20 --precision bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_a_run_on_a_jpeg_copy_of_pixels_is_a_proxy(encoding, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    image = {"image": tfds.features.Image(shape=(32, 32, 3), encoding_format=encoding)}
    kinds = {"id": tfds.features.Text(), **image, "label": tfds.features.ClassLabel(num_classes=10)}
    pixels, labels = (each[:10] for each in digits("train", channels=3).arrays)
    data = tf.data.Dataset.from_tensor_slices({"id": [b"a"] * 10, "image": pixels, "label": labels})
    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar10",
        version="3.0.2",
        features=tfds.features.FeaturesDict(kinds),
        split_datasets={"train": data, "test": data},
        data_dir=str(tmp_path),
    )
    flags = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]
    run = Run("resnet_cifar10", *parse(resnet_cifar10.recipe, "resnet_cifar10", flags))
    assert len(run.data("cifar10", side=32)[0]) == 10
    assert run.departures == (["a JPEG copy of cifar10"] if encoding == "jpeg" else [])
    assert not is_jpeg_copy("imagenet2012", str(tmp_path))  # its originals are JPEG files
