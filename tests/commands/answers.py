"""What a command with `--json` prints."""

import json


def answers(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
