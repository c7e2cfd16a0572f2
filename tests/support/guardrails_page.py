"""The generated half of docs/guardrails.md: one section for each shipped policy.

python -m tests.support.guardrails_page          writes it into the document
python -m tests.support.guardrails_page --check  exits 1 when the document is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

from reconciler.guardrails.files import SHIPPED, load_policies
from reconciler.guardrails.pages import reference

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "guardrails.md"
BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"


def document() -> str:
    """The document with its rules as they should be."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference(load_policies(SHIPPED).policies)}{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the document, or compare it."""
    if "--check" in arguments:
        return int(DOCUMENT.read_text(encoding="utf-8") != document())
    DOCUMENT.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
