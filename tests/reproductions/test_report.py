"""RESULTS.md says what the records say."""

import json
import shutil

import pytest
from matplotlib.figure import Figure

from keras_cnns.inspection.tiles import save
from reproductions import __main__ as listing
from reproductions.report import ROOT, report

MADE = {
    "finished": "2026-11-22T10:00:00+00:00",
    "commit": "0123456789abcdef0123456789abcdef01234567+",
    "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    "hardware": {"processor": "Some Processor", "cores": 2},
    "command": "python -m reproductions.some_script --depth 20",
}
EPOCH = {"loss": 1.0, "accuracy": 0.5, "test_loss": 1.1, "test_top1_error": 40.0}
TRAINED = MADE | {
    "script": "resnet_cifar10",
    "smoke": False,
    "seed": 3,
    "data": {"train": "ten images"},
    "model": {"name": "resnet_cifar20"},
    "steps": 64_000,
    "batch_size": 128,
    "epochs": [{"step": 100, "seconds": 3600} | EPOCH, {"step": 200, "seconds": 1800} | EPOCH],
    "sittings": [{}, {}],
    "deviations": ["no validation split"],
    "claims": [
        {
            "id": "R3",
            "statement": "test error, %",
            "metric": "top1_error",
            "rule": "at most 9.25",
            "paper": 8.75,
            "ours": 9.318,
            "verdict": "does not hold",
        }
    ],
}
COUNTED = MADE | {
    "claims": [{"id": "A1", "statement": "parameters", "paper": 60965224, "ours": 60965224, "verdict": "holds"}]
}
RUN = {"seed": 0, "smoke": False, "model": {"parameters": 855_770}, "steps": 20, "batch_size": 90, "seconds": 1800}
STUDY = MADE | {
    "script": "density_cifar10",
    "runs": [
        RUN | {"name": name, "seed": seed, "epochs": [{"step": 20, "training_error": 30.0, "test_error": error + seed}]}
        for name, error in (("ResNet-56", 25.0), ("DenseNet-40", 22.5))
        for seed in (0, 1)
    ],
    "claims": [{"id": "D1", "statement": "points", "paper": None, "ours": "+2.50", "rule": "x", "verdict": "holds"}],
    "deviations": ["ten epochs"],
}
MEASURED = MADE | {
    "script": "resnet1202_cifar10",
    "seconds": [36.0, 324.0],
    "claims": [{"id": "R4", "statement": "GB", "paper": None, "ours": 3.9, "rule": "at most 20", "verdict": "holds"}],
    "notes": ["built in 20 s"],
}
SOAK = MADE | {
    "kills": 7,
    "trainings": 2,
    "killed_while": {"training or testing": 4, "starting": 3},
    "unreadable_checkpoints": 0,
    "arrays_compared": 90,
    "different": 0,
    "seed": 5,
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "reproductions/results").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    return tmp_path


def write(path, content):
    path.write_text(json.dumps(content))


@pytest.mark.slow
def test_records_become_a_page(root):
    write(root / "reproductions/results/resnet20.json", TRAINED)
    write(root / "reproductions/results/arithmetic.json", COUNTED)
    write(root / "tests/soak.json", SOAK)
    text = report(root)
    assert "| R3 | test error, % | 8.75 | 9.32 | at most 9.25 | does not hold |" in text
    assert "| A1 | parameters | 60,965,224 | 60,965,224 | equal | holds |" in text
    assert (
        "commit 0123456789+" in text and "1.5 hours, sittings: 2" in text and "Deviation: no validation split." in text
    )
    assert "7 kills" in text and "over 2 trainings" in text and "training or testing 4, starting 3" in text
    picture = (root / "reproductions/results/resnet20.png").read_bytes()
    assert report(root) == text and (root / "reproductions/results/resnet20.png").read_bytes() == picture


