"""The commands about a network by its name: `list`, `describe`, `receptive-field` and `visualize`."""

import re

import keras
import pytest

import keras_cnns
from keras_cnns.__main__ import main
from tests.commands.answers import answers


def test_list_names_every_builder(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}(" in printed for name in keras_cnns.builders())
    assert "export(" not in printed
    assert "cifar_resnet20" in printed


def test_describe_counts_and_compares(capsys):
    assert main(["describe", "cifar_resnet20"]) == 0
    printed = capsys.readouterr().out
    assert "269,722 trainable parameters, 271,098 with moving statistics" in printed  # the paper folder's
    assert "equals the paper's" in printed


def test_describe_a_variant_that_no_paper_prints(capsys):
    assert main(["describe", "resnet_cifar", "depth=14", "classes=5"]) == 0
    assert "No paper prints this variant" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet_cifra"], "there is no network 'resnet_cifra'; did you mean .*resnet_cifar"),
        (["export"], "there is no network 'export'"),
        (["resnet_cifar", "depth"], "'depth' is not of the form key=value"),
        (["alexnet", "deep=20"], "alexnet: .*'deep'; its arguments are"),
        (["resnet_cifar", "depth=21"], "depth is 21; it must be 6n"),
    ],
)
def test_describe_tells_what_was_wrong(arguments, message, capsys):
    assert main(["describe", *arguments]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert re.match(f"error: .*{message}", printed.err) and len(printed.err.splitlines()) == 1


@pytest.mark.slow
def test_visualize_draws_what_is_asked_for(run, tmp_path, capsys):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="conv1")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv2")(x), name="two")
    model.save(tmp_path / "two.keras")
    arguments = ["visualize", str(tmp_path / "two.keras"), "--images", str(run), "--layer", "conv1", "--figure", "2"]
    assert main([*arguments, "--feature", "1", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(tmp_path / "out" / "index.html") and "fig2_conv1.png" in printed.out
    assert "images" in printed.err  # the progress
    assert main([*arguments[:-3], "conv3"]) == 2
    assert "error: two has no layer 'conv3'; the nearest are conv" in capsys.readouterr().err
    assert main(["visualize", str(run), "--images", str(tmp_path / "gone")]) == 2
    assert f"error: {tmp_path / 'gone'} is no folder of images." in capsys.readouterr().err


def test_list_as_json(capsys):
    assert main(["list", "--json"]) == 0
    (answer,) = answers(capsys)
    assert list(answer["builders"]) == keras_cnns.builders()
    assert answer["builders"]["alexnet"].startswith("(input_shape=(227, 227, 3), classes=1000")  # no types, no builder
    assert answer["papers"]["cifar_resnet20"] == ["resnet_cifar(depth=20)"]


def test_describe_as_json(capsys):
    assert main(["describe", "cifar_resnet20", "--json"]) == 0
    (answer,) = answers(capsys)
    assert (answer["trainable"], answer["parameters"]) == (269_722, 271_098)  # the paper folder's
    assert answer["paper_table"] == "cifar_resnet20" and not any(row["differ"] for row in answer["rows"])
    first = answer["rows"][0]
    assert first["ours"]["output_shape"] == [32, 32, 16] and first["paper"]["weights"] == "432"  # 3 * 3 * 3 * 16
    assert main(["describe", "resnet_cifar", "depth=14", "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["paper_table"] is None and {row["paper"] for row in answer["rows"]} == {None}


def test_receptive_field_as_json(capsys):
    assert main(["receptive-field", "resnet_cifar", "depth=8", "--json"]) == 0
    (rows,) = answers(capsys)
    # two 3x3 convolutions behind one another see 5x5 pixels, two of them before the first
    assert [(row["size"], row["stride"], row["offset"]) for row in rows if row["kind"] == "conv"][:2] == [
        (3, 1, -1),
        (5, 1, -2),
    ]
    assert main(["receptive-field", "resnet_cifar", rows[0]["name"], "depth=8", "--json"]) == 0
    (answer,) = answers(capsys)
    assert answer["arithmetic"] == {"size": 3, "stride": 1, "offset": -1} and answer["gradient"]["size"] == 3
