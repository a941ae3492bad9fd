"""List the reproductions and what they claim: `python -m reproductions`."""

import ast
import textwrap
from pathlib import Path


def main():
    print("python -m reproductions.NAME --help tells the flags; --smoke tries one for a minute, no download.\n")
    for file in sorted(Path(__file__).parent.glob("*.py")):
        documentation = ast.get_docstring(ast.parse(file.read_text())) or ""
        paper = [part for part in documentation.split("\n\n") if part.startswith("Paper: ")]
        if paper:
            title = documentation.splitlines()[0]
            print(f"{file.stem}\n  {title}\n{textwrap.indent(paper[0], '    ')}\n")


if __name__ == "__main__":
    main()
