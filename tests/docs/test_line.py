"""The picture of README says what the papers' tables say."""

import pytest

from docs.line import LANES, draw
from keras_cnns.inspection.paper_table import paper_rows

ROWS = [row for lane in LANES.values() for row in lane if row[-1]]
CHAINS = {"alexnet", "zfnet", "overfeat_accurate", "vgg_E", "rcnn_alexnet", "sppnet", "yolo", "deconvnet", "segnet"}
CHAINS |= {"gan_generator", "dcgan_generator"}  # one layer after another: the depth is a count of rows


@pytest.mark.parametrize(("year", "name", "layers", "parameters", "table"), ROWS)
def test_parameters_and_depth_are_those_of_the_table(year, name, layers, parameters, table):
    rows = list(paper_rows(table))
    assert sum(int(row[key]) for row in rows for key in ("weights", "biases", "gamma_beta")) == parameters
    if table in CHAINS:
        assert sum(int(row["weights"]) > 0 and int(row["multiply_adds"]) > 0 for row in rows) == layers


def test_what_learns_without_labels_has_the_parameters_of_the_papers_folder():
    """No table is printed: ResNet-50 without its last layer, and MoCo's 128 features or SimCLR's two layers."""
    encoder = 23_508_032
    expected = {"Jigsaw, a tile": 4_694_400, "RotNet": 1_411_140, "Colorization": 32_230_393}
    expected |= {"MoCo": encoder + 2048 * 128 + 128, "SimCLR": encoder + 2048 * 2048 + 2048 * 128}
    assert {name: parameters for _, name, _, parameters, _ in LANES["without labels"]} == expected


def test_the_picture_is_drawn(tmp_path):
    draw(tmp_path / "line.png")
    assert (tmp_path / "line.png").stat().st_size > 20_000
