"""--accumulate and --recompute: in the record where they change the arithmetic, refused where they cannot be."""

import json

import pytest

from reproductions import runner
from tests.reproductions.small_recipe import recipe


@pytest.mark.slow
def test_what_changes_the_arithmetic_is_recorded_and_kept_on_resume(tmp_path, capsys):
    flags = ["--out", str(tmp_path / "run"), "--steps", "4", "--accumulate", "4"]
    assert runner.main(recipe, [*flags, "--recompute", "--checkpoint-steps", "2"]) == 0
    file = tmp_path / "run" / "record.json"
    record = json.loads(file.read_text())
    assert record["arguments"]["accumulate"] == 4 and "recompute" not in record["arguments"]
    expected = "batch statistics of micro-batches, 4 a step, whose gradients are accumulated"
    assert expected in record["deviations"]
    assert record["steps"] == 4 and record["batch_size"] == 64
    del record["finished"]
    file.write_text(json.dumps(record))
    assert runner.main(recipe, [*flags, "--resume"]) == 0  # without --recompute it is the same run
    file.write_text(json.dumps(record))
    assert runner.main(recipe, [*flags[:-1], "2", "--resume"]) == 2
    assert "was started with {'accumulate': 4}" in capsys.readouterr().err


def test_micro_batches_that_do_not_divide_the_batch_are_refused(tmp_path, capsys):
    assert runner.main(recipe, ["--out", str(tmp_path / "run"), "--accumulate", "5"]) == 2
    assert "--accumulate is 5; it must divide a replica's 64 images of a batch" in capsys.readouterr().err


def test_less_than_one_micro_batch_is_refused(capsys):
    with pytest.raises(SystemExit):
        runner.main(recipe, ["--accumulate", "0"])
    assert "--accumulate is 0; it must be at least 1" in capsys.readouterr().err
