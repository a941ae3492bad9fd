"""What balanced classes change in SegNet-Basic: Badrinarayanan et al., "SegNet", PAMI 2017, Table 1.

    python -m reproductions.segnet_balance_camvid --data-dir DIR

Paper: on CamVid 62.0 % in the mean over classes with median frequency balancing, 54.6 without, 82.7 and 84.0 % of the
pixels right, mean IU 47.7 and 46.3 %. Here at 90x120 pixels, a sixteenth of the paper's, 15 epochs each, three seeds.
`segnet_basic_camvid` is the paper's recipe.
"""

import sys

from matplotlib import pyplot as plt

from reproductions.study import Difference, Study, Training, band, final, main, of, save

EPOCHS = 15
FLAGS = f"--height 90 --epochs {EPOCHS}"
TRAININGS = {
    "balanced": Training("segnet_basic_camvid", FLAGS),
    "natural": Training("segnet_basic_camvid", f"{FLAGS} --no-balance"),
}
CLAIMS = [
    Difference(
        "S5", "balancing raises the mean accuracy, points", "balanced", "natural", final("mean_accuracy"), 0.0, 7.4
    ),
    Difference(
        "S5", "it costs pixels that are right, points", "natural", "balanced", final("pixel_accuracy"), 0.0, 1.3
    ),
    Difference("S5", "it raises the mean IU, points", "balanced", "natural", final("mean_iu"), 0.0, 1.4),
]


def draw(record, path):
    """The three scores over the steps."""
    figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for panel, score in zip(panels, ("pixel_accuracy", "mean_accuracy", "mean_iu"), strict=True):
        for name in TRAININGS:
            band(panel, of(record["runs"], name), score, label=name)
        panel.set(xlabel="steps", ylabel=f"{score.replace('_', ' ').replace(' iu', ' IU')}, %", ylim=(0, 100))
        panel.grid(alpha=0.3)
        panel.legend()
    seeds = len(of(record["runs"], "balanced"))
    figure.suptitle(f"SegNet-Basic, CamVid at 90x120; seeds: {seeds}; lines are means, bands from least to most")
    save(figure, path)


if __name__ == "__main__":
    deviations = [f"{EPOCHS} epochs at 90x120 pixels, a sixteenth of the paper's, one schedule for both"]
    sys.exit(main(Study("segnet_balance_camvid", __doc__, TRAININGS, CLAIMS, deviations)))
