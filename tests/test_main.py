"""The command line: its help, its errors and exit status, and what a shell completes."""

import shlex
import subprocess
import sys

import pytest

from keras_cnns.__main__ import EXAMPLES, command_line, main


@pytest.mark.parametrize("arguments", [[], ["fly"], ["export"], ["predict", "saved"]])
def test_a_call_that_is_no_call(arguments):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


@pytest.fixture(scope="module")
def commands():
    """Every command's parser by its name."""
    return command_line("keras-cnns")._subparsers._group_actions[0].choices


def test_help_tells_the_commands_and_the_exit_status(commands, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and "exit status:\n  0  all" in printed and "`python -m keras_cnns COMMAND" in printed
    assert all(f"\n    {name}" in printed for name in commands)


def test_every_command_has_examples_that_its_parser_takes(commands):
    assert set(EXAMPLES) == set(commands)
    for name, examples in EXAMPLES.items():
        for words in examples:
            options = command_line("keras-cnns").parse_args([name, *shlex.split(words.partition(">")[0])])
            assert options.command == name and not options.debug
            assert f"\n  keras-cnns {name} {words}".rstrip() in commands[name].format_help()


@pytest.mark.parametrize("arguments", [["--debug", "list"], ["list", "--debug"]])
def test_debug_stands_before_or_behind_the_command(arguments):
    assert command_line("keras-cnns").parse_args(arguments).debug


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("depth is 21; it must be 6n + 2."), "depth is 21; it must be 6n + 2."),
        (FileNotFoundError(2, "No such file or directory", "a.jpg"), "a.jpg: No such file or directory."),
        (OSError(28, "No space left on device"), "No space left on device."),
        (RuntimeError("out of memory\nNode: conv1"), "RuntimeError: out of memory (--debug shows more)"),
        (ValueError("bad file\n\nFull trace:"), "bad file (--debug shows more)"),
        (MemoryError(), "MemoryError:  (--debug shows more)"),
    ],
)
def test_an_error_is_one_sentence_and_with_debug_a_traceback(error, told, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr("keras_cnns.__main__.list_networks", fail)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"
    assert main(["list", "--debug"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last)") and "in fail\n" in printed


def test_interrupted(monkeypatch, capsys):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_cnns.__main__.list_networks", interrupt)
    assert main(["list"]) == 130  # as a shell has it: 128 and the number of the signal
    assert not capsys.readouterr().err


def test_bash_completes_commands_names_and_flags(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "keras-cnns"
    script.write_text(capsys.readouterr().out)

    def completed(*words):
        line = f'source {script}; COMP_WORDS=({" ".join(words)} ""); COMP_CWORD=$(({len(words)} - 1)); '
        line += f'_shtab_keras_cnns keras-cnns "{words[-1]}" {words[-2]}; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split()

    assert completed("keras-cnns", "rec") == ["receptive-field"]
    assert completed("keras-cnns", "describe", "resnet50") == ["resnet50", "resnet50_B"]
    assert "--json" in completed("keras-cnns", "detect", "--")


def test_completion_without_its_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == 'error: shtab is not installed: pip install "keras-cnns[completion]"\n'
