"""The loop and its checkpoints: two replicas as one, damage, and a loss that is no number."""

import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cnns.classification import resnet_cifar
from keras_cnns.data import digits
from keras_cnns.data.augmentation import subtract_mean
from keras_cnns.evaluation import classification_errors
from keras_cnns.layers import BatchNormalization
from keras_cnns.training import JIT_COMPILE, SGD, Checkpoints, loop, mirrored, train

IMAGES = digits("train").map(subtract_mean(30.0), lambda images, keys: images / 255)


def compiled(strategy, build, learning_rate=0.01):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = build()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(learning_rate, l2=1e-4), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
        model._symbolic_build(data_batch=(tf.zeros((2, 32, 32, 1)), tf.zeros(2, tf.int64)))
    return model


def batches(epoch, skip, count):
    return IMAGES.batches(32, seed=0, epoch=epoch, shuffle=True, drop_remainder=True, skip=skip, count=count)


class EveryStep(Checkpoints):
    """Keeps the metrics of every step but an epoch's last, and writes nothing."""

    def __init__(self, folder, model):
        super().__init__(folder, model)
        self.model, self.rows = model, []

    def save(self, step, notes):
        self.rows.append({name: float(value) for name, value in self.model.get_metrics_result().items()})
        self.model.reset_metrics()


def step_by_step(model, batches, steps, folder):
    """Train one epoch of so many steps; a row of metrics for each of them."""
    checkpoints = EveryStep(folder, model)
    history = train(model, batches, steps, steps, checkpoints, checkpoint_steps=1)
    return [*checkpoints.rows[: steps - 1], history[0]]


