"""The ratios of R-CNN's, SPPNet's and Fast R-CNN's times, their rule, and what stands for SPPNet with VGG-16."""

import numpy as np
import pytest
from PIL import Image

from reproductions import region_times_bccd as times

# Seconds of three photographs, and of a training.
SECONDS = {
    "R-CNN": [{"convolutions": each - 2, "whole": each} for each in (102, 202, 302)],
    "SPPNet, one scale": [{"convolutions": 2, "whole": 4}] * 3,
    "SPPNet, five scales": [{"convolutions": 10, "whole": 12}] * 3,
    "Fast R-CNN": [{"whole": 2}] * 3,
    "Fast R-CNN, SVD": [{"whole": 1}] * 3,
}
TRAINING = {
    "R-CNN": {"fine-tuning": 700, "features": 250, "SVMs and regression": 50},
    "Fast R-CNN": {"fine-tuning": 250},
    "a step": {},
}


def test_ratios_are_medians_over_the_photographs_and_of_whole_trainings():
    assert times.ratio(SECONDS, TRAINING, "SPPNet, one scale", "convolutions") == 100  # 200 / 2
    assert times.ratio(SECONDS, TRAINING, "Fast R-CNN, SVD", "whole") == 202
    assert times.ratio(SECONDS, TRAINING, "Fast R-CNN", "training") == 4  # 1000 / 250


def test_half_of_the_papers_ratio_is_enough():
    papers = {key[1:]: value for key, value in times.PAPER.items()}
    assert papers["Fast R-CNN", "whole"] == 146 and papers["SPPNet, five scales", "whole"] == 38
    row = lambda ours, smoke=False: times.row("B6", "Fast R-CNN", "whole", 146, ours, smoke)["verdict"]
    assert [row(73.0), row(72.9), row(99, True)] == ["holds", "does not hold", "not decided (smoke run)"]


def test_the_picture(tmp_path):
    times.draw({"an_image": SECONDS, "training": TRAINING}, tmp_path / "times.png")
    assert Image.open(tmp_path / "times.png").width > 1000


def test_random_svms_and_regressors_find_boxes_inside_the_photograph():
    photo = {"pixels": np.zeros((40, 60, 3), "uint8"), "boxes": np.float32([[1, 2, 30, 20], [20, 10, 59, 39]])}
    found = times.decided(*times.anything(8, 3), np.ones((2, 8), "float32"), np.ones((2, 4096), "float32"), photo)
    assert len(found["boxes"]) >= 3 and set(found["labels"].tolist()) == {0, 1, 2}
    assert (found["boxes"] >= 0).all() and (found["boxes"] <= [60, 40, 60, 40]).all()


@pytest.mark.slow
def test_the_last_photograph_leaves_no_class_without_an_object(tmp_path):
    photos = times.photos_of(times.digit_boxes("train"), tmp_path, 6, 20)
    assert len(photos) == 6 and len({label for photo in photos for label in photo["labels"].tolist()}) == 10
    assert all(len(photo["boxes"]) <= 20 and photo["path"].is_file() for photo in photos)
    with pytest.raises(ValueError, match="has no 1 photographs that show each of its 10 classes"):
        times.photos_of(times.digit_boxes("train").take(5), tmp_path, 1, 20)
