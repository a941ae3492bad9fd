"""The pictures of a run."""

import matplotlib
import tensorflow as tf

from keras_cnns.files import whole

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw_curves(record, path):
    """Training loss, and training and test error, over the steps; the claims' figures of the paper as lines."""
    rows = record["epochs"]
    if not rows:
        return
    steps = [row["step"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.plot(steps, [row["loss"] for row in rows], label="training")
    left.plot(steps, [row["test_loss"] for row in rows], label="test")
    left.set(xlabel="steps", ylabel="cross-entropy", yscale="log")
    right.plot(steps, [100 * (1 - row["accuracy"]) for row in rows], label="training")
    right.plot(steps, [row["test_top1_error"] for row in rows], label="test")
    right.annotate(
        f"{rows[-1]['test_top1_error']:.2f} %",
        (steps[-1], rows[-1]["test_top1_error"]),
        xytext=(-4, 6),
        textcoords="offset points",
        ha="right",
    )
    for claim in record.get("claims", []):
        if claim["paper"] is not None and claim["metric"] == "top1_error":
            right.axhline(claim["paper"], color="black", linestyle=":", label=f"paper: {claim['paper']:.2f} %")
    right.set(xlabel="steps", ylabel="error, %", yscale="log", ylim=(None, 100))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    name = record["model"]["name"] + (" (smoke run)" if record["smoke"] else "")
    figure.suptitle(f"{name}: {record['data']['train']}")
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=120)
    finally:
        plt.close(figure)


def save_test_images(images, folder, count=10):
    """Write test images as PNG files named by their order and label: what a user would send to the exported model."""
    folder.mkdir(exist_ok=True)
    stride = max(len(images) // count, 1)
    for number, (image, label) in enumerate(images.originals().batches(1).shard(stride, 0).take(count)):
        name = f"{number}-{images.labels[int(label[0])].replace('/', '_')}.png"
        with whole(folder / name) as part:
            part.write_bytes(tf.io.encode_png(image[0]).numpy())
