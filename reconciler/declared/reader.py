"""YAML text → values with positions, by libyaml's events and one flat loop.

No recursion, no tags, no merge keys, no objects: mappings, lists and scalars only. Nesting, nodes made by aliases and
duplicate keys are bounded or refused, each with the position of the culprit. What it cannot read it says in diagnostics
and it still returns the documents that are whole. It opens no file; `files` does. Called by `load`.
"""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from reconciler.declared.positions import COLUMN_BITS, Document, index
from reconciler.declared.scalars import plain
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import encoding_error, error, position_of, reader_error, scanner_error
from reconciler.model import Diagnostic

_libyaml: Any = importlib.import_module("_ruamel_yaml")  # ships no types

MAX_DEPTH = 64
MAX_ALIAS_NODES = 10_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Event = Any
Container = Any  # dict[str, object] | list[object]


class _GiveUpError(Exception):
    """Ends the reading of a file; what to say is already among the diagnostics."""


def read(content: bytes, file: Path) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """The whole documents of a file, and what is wrong with the others. Empty documents are left out."""
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as failure:
        return (), (encoding_error(failure, content, file),)
    builder = _Builder(file)
    try:
        builder.run(_libyaml.CParser(content))
    except _GiveUpError:
        return tuple(builder.documents), tuple(builder.diagnostics)
    except _libyaml.ReaderError as failure:
        builder.diagnostics.append(reader_error(failure, content, file))
    except _libyaml.YAMLError as failure:
        builder.diagnostics.append(scanner_error(failure, content, file))
    return tuple(builder.documents), tuple(builder.diagnostics)


@dataclass(frozen=True, slots=True)
class _Drop:
    """Stands for a refused key: its value is read, then forgotten with every mark from `start` on."""

    start: int


