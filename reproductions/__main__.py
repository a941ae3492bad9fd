"""List the reproductions, what their papers claim and what was decided: `python -m reproductions`."""

import ast
import json
import textwrap
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main():
    decided = {}
    for file in sorted(RESULTS.glob("*.json")):
        record = json.loads(file.read_text())
        for claim in record["claims"]:
            row = f"{claim['id']:4} {claim['verdict']}, {record['finished'][:10]}: {claim['statement']}"
            decided.setdefault(record["command"].split()[2].removeprefix("reproductions."), []).append(row)
    print("python -m reproductions.NAME --help tells the flags; --smoke tries one for a minute, no download.\n")
    for file in sorted(Path(__file__).parent.glob("*.py")):
        documentation = ast.get_docstring(ast.parse(file.read_text())) or ""
        paper = [part for part in documentation.split("\n\n") if part.startswith("Paper: ")]
        if paper:
            title = documentation.splitlines()[0]
            print(f"{file.stem}\n  {title}\n{textwrap.indent(paper[0], '    ')}")
            print("\n".join(f"    {row}" for row in decided.pop(file.stem, [])), end="\n\n")
    for script, rows in decided.items():
        print(script, *(f"    {row}" for row in rows), sep="\n")


if __name__ == "__main__":
    main()
