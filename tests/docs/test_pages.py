"""What the generated pages say of records, scripts and layers; `make docs` tries the links between them."""

import ast

import pytest

from docs import pages, sources
from keras_cnns.inspection.paper_table import paper_rows, paper_tables


def row(**changes):
    (first, *_) = paper_rows("alexnet")
    return {**first, **changes}


def test_layers_stand_beside_the_papers():
    network = {"calls": ["alexnet()"], "rows": [[row(), row(), []], [row(kernel="7"), row(), ["kernel"]]]}
    text = pages.layers_beside("alexnet", network, unfolded=True)
    assert "<code>alexnet()</code>: 1 of 2 rows equal" in text and "search-exclude open>" in text
    assert text.count("<td>34,848 + 96</td>") == 4 and text.count("<td>11/4, 0</td>") == 3
    assert text.count("<td>=</td>") == 1 and '<td class="differs" title="kernel">≠</td>' in text


def test_a_long_table_is_cut_in_the_middle_and_says_so():
    network = {"calls": ["alexnet()"], "rows": [[row(), row(), []]] * 1000}
    text = pages.layers_beside("alexnet", network, unfolded=True)
    assert "880 rows of the same blocks are not shown here" in text and " open>" not in text
    assert text.count("<td>=</td>") == 120


@pytest.mark.parametrize(("words", "kind"), [("holds", "holds"), ("does not hold", "fails"), ("not decided", "open")])
def test_a_verdict_has_its_colour(words, kind):
    claim = {"id": "A3", "statement": "it helps", "paper": 2.0, "ours": "+1", "rule": "a < b", "verdict": words}
    text = pages.verdicts_table([claim])
    assert f'[A3](../claims/A3.md) | <span class="verdict {kind}">{words}</span> | it helps<br>' in text
    assert "a &lt; b" in text and text.endswith("| 2.00 | +1 |")


def test_every_network_has_its_papers_tables():
    builders = sources.papers()
    told = {table for builder in builders for table in pages.tables_of(builder)}
    assert told == set(paper_tables()) and all(pages.tables_of(builder) for builder in builders)


def test_scripts_belong_to_the_networks_they_train():
    scripts = sources.scripts()
    assert scripts["zfnet_camvid"].builders == {"alexnet", "zfnet"}
    assert scripts["degradation_cifar10"].builders == {"resnet_cifar"}  # by its trainings
    assert scripts["relu_cifar10"].builders == {"alexnet"}  # a small network of its own, by its paper
    assert scripts["alexnet_imagenet"].commands == ["python -m reproductions.alexnet_imagenet --data-dir DIR"]
    assert "A6" in scripts["alexnet_imagenet"].ids and "D1" in scripts["density_cifar10"].ids


def test_a_colour_is_no_claim():
    code = 'draw(x, "C3", color="C2")\nDifference("C7", "text")\ncolours = {"a": "C0"}\nrow = "C5", 1\nap("x", "B6")'
    assert sources.ids_in(ast.parse(code)) == {"C7", "C5", "B6"}
