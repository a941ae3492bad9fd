"""List the reproductions, what their papers claim and what was decided: `python -m reproductions`."""

import ast
import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main():
    decided = {}
    for file in sorted(RESULTS.glob("*.json")):
        record = json.loads(file.read_text())
        for claim in record["claims"]:
            row = f"{claim['id']:4} {claim['verdict']}, {record['finished'][:10]}: {claim['statement']}"
            decided.setdefault(record["command"].split()[2].removeprefix("reproductions."), []).append(row)
    print("python -m reproductions.NAME --help tells the paper's figures and the flags; --smoke tries it, no download.")
    print("Under a script stand its claims that a run has decided: id, verdict, date.\n")
    for file in sorted(Path(__file__).parent.glob("*.py")):
        documentation = ast.get_docstring(ast.parse(file.read_text())) or ""
        if "\nPaper: " in documentation:
            title, rows = documentation.partition("\n\n")[0].replace("\n", " "), decided.pop(file.stem, ["no run yet"])
            print(file.stem, f"  {title}", *(f"    {row}" for row in rows), sep="\n")
    for script, rows in decided.items():
        print(script, *(f"    {row}" for row in rows), sep="\n")


if __name__ == "__main__":
    main()