def convolutional():
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Conv2D(8, 5, strides=3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


@pytest.mark.slow
def test_two_replicas_equal_one_on_even_batches(tmp_path, two_replicas):
    one, two = compiled(mirrored(1), convolutional), compiled(two_replicas, convolutional)
    histories = [
        train(model, batches, 20, 5, Checkpoints(tmp_path / str(number), model))
        for number, model in enumerate((one, two))
    ]
    losses = [[row["loss"] for row in history] for history in histories]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for ours, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.slow
def test_two_replicas_equal_one_with_synchronised_statistics_and_only_then(tmp_path, two_replicas):
    def losses(strategy, synchronized):
        def network():
            model = resnet_cifar(8, input_shape=(32, 32, 1))
            for layer in model.layers:
                if isinstance(layer, BatchNormalization):
                    layer.synchronized = synchronized
            return model

        # The 1e-4 holds at this small rate: rounding alone drives two trainings apart as they go, at 0.01 by 6e-4.
        rows = step_by_step(compiled(strategy, network, 0.001), batches, 20, tmp_path)
        return np.array([row["loss"] for row in rows])

    one = losses(mirrored(1), synchronized=True)
    assert np.abs(one - losses(two_replicas, synchronized=True)).max() <= 1e-4
    assert np.abs(one - losses(two_replicas, synchronized=False)).max() > 1e-4


@pytest.mark.slow
def test_a_history_row_is_an_epoch(tmp_path):
    model = compiled(mirrored(1), convolutional)
    seen = []
    history = train(
        model, batches, 7, 3, Checkpoints(tmp_path, model), at_epoch_end=lambda row, step: seen.append(step)
    )
    assert [(row["epoch"], row["step"], row["steps"]) for row in history] == [(1, 3, 3), (2, 6, 3), (3, 7, 1)]
    assert seen == [3, 6, 7]
    assert train(model, batches, 7, 3, Checkpoints(tmp_path, model)) == history  # finished already: no more steps


@pytest.mark.slow
def test_the_epoch_is_on_the_disk_before_its_tests_which_are_made_when_it_goes_on(tmp_path):
    def killed(row, step):
        raise InterruptedError

    tested = lambda row, step: row.update(test_error=100 * step)
    model = compiled(mirrored(1), convolutional)
    with pytest.raises(InterruptedError):
        train(model, batches, 5, 3, Checkpoints(tmp_path / "run", model), at_epoch_end=killed)
    again, whole = compiled(mirrored(1), convolutional), compiled(mirrored(1), convolutional)
    never = lambda epoch, skip, count: pytest.fail("trained again") if epoch == 0 else batches(epoch, skip, count)
    resumed = train(again, never, 5, 3, Checkpoints(tmp_path / "run", again), at_epoch_end=tested)
    undisturbed = train(whole, batches, 5, 3, Checkpoints(tmp_path / "whole", whole), at_epoch_end=tested)
    for row in resumed + undisturbed:
        del row["seconds"]
    assert resumed == undisturbed and [row["test_error"] for row in resumed] == [300, 500]
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_checkpoint_whose_notes_are_those_of_an_earlier_version(tmp_path):
    model = compiled(mirrored(1), convolutional)
    train(model, batches, 3, 3, Checkpoints(tmp_path, model))
    checkpoints = Checkpoints(tmp_path, model)
    _, (_, _, row) = checkpoints.restore()
    model.reset_metrics()
    checkpoints.save(3, ([row], 0.0))  # as it was after the tests
    seen = []
    history = train(model, batches, 5, 3, checkpoints, at_epoch_end=lambda row, step: seen.append(step))
    assert [row["step"] for row in history] == [3, 5] and seen == [5] and history[0] == row


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_tests_does_not_wait_for_them(tmp_path, number):
    def interrupted(*position):
        signal.raise_signal(number)
        return batches(*position)

    model = compiled(mirrored(1), convolutional)
    with pytest.raises(SystemExit):
        at_epoch_end = lambda row, step: pytest.fail("the tests were made")
        train(model, interrupted, 2, 1, Checkpoints(tmp_path, model), at_epoch_end=at_epoch_end)
    assert Checkpoints(tmp_path, model).steps() == [1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_checkpoint_after_the_step_and_its_status(tmp_path, number, capsys):
    def interrupted(*position):
        signal.raise_signal(number)
        return batches(*position)

    before = signal.getsignal(number)
    model = compiled(mirrored(1), convolutional)
    with pytest.raises(SystemExit) as stopped:
        train(model, interrupted, 7, 5, Checkpoints(tmp_path / "run", model))
    assert stopped.value.code == 128 + number
    assert f"{number.name}: stopped after step 1; its checkpoint is in {tmp_path / 'run'}." in capsys.readouterr().err
    assert Checkpoints(tmp_path / "run", model).steps() == [1]
    assert signal.getsignal(number) == before

    again, whole = compiled(mirrored(1), convolutional), compiled(mirrored(1), convolutional)
    histories = [
        train(model, batches, 7, 5, Checkpoints(tmp_path / name, model))
        for model, name in ((again, "run"), (whole, "whole"))
    ]
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [row["loss"] for row in histories[0]] == [row["loss"] for row in histories[1]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_tests_waits_for_the_end_of_the_epoch(tmp_path, number):
    model = compiled(mirrored(1), convolutional)
    with pytest.raises(SystemExit):
        at_epoch_end = lambda row, step: signal.raise_signal(number)
        train(model, batches, 7, 3, Checkpoints(tmp_path, model), at_epoch_end=at_epoch_end)
    step, (history, *_) = Checkpoints(tmp_path, model).restore()
    assert step == 3 and len(history) == 1  # so that they are not made again


@pytest.fixture
def ctrl_c_interrupts():
    """As in a terminal: a program that a shell started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts_at_once(tmp_path, ctrl_c_interrupts):
    def impatient(*position):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    model = compiled(mirrored(1), convolutional)
    with pytest.raises(KeyboardInterrupt):
        train(model, impatient, 2, 1, Checkpoints(tmp_path, model))


def test_workers_that_found_different_checkpoints_are_told_to_share_the_folder(tmp_path, monkeypatch):
    model = compiled(mirrored(1), convolutional)
    train(model, batches, 2, 1, Checkpoints(tmp_path, model))
    monkeypatch.setattr(loop, "workers", lambda strategy: 3)
    # The others have none; or steps 1 and 3, whose sum does not tell.
    for sums in ([2, 4], [2 + 1 + 3, 4 + 1 + 9]):
        monkeypatch.setattr(loop, "agree", lambda strategy, values, sums=sums: sums)
        with pytest.raises(ValueError, match=f"this one step 2: {tmp_path} must be one folder that all share"):
            train(model, batches, 3, 1, Checkpoints(tmp_path, model))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "overwritten", "missing"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage, capsys):
    model = compiled(mirrored(1), convolutional)
    checkpoints = Checkpoints(tmp_path, model)
    train(model, batches, 3, 3, checkpoints)
    before = model.get_weights()
    train(model, batches, 5, 3, checkpoints)
    data = next(tmp_path.glob("step-5.data*"))
    if damage == "truncated":
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    elif damage == "overwritten":
        data.write_bytes(b"\0" * data.stat().st_size)
    else:
        data.unlink()
    again = compiled(mirrored(1), convolutional)
    step, (history, _, row) = Checkpoints(tmp_path, again).restore()
    assert step == 3 and history == [] and row["step"] == 3
    for ours, saved in zip(again.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, saved)
    assert f"{tmp_path / 'step-5'} cannot be read" in capsys.readouterr().err
    train(again, batches, 5, 3, Checkpoints(tmp_path, again), checkpoint_steps=1)
    assert Checkpoints(tmp_path, again).steps() == [4, 5]  # the damaged one did not count among the two kept


def test_batches_that_run_out_end_the_run_instead_of_going_round_for_ever(tmp_path):
    model = compiled(mirrored(1), convolutional)
    with pytest.raises(ValueError, match="epoch 1 ended at step 2 of 5: too few images can be read"):
        train(model, lambda *position: batches(*position).take(2), 5, 5, Checkpoints(tmp_path, model))


def test_all_checkpoints_damaged_is_said_and_nothing_is_deleted(tmp_path):
    model = compiled(mirrored(1), convolutional)
    train(model, batches, 2, 1, Checkpoints(tmp_path, model))
    for file in tmp_path.glob("*.data*"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 2 checkpoints"):
        Checkpoints(tmp_path, model).restore()
    assert len(list(tmp_path.iterdir())) == 4


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    model = compiled(mirrored(1), convolutional)
    train(model, batches, 1, 1, Checkpoints(tmp_path, model))
    other = compiled(mirrored(1), lambda: resnet_cifar(8, input_shape=(32, 32, 1)))
    with pytest.raises(ValueError, match="none of the 1 checkpoints"):
        Checkpoints(tmp_path, other).restore()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    def linear():
        return keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])

    model = compiled(mirrored(1), linear)
    train(model, batches, 2, 2, Checkpoints(tmp_path, model))
    broken = lambda *position: batches(*position).map(lambda images, labels: (images / 0, labels))
    with pytest.raises(
        FloatingPointError, match="the training loss is nan at step 3; the checkpoint of step 2 is kept"
    ):
        train(model, broken, 4, 2, Checkpoints(tmp_path, model))
    assert Checkpoints(tmp_path, model).steps() == [2]


@pytest.mark.parametrize("strategy", ["one", "two"])
def test_errors_count_every_image_once_on_an_uneven_last_batch(strategy, two_replicas):
    strategy = mirrored(1) if strategy == "one" else two_replicas
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((32, 32, 1)), BatchNormalization(), keras.layers.Flatten(), keras.layers.Dense(10)]
        )
    test = digits("test").take(101).map(subtract_mean(30.0))
    errors = classification_errors(model, test.batches(50), strategy)  # a last batch of one image
    images, labels = (np.concatenate(part) for part in zip(*test.batches(50), strict=True))
    logits = model(images).numpy()
    order = np.argsort(-logits, axis=1)
    assert errors["images"] == 101
    assert errors["top1_error"] == pytest.approx(100 * (order[:, 0] != labels).mean())
    assert errors["top5_error"] == pytest.approx(100 * (order[:, :5] != labels[:, None]).all(axis=1).mean())
    log_softmax = logits - np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    log_softmax -= logits.max(axis=1, keepdims=True)
    assert errors["loss"] == pytest.approx(-log_softmax[np.arange(101), labels].mean(), rel=1e-4)


def test_ten_crops_are_averaged_after_the_softmax():
    model = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    strategy = tf.distribute.get_strategy()
    # Two crops of one image: probabilities (1, 0, 0) and (0.2, 0.6, 0.2) average to class 0, the mean logit is class 1.
    crops = np.log(np.array([[[1.0, 1e-9, 1e-9]], [[0.2, 0.6, 0.2]]], "float32")).reshape(1, 2, 1, 1, 3)
    errors = classification_errors(model, tf.data.Dataset.from_tensors((crops, [0])), strategy)
    assert errors["top1_error"] == 0 and errors["images"] == 1
    assert errors["loss"] == pytest.approx(-np.log(0.6), rel=1e-5)
    nothing = np.full((1, 2, 1, 1, 3), np.nan, "float32")
    assert classification_errors(model, tf.data.Dataset.from_tensors((nothing, [0])), strategy)["top1_error"] == 100


def test_no_images_are_refused():
    model = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    nothing = tf.data.Dataset.from_tensors((np.zeros((2, 1, 1, 3), "float32"), [0, 1])).take(0)
    with pytest.raises(ValueError, match="no images"):
        classification_errors(model, nothing, tf.distribute.get_strategy())


def test_more_replicas_than_devices_are_refused():
    with pytest.raises(ValueError, match="replicas is 7; there are 2 CPU devices"):
        mirrored(7)
