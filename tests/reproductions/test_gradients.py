"""The gradients of the first steps, worked out by hand."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.data import Images
from keras_cnns.training import SGD
from reproductions import googlenet_gradients_cifar10, gradients, gradients_cifar10
from reproductions.gradients import decided, gradient_norms, norms_of

BATCHES = [(tf.fill((4, 1, 1, 1), 2.0), tf.zeros(4, tf.int64))] * 2


def one_pixel(heads=0):
    """Two classes from one pixel x: logits w0 x and w1 x, all zero at first; heads on the same map."""
    image = keras.Input((1, 1, 1))
    maps = keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer="zeros")(image)
    logits = keras.layers.Flatten()(maps)
    return keras.Model(image, [logits, *(keras.layers.Identity()(logits) for _ in range(heads))] if heads else logits)


def test_norms_and_losses_by_hand():
    found = gradient_norms(one_pixel(), SGD(0.1, momentum=0.0), BATCHES, kept=(0, 1))
    # p = 1/2: the gradient is x (-1/2, 1/2), the weights become (0.1, -0.1) and p = 1 / (1 + e^-0.4) = 0.59869.
    assert found["losses"] == pytest.approx([0.6931, 0.5130], abs=1e-4)
    assert found["norms"][0] == pytest.approx([np.sqrt(2)], rel=1e-3)
    assert found["norms"][1] == pytest.approx([2 * 0.40131 * np.sqrt(2)], rel=1e-3)


def test_heads_weigh_and_their_losses_are_not_told():
    found = gradient_norms(one_pixel(heads=2), SGD(0.1, momentum=0.0), BATCHES, kept=(0,), head_weights=(0.3, 0.3))
    assert found["norms"] == {0: pytest.approx([1.6 * np.sqrt(2)], rel=1e-3)}
    assert found["losses"][0] == pytest.approx(0.6931, abs=1e-4)
    with pytest.raises(ValueError, match="longer"):
        gradient_norms(one_pixel(heads=2), SGD(0.1), BATCHES, kept=(0,), head_weights=(0.3,))


@pytest.mark.parametrize(
    ("ratios", "verdict"), [([2, 3, 4], "holds"), ([2, 0.5, 4], "not decided"), ([0.5, 0.1, 0.9], "does not hold")]
)
def test_a_claim_holds_in_every_seed(ratios, verdict):
    assert decided("G2", "more", ratios, "over 1", lambda ratio: ratio > 1)["verdict"] == verdict


def test_a_measurement_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    few = Images("few", "few images", ["a"], 2, arrays=(np.zeros((2, 4, 4, 3), "uint8"), np.zeros(2)))
    monkeypatch.setattr(gradients, "tfds_images", lambda *arguments: few)
    calls = []

    def measure(train, seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"losses": [1.0], "norms": {0: [0.5, seed + 1.0]}}

    claims = lambda runs: [decided("X1", "grows", norms_of(runs, "one")[:, 0, 1], "over 0", lambda norm: norm > 0)]
    go = lambda: gradients.main(
        "small", "About.", lambda train: train, {"one": measure}, claims, [], ["--out", str(tmp_path / "r.json")]
    )
    with pytest.raises(KeyboardInterrupt):
        go()
    assert go() == 0 and calls == [0, 1, 1, 2]
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["claims"][0]["ours"] == "1, 2, 3" and "finished" in record


def test_the_scripts_claims_are_those_of_their_layers():
    layers = [*googlenet_gradients_cifar10.FIRST, "inception_3a_1x1"]
    run = lambda name, norms: {"name": name, "layers": layers, "norms": {0: norms, 10: norms}}
    with_heads = run(googlenet_gradients_cifar10.HEADS, [2.0, 1.0, 3.0, 1.0])
    without = run(googlenet_gradients_cifar10.NO_HEADS, [1.0, 2.0, 1.5, 1.0])
    rows = googlenet_gradients_cifar10.claims([with_heads, without])
    assert [(row["ours"], row["verdict"]) for row in rows] == [
        ("2", "holds"),
        ("0.5", "does not hold"),
        ("2", "holds"),
    ]
    runs = [
        {"name": name, "seed": 0, "norms": {step: [1e-4 if "no norm" in name else 1.0, 1.0] for step in (0, 50, 200)}}
        for name in gradients_cifar10.VARIANTS
    ]
    rows = gradients_cifar10.claims(runs)
    assert len(rows) == 12 and {row["verdict"] for row in rows if "batch norm" in row["statement"]} == {"holds"}
    verdicts = [row["verdict"] for row in rows if "no norm" in row["statement"]]
    assert verdicts == ["does not hold"] * 3 + ["holds"] * 3  # He's is said not to vanish, N(0, 0.01²) to vanish
    runs[3]["norms"] = {0: [0.0, 0.0], 50: [float("nan")] * 2, 200: [0.0, 1.0]}  # nothing comes down; diverged
    rows = gradients_cifar10.claims(runs)[-3:]
    assert [(row["ours"], row["verdict"]) for row in rows] == [("0", "holds"), ("nan", "does not hold"), ("0", "holds")]


def test_plain56_without_normalisation_has_biases_and_its_own_start():
    convolutions = lambda model: [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    model = gradients_cifar10.plain56("no norm", gradients_cifar10.SMALL, classes=10, seed=0)
    # 19 layers of 16 maps, 18 of 32 and 18 of 64: 2,032 maps, each with a bias in place of a scale and a shift
    assert len(convolutions(model)) == 55 and model.count_params() == 853_018 - 2 * 2032 + 2032
    assert model(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 10)
    assert [float(np.std(layer.kernel)) for layer in convolutions(model)] == pytest.approx([0.01] * 55, rel=0.15)
    last = convolutions(gradients_cifar10.plain56("no norm", gradients_cifar10.HE, classes=10, seed=0))[-1]
    assert np.std(last.kernel) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
