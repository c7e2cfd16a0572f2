"""The drawing of docs/architecture.md, made from the imports as they are.

    python -m tests.support.drawing          writes the drawing into the document
    python -m tests.support.drawing --check  exits 1 when the document's drawing is not what the imports say

A room is a folder below `reconciler/` or `runtime/`; `schemas` is one room, and the modules directly in `reconciler/`
(the nouns) are another. Imports under `if TYPE_CHECKING` count too: they are knowledge all the same.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawing: begin -->", "<!-- drawing: end -->"
HOUSES = ("reconciler", "runtime", "schemas")


def room(module: str) -> str:
    """The room that a dotted module name lives in."""
    house, *rest = module.split(".")
    if house == "schemas":
        return "schemas"
    is_folder = bool(rest) and (ROOT / house / rest[0]).is_dir()
    return f"{house}.{rest[0]}" if is_folder else f"{house}.model"


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from package import module` names the module; `from module import name` names the module before it.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def edges() -> set[tuple[str, str]]:
    """Every "room imports room", without those inside one room."""
    found = set()
    for house in HOUSES:
        for path in sorted((ROOT / house).rglob("*.py")):
            here = room(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
            for module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                if module.split(".")[0] in HOUSES and room(module) != here:
                    found.add((here, room(module)))
    return found


def drawing() -> str:
    """The mermaid block, edges sorted; `schemas` is drawn once below the two houses."""
    rooms = sorted({name for edge in edges() for name in edge})
    lines = ["```mermaid", "flowchart TD"]
    for house in ("reconciler", "runtime"):
        lines.append(f"  subgraph {house}")
        lines += [f"    {name}[{name.split('.')[1]}]" for name in rooms if name.startswith(house + ".")]
        lines.append("  end")
    lines.append("  schemas[schemas]")
    lines += [f"  {source} --> {target}" for source, target in sorted(edges())]
    return "\n".join([*lines, "```"])


def document() -> str:
    """docs/architecture.md with its drawing as it should be."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{after}"


def main(argv: list[str]) -> int:
    """Write the drawing, or check it."""
    wanted = document()
    if "--check" in argv:
        return int(DOCUMENT.read_text(encoding="utf-8") != wanted)
    DOCUMENT.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