class _Builder:
    """Builds documents from events: a stack of open containers, the packed marks so far, and the anchors."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.documents: list[Document] = []
        self.diagnostics: list[Diagnostic] = []
        self._handlers: dict[type, Callable[[Event], None]] = {
            _libyaml.ScalarEvent: self._scalar,
            _libyaml.MappingStartEvent: self._start_mapping,
            _libyaml.SequenceStartEvent: self._start_sequence,
            _libyaml.MappingEndEvent: self._end,
            _libyaml.SequenceEndEvent: self._end,
            _libyaml.AliasEvent: self._alias,
            _libyaml.DocumentStartEvent: self._start_document,
            _libyaml.DocumentEndEvent: self._end_document,
            _libyaml.StreamStartEvent: _nothing,
        }
        self._reset()

    def _reset(self) -> None:
        self._open: Container = []
        self._key: str | _Drop | None = None
        self._stack: list[tuple[Container, str | _Drop | None, int, str | None]] = []
        self._marks: list[int] = []
        self._anchors: dict[str, tuple[object, list[int]]] = {}
        self._unfinished: set[str] = set()
        self._alias_nodes = 0
        self._is_whole = True

    def run(self, parser: Any) -> None:
        """The flat loop. Most events are plain scalars, so these are handled on local variables, without a call;
        every other event sees and leaves the state in `self`."""
        next_event, handlers, scalar_type = parser.get_event, self._handlers, _libyaml.ScalarEvent
        container, key, marks = self._open, self._key, self._marks
        while (kind := type(event := next_event())) in handlers:
            if kind is scalar_type and event.ctag is None and event.anchor is None and type(key) is not _Drop:
                text, mark = event.value, event.start_mark
                if key is not None:
                    container[key] = text if event.style else plain(text)
                    key = None
                elif type(container) is list:
                    container.append(text if event.style else plain(text))
                elif text not in container and text != "<<":
                    key = intern(text)
                else:
                    key = self._refuse_key(text, event)
                marks.append(mark.line << COLUMN_BITS | mark.column)
            else:
                self._key = key
                handlers[kind](event)
                container, key, marks = self._open, self._key, self._marks

    def _scalar(self, event: Event) -> None:
        """A scalar with a tag or an anchor, or one that is dropped."""
        if event.ctag is not None:
            self._refuse_tag(event)
        is_key = self._key is None and type(self._open) is dict
        text: str = event.value
        if is_key:
            is_refused = text in self._open or text == "<<"
            self._key = self._refuse_key(text, event) if is_refused else intern(text)
        self._mark(event)
        value = text if is_key or event.style else plain(text)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._marks[-1:])
        if not is_key:
            self._place(value)

    def _mark(self, event: Event) -> None:
        mark = event.start_mark
        self._marks.append(mark.line << COLUMN_BITS | mark.column)

    def _place(self, value: object) -> None:
        key, self._key = self._key, None
        if key is None:
            self._open.append(value)
        elif isinstance(key, _Drop):
            del self._marks[key.start :]
        else:
            self._open[key] = value

    def _start_mapping(self, event: Event) -> None:
        self._start({}, event)

    def _start_sequence(self, event: Event) -> None:
        self._start([], event)

    def _start(self, container: Container, event: Event) -> None:
        self._require_value_place(event)
        if event.ctag is not None:
            self._refuse_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(
                "yaml-depth", f"nested more than {MAX_DEPTH} levels deep", event, "no kind nests so deep"
            )
            raise _GiveUpError
        if event.anchor is not None:
            self._unfinished.add(event.anchor)
        start = len(self._marks)
        self._mark(event)
        self._stack.append((self._open, self._key, start, event.anchor))
        self._open, self._key = container, None

    def _require_value_place(self, event: Event) -> None:
        if self._key is None and type(self._open) is dict:
            hint = 'write the key as one word or in quotes; an IPv6 address needs quotes too: "[::1]:10993"'
            self._refuse("yaml-key", "a key must be text", event, hint)
            raise _GiveUpError

    def _end(self, _event: Event) -> None:
        value = self._open
        self._open, self._key, start, anchor = self._stack.pop()
        if anchor is not None:
            self._unfinished.discard(anchor)
            self._anchors[anchor] = (value, self._marks[start:])
        self._place(value)

    def _alias(self, event: Event) -> None:
        self._require_value_place(event)
        if event.anchor not in self._anchors or event.anchor in self._unfinished:
            self._refuse_alias(event)
            value, marks = None, [0]
        else:
            value, marks = self._anchors[event.anchor]
        self._alias_nodes += len(marks)
        if self._alias_nodes > MAX_ALIAS_NODES:
            hint = "write the values out, or use fewer aliases"
            self._refuse(
                "yaml-alias-bomb", f"aliases expand to more than {MAX_ALIAS_NODES:,} nodes", event, hint
            )
            raise _GiveUpError
        self._mark(event)
        self._marks.extend(marks[1:])
        self._place(value)

    def _start_document(self, _event: Event) -> None:
        self._reset()

    def _end_document(self, _event: Event) -> None:
        value = self._open[0]
        if self._is_whole and value is not None:
            self.documents.append(Document(value, array("Q", self._marks)))

    def _refuse(self, code: str, message: str, event: Event, hint: str) -> None:
        self._is_whole = False
        self.diagnostics.append(error(code, message, position_of(event.start_mark, self.file), hint))

    def _refuse_tag(self, event: Event) -> None:
        tag = event.ctag.replace("tag:yaml.org,2002:", "!!")
        self._refuse(
            "yaml-tag", f"tags such as {tag} are not supported", event, "remove the tag; quotes make text"
        )

    def _refuse_key(self, key: str, event: Event) -> _Drop:
        drop = _Drop(len(self._marks))
        if key not in self._open:
            self._refuse("yaml-merge-key", "merge keys (<<) are not supported", event, "write the keys out")
            return drop
        _, _, start, _ = self._stack[-1]
        line, column = index(Document(self._open, self._marks[start:]))[(key,)].key
        message = f'duplicate key "{key}"; it is already in line {line + 1}, column {column + 1}'
        self._refuse("duplicate-key", message, event, "keep one of the two")
        return drop

    def _refuse_alias(self, event: Event) -> None:
        name = event.anchor
        if name in self._unfinished:
            self._refuse("yaml-alias", f"alias *{name} refers to itself", event, "write the value out")
        else:
            hint = did_you_mean(name, self._anchors) or f"define it before with &{name}"
            self._refuse("yaml-alias", f"alias *{name} has no anchor above it", event, hint)


def _nothing(_event: Event) -> None:
    """The start of the stream says nothing that a value needs."""
