"""Pictures of what R-CNN and SPPNet find: precision against recall, and photographs with boxes."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from PIL import Image

from keras_cnns.evaluation.detection import precision_recall, voc_matches
from reproductions.study import save

WAYS = ("without regression", "with regression")


def curves(found, truths, labels, points=101):
    """Precision at as many recalls as a class has objects, thinned out: {way: {label: {"recall", "precision"}}}."""
    rows = {}
    for way, detections in found.items():
        rows[way] = {}
        for number, label in enumerate(labels):
            right, objects = voc_matches(detections, truths, number)
            if objects and len(right):
                precision, recall = precision_recall(right, objects)
                chosen = np.unique(np.searchsorted(recall, np.linspace(recall[0], recall[-1], points)))
                rows[way][label] = {
                    "recall": recall[chosen].round(4).tolist(),
                    "precision": precision[chosen].round(4).tolist(),
                }
    return rows


def draw(record, path):
    """Precision against recall of each class, with the regression of boxes and, dotted, without."""
    figure, axes = plt.subplots(figsize=(6.4, 5), layout="constrained")
    for way, look in zip(WAYS, (":", "-"), strict=True):
        for number, (label, curve) in enumerate(record["curves"][way].items()):
            text = f"{label}, AP {record['average_precision'][way][f'ap_{label}']:.1f} %" if look == "-" else None
            axes.plot(curve["recall"], curve["precision"], look, color=f"C{number}", label=text)
    maps = ", ".join(f"{record['average_precision'][way]['map']:.1f} % {way}" for way in WAYS)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=f"mAP {maps}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def draw_examples(photos, found, labels, path, count=4, least=0.0):
    """Photos with what is there (white, thin) and what is found with a score above `least`."""
    chosen = range(0, len(photos), max(len(photos) // count, 1))[:count]
    figure, grid = plt.subplots(1, len(chosen), figsize=(5 * len(chosen), 4.3), layout="constrained", squeeze=False)
    for axes, number in zip(grid[0], chosen, strict=True):
        photo, each = photos[number], found[number]
        axes.imshow(Image.open(photo["path"]).convert("RGB"))
        for box in photo["truth"]["boxes"]:
            frame(axes, box, "white", 2.4)
        for box, score, label in zip(each["boxes"], each["scores"], each["labels"], strict=True):
            if score > least:
                frame(axes, box, f"C{label}", 1.2)
                look = {"fontsize": 6, "color": "white", "backgroundcolor": f"C{label}", "clip_on": True}
                axes.text(box[0] + 2, box[1] + 2, f"{labels[label]} {score:.1f}", verticalalignment="top", **look)
        axes.axis("off")
        axes.set_title(photo["path"].stem, fontsize=9)
    figure.suptitle(f"white: what is there; coloured: what is found, SVM score above {least:g}", fontsize=9)
    save(figure, path)


def frame(axes, box, color, width):
    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=width))