def test_studies_and_measurements_become_sections(root):
    write(root / "reproductions/results/density_cifar10.json", STUDY)
    write(root / "reproductions/results/resnet1202_cifar10.json", MEASURED)
    text = report(root)
    assert "### DenseNet beside ResNet: Huang et al." in text and "Deviation: ten epochs." in text
    assert "| ResNet-56 | 855,770 | 30.00, 30.00 | 25.00, 26.00 | 1 | 1.0 |" in text  # 2 x 20 x 90 images an hour
    assert "| DenseNet-40 | 855,770 | 30.00, 30.00 | 22.50, 23.50 | 1 | 1.0 |" in text and "; 2.0 hours." in text
    assert "(reproductions/results/density_cifar10.png)" in text
    assert "| R4 | GB |  | 3.90 | at most 20 | holds |" in text and "; 0.1 hours." in text and "Built in 20 s." in text
    assert "resnet1202_cifar10.png" not in text


def test_a_study_tells_its_trainings_deviations(root):
    both, one = "no validation split", "normalised by channel"
    runs = [
        run | {"deviations": ["ten epochs", *([one] if run["name"] == "ResNet-56" else []), both]}
        for run in STUDY["runs"]
    ]
    write(root / "reproductions/results/density_cifar10.json", STUDY | {"runs": runs})
    text = report(root)
    assert (
        "Deviation: ten epochs.\n\nDeviations of every training:\n\n- no validation split\n\n"
        "Deviations of ResNet-56:\n\n- normalised by channel\n\n![" in text
    )


def test_scores_by_class_and_example_pictures_are_shown(root):
    last = {"step": 100, "seconds": 60, "loss": 1.0, "accuracy": 0.9, "test_loss": 1.1, "test_mean_iu": 47.5}
    row = last | {"test_iu_sky": 90.04, "test_iu_road": 4.96}
    claim = TRAINED["claims"][0] | {"metric": "mean_iu", "paper": 47.7, "ours": 47.5, "rule": "at least 47.2"}
    write(
        root / "reproductions/results/segnet.json",
        TRAINED
        | {"script": "segnet_basic_camvid", "curve": "mean_iu", "epochs": [row], "claims": [claim], "seen": "Roads."},
    )
    text = report(root)
    assert "IU of the classes, %: sky 90.0, road 5.0." in text and "at least 47.2" in text and "Examples" not in text
    (root / "reproductions/results/segnet-examples.png").write_bytes(b"")
    assert "![Examples](reproductions/results/segnet-examples.png)\n\n**What it shows:** Roads.\n" in report(root)


def test_pictures_of_a_network_stand_with_their_commands_and_what_was_seen(root):
    write(root / "reproductions/results/zfnet_camvid.json", TRAINED)
    folder = root / "reproductions/results/zfnet_camvid"
    folder.mkdir()
    row = {"file": "fig6.png", "command": "python -m keras_cnns visualize RUN", "seen": "Four filters are dead."}
    write(folder / "figures.json", [row])
    save(Figure(figsize=(1, 1)), folder / "fig6.png", "Fig. 6: filters.")
    text = report(root)
    assert "![fig6.png](reproductions/results/zfnet_camvid/fig6.png)\n\n`python -m keras_cnns visualize RUN`" in text
    assert "Fig. 6: filters.\n\n**What it shows:** Four filters are dead." in text


@pytest.mark.parametrize("change", [{"finished": None}, {"smoke": True}])
def test_what_decides_nothing_is_refused(root, change):
    write(root / "reproductions/results/resnet20.json", TRAINED | change)
    with pytest.raises(ValueError, match=r"resnet20.json must be the record of a finished run"):
        report(root)


@pytest.mark.slow
def test_the_committed_page_is_what_the_committed_records_say(root):
    results, kinds = ROOT / "reproductions/results", ("*.json", "*-examples.png", "*/figures.json", "*/*.png")
    records = [file for kind in kinds for file in results.glob(kind)]
    for file in [*records, *ROOT.glob("benchmarks/*.json"), ROOT / "tests/soak.json"]:
        copy = root / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    assert report(root) == (ROOT / "RESULTS.md").read_text()


def test_the_list_of_scripts_has_their_verdicts(capsys, monkeypatch, tmp_path):
    (tmp_path / "record.json").write_text(json.dumps(TRAINED | {"command": "python -m reproductions.resnet_cifar10"}))
    monkeypatch.setattr(listing, "RESULTS", tmp_path)
    listing.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("resnet_cifar10") + 2] == "    R3   does not hold, 2026-11-22: test error, %"
    assert lines[lines.index("density_cifar10") + 2] == "    no run yet"
