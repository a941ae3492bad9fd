"""What the commands of the command line do: of networks, and of runs and photographs."""

import json

from tqdm import tqdm


def print_json(value):
    """Print a value as one line of JSON; fractions of a pixel as text."""
    tqdm.write(json.dumps(value, default=str))
