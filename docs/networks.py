"""Every network that a paper prints, beside its paper's table: rows and diagrams, made once and kept in build/networks.

Building all of them takes minutes; what was made from the same code is used again.
"""

import gc
import hashlib
import json
from pathlib import Path

import keras

import keras_cnns
from keras_cnns.files import whole
from keras_cnns.inspection import diagram, layer_table
from keras_cnns.inspection.diagram import totals
from keras_cnns.inspection.paper_table import cell, compare, paper_rows, paper_tables, parse_call

LIBRARY = Path(keras_cnns.__file__).parent


def code():
    """A sum over what decides how the networks come out: the library, its tables and Keras."""
    digest = hashlib.sha256(keras.version().encode())
    for file in sorted([Path(__file__), *LIBRARY.rglob("*.py"), *LIBRARY.rglob("*.csv")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def network(table, kept, version):
    """What is shown of the network of one paper's table, a dict; its diagram is `kept`/TABLE.svg.

    Returns: {"version", "totals": a line on the whole network, "inputs": their shapes, "trainable": parameters,
        "rows": [[ours or None, paper's or None, what differs]]}; a row is a dict of strings, as the paper's table.
    """
    file = kept / f"{table}.json"
    if file.exists():
        made = json.loads(file.read_text())
        if made["version"] == version:
            return made
    builder, arguments = parse_call(paper_tables()[table][-1])
    model = getattr(keras_cnns, builder)(**arguments)
    rows = layer_table(model)
    made = {
        "version": version,
        "totals": totals(rows),
        "inputs": [cell(tuple(each.shape[1:])) for each in model.inputs],
        "trainable": sum(row.weights + row.biases + row.gamma_beta for row in rows),
        "rows": [
            [ours and {key: cell(value) for key, value in ours._asdict().items()}, theirs, differs]
            for ours, theirs, differs in compare(rows, paper_rows(table))
        ],
    }
    kept.mkdir(parents=True, exist_ok=True)
    with whole(kept / f"{table}.svg") as part:
        diagram(model).savefig(part, format="svg", metadata={"Date": None})
    with whole(file) as part:
        part.write_text(json.dumps(made))
    del model
    keras.backend.clear_session(free_memory=False)
    gc.collect()
    return made


def networks(kept):
    """All of them, by the tables' names; "calls" are those that build one."""
    version, made = code(), {}
    for number, (table, calls) in enumerate(paper_tables().items(), 1):
        print(f"network {number} of {len(paper_tables())}: {table}", flush=True)
        made[table] = network(table, kept, version) | {"calls": calls}
    return made
