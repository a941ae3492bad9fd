"""The recall curves of selective search, on a small folder in VOC's layout."""

import json

import numpy as np
import pytest
from PIL import Image

from reproductions import selective_search_bccd

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


@pytest.fixture
def folder(tmp_path):
    """Two photos with two coloured rectangles each."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / "voc" / part).mkdir(parents=True)
    for name, shift in (("a", 0), ("b", 10)):
        image = np.full((100, 120, 3), 200, "uint8")
        image[20 : 60 + shift, 20:70] = (200, 30, 30)
        image[70:95, 60 + shift : 110] = (30, 30, 200)
        Image.fromarray(image).save(tmp_path / f"voc/JPEGImages/{name}.png")
        objects = OBJECT.format("red", 21, 21, 70, 60 + shift) + OBJECT.format("blue", 61 + shift, 71, 110, 95)
        (tmp_path / f"voc/Annotations/{name}.xml").write_text(f"<annotation>{objects}</annotation>")
    for split in ("trainval", "test"):
        (tmp_path / f"voc/ImageSets/Main/{split}.txt").write_text("a\nb\n")
    return tmp_path / "voc"


@pytest.mark.slow
def test_a_small_run(folder, tmp_path, capsys):
    out = tmp_path / "run/record.json"
    assert selective_search_bccd.main(["--data-dir", str(folder), "--out", str(out), "--images", "2"]) == 0
    record = json.loads(out.read_text())
    runs = {run["name"]: run for run in record["proposals"]}
    assert list(runs) == ["single", "fast", "quality", "flat", "hierarchy"]
    assert runs["fast"]["by_count"][-1]["mabo"] == pytest.approx(1, abs=0.01)
    assert runs["flat"]["by_count"][-1]["recall_50"] == 1
    assert all(claim["id"] == "B3" and claim["verdict"] == "not decided (smoke run)" for claim in record["claims"])
    assert {file.name for file in out.parent.glob("*.png")} == {"record.png", "record-examples.png"}
    first = (out.parent / "record.png").read_bytes()
    selective_search_bccd.draw(record, out.parent / "again.png")
    assert (out.parent / "again.png").read_bytes() == first
    assert "B3: fast: MABO" in capsys.readouterr().out


def test_claims_are_decided_by_their_rules():
    def run(recall, mabo):
        return {"boxes": 100.0, "by_count": [{"recall_50": 0.0, "mabo": 0.0}, {"recall_50": recall, "mabo": mabo}]}

    runs = {
        "single": run(0.5, 0.6),
        "fast": run(0.981, 0.803),
        "quality": run(0.99, 0.88),
        "flat": run(0.5, 0.5),
        "hierarchy": run(0.5, 0.5),
    }
    verdicts = [claim["verdict"] for claim in selective_search_bccd.claims(runs, smoke=False)]
    assert verdicts == ["holds", "does not hold", "does not hold", "holds", "holds", "does not hold"]


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert selective_search_bccd.main(["--data-dir", str(tmp_path / "nothing")]) == 2
    assert "nothing/ImageSets/Main" in capsys.readouterr().err
