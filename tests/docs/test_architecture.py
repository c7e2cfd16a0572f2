"""The plan of the house is true: its drawing is what the imports say, and every room in it is described."""

from __future__ import annotations

from tests.support import drawing


def test_the_drawing_is_what_the_imports_say() -> None:
    text = drawing.DOCUMENT.read_text(encoding="utf-8")
    assert text == drawing.document(), "run `make docs` and commit docs/architecture.md"


def test_every_room_is_described() -> None:
    text = drawing.DOCUMENT.read_text(encoding="utf-8")
    rooms = {name for edge in drawing.edges() for name in edge} - {"schemas", "reconciler.model"}
    assert [name for name in sorted(rooms) if f"`{name.replace('.', '/')}/`" not in text] == []
