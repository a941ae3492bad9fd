"""What DCGAN's discriminator learns without labels: Radford et al., ICLR 2016, section 5.1, on CIFAR-10.

    python -m reproductions.dcgan_probe_cifar10 --data-dir DIR

Paper: 82.8 % of CIFAR-10's test images named by a linear SVM on the features of a discriminator trained on ImageNet-1k.
Here a discriminator (64 filters, 4x4) of four epochs of CIFAR-10's own images, without labels, beside the same one with
random weights; an SVM on 20,000 labelled images; three seeds. An hour or two on two CPU cores.
"""

import json
import sys

import keras
from matplotlib import pyplot as plt

from keras_cnns import dcgan_discriminator
from keras_cnns.data import digits, tfds_images
from reproductions.dcgan import scaled
from reproductions.dcgan_cifar10 import probe
from reproductions.dcgan_garments import draw_examples
from reproductions.gradients import decided
from reproductions.record import A_MINUTE, BESIDE, PREPARED, measured, parser_of, publish, write_json
from reproductions.run import SMOKE_TESTS
from reproductions.study import SEEDS, Training, finished, save, train

SCRIPT, IMAGES, MARGIN, PAPER = "dcgan_probe_cifar10", 20_000, 2.0, 82.8
BUDGET = f"--epochs 4 --probed {IMAGES}"


def main(arguments=None):
    parser = parser_of(SCRIPT, __doc__, BESIDE)
    parser.add_argument("--data-dir", help=PREPARED)
    parser.add_argument("--smoke", action="store_true", help=A_MINUTE)
    options = parser.parse_args(arguments)
    smoke, beside, runs = options.smoke, options.out.parent.resolve(), []
    for seed in range(1 if smoke else SEEDS):
        folder = beside / f"CIFAR-DCGAN-{seed}{'-smoke' if smoke else ''}"
        print(f"== seed {seed}", flush=True)
        status = train(Training("dcgan_cifar10", BUDGET if not smoke else ""), seed, folder, options)
        if not finished(folder):
            return status or 2
        record = json.loads((folder / "record.json").read_text())
        runs.append(
            {
                "name": "DCGAN",
                "seed": seed,
                "commit": record["commit"],
                "seconds": round(record["training_seconds"]),
                "trained": record["final_tests"]["probe"],
                "random": random_probe(folder / "random.json", seed, options),
                "rows": [{"step": row["step"], "value": round(row["test_value"], 3)} for row in record["epochs"]],
            }
        )
    verdicts = claims(runs)
    record = measured(
        SCRIPT,
        data=record["data"]["train"],
        runs=runs,
        claims=[row | {"verdict": "not decided (smoke run)"} if smoke else row for row in verdicts],
        notes=[f"the paper's {PAPER} % is of a larger discriminator, of ImageNet-1k; its SVM saw all 50,000"],
        deviations=record["deviations"],
        smoke=smoke,
    )
    publish(record, options.out)
    draw(record, options.out.with_suffix(".png"))
    draw_examples(beside / f"CIFAR-DCGAN-0{'-smoke' if smoke else ''}" / "test_images", options.out)
    return 0


def random_probe(file, seed, options):
    """The probe of the discriminator as it starts, kept in a file."""
    if not file.exists():
        if options.smoke:
            train, test, count = digits("train", channels=3), digits("test", channels=3).take(SMOKE_TESTS), 500
        else:
            train, test = (tfds_images("cifar10", part, options.data_dir) for part in ("train", "test"))
            count = IMAGES
        keras.utils.set_random_seed(1000 + seed)
        write_json(file, probe(dcgan_discriminator(32, 64, 4), train.map(scaled), test.map(scaled), count))
    return json.loads(file.read_text())


def claims(runs):
    """The rule, fixed before the run."""
    trained, random = ([run[name]["accuracy"] for run in runs] for name in ("trained", "random"))
    gained = [ours - theirs for ours, theirs in zip(trained, random, strict=True)]
    words = "linear SVM on D's features beside those of random weights, points of accuracy gained"
    rows = [decided("N3", words, gained, f"more than {MARGIN:g}", lambda points: points > MARGIN)]
    rows[0]["paper"] = None
    accuracy = ", ".join(f"{value:.2f}" for value in trained)
    told = {"ours": f"{accuracy} (random: {', '.join(f'{value:.2f}' for value in random)})", "rule": "told beside it"}
    statement = {"id": "N3", "statement": "accuracy of that SVM, %", "paper": PAPER}
    return [*rows, statement | told | {"verdict": "not decided (proxy)"}]


def draw(record, path):
    """The accuracy of both for each seed, beside the paper's."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, colour in (("trained", "C0"), ("random", "C7")):
        axes.plot([run[name]["accuracy"] for run in record["runs"]], "o", color=colour, label=f"{name} discriminator")
    axes.axhline(PAPER, color="black", linestyle=":", label="paper, trained on ImageNet-1k")
    axes.set(xlabel="seed", ylabel="accuracy of a linear SVM, %", xticks=range(len(record["runs"])))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title("DCGAN's discriminator on CIFAR-10", fontsize=10)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
