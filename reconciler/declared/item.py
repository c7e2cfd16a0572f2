"""One document on its way from a file to a declaration, and the file's record that remembers whether all went well.

The only values of this room that change: `load` fills them in, stage by stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.declared.positions import Document

if TYPE_CHECKING:
    from reconciler.declared.check import Declaration
    from reconciler.declared.frozen import Frozen

Name = tuple[str, str]


@dataclass(slots=True, eq=False)
class Record:
    """A file that was read. It is clean as long as nothing in it was complained about."""

    path: Path
    key: str
    has_references: bool
    is_known: bool = False
    is_clean: bool = True
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Item:
    """A document and the records of the files it stands in; `frozen` is what a former run made of it, when variables
    had the digest `bound`. `is_added` tells a document that an overlay alone declares."""

    document: Document
    records: tuple[Record, ...]
    frozen: Frozen | None = None
    bound: str = ""
    declaration: Declaration | None = None
    is_added: bool = False

    @property
    def file(self) -> Path:
        """Where the document starts."""
        return self.records[0].path

    @property
    def has_references(self) -> bool:
        """True when ${…} may stand in it."""
        return any(record.has_references for record in self.records)

    def complain(self) -> None:
        """Note that something is wrong with it."""
        for record in self.records:
            record.is_clean = False


def name_of(document: Document) -> Name | None:
    """Kind and name, when the document has them."""
    match document.value:
        case {"kind": str(kind), "metadata": {"name": str(name)}}:
            return kind, name
        case _:
            return None
