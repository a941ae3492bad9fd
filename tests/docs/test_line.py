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


def test_the_picture_is_drawn(tmp_path):
    draw(tmp_path / "line.png")
    assert (tmp_path / "line.png").stat().st_size > 20_000
