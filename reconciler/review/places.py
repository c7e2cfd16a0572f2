"""Files as the repository names them: every path of a clone becomes one that counts from the repository's top.

`declared` works on absolute paths, so that both revisions mean the same files; nobody who reads a comment has them, and
the same pull request has to give the same text on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

from pydantic import JsonValue

from reconciler.model import Cause, Change, Diagnostic, FieldChange, Plan, Position, ServiceImpact
from reconciler.review.difference import Concern
from reconciler.verdict import Finding

ValueT = TypeVar("ValueT", FieldChange, Cause, Concern)


class Places:
    """Renames what lies below `top`; other paths stay as they are."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._prefix = f"{top}/"

    def position(self, where: Position | None) -> Position | None:
        """The same place, its file from the top."""
        return None if where is None else replace(where, file=self.file(where.file))

    def file(self, file: Path) -> Path:
        """The file from the top."""
        return file.relative_to(self._top) if file.is_relative_to(self._top) else file

    def diagnostic(self, found: Diagnostic) -> Diagnostic:
        """Its place, and the places that its words name."""
        message = found.message.replace(self._prefix, "")
        hint = found.hint.replace(self._prefix, "") if found.hint else found.hint
        allowed = found.allowed and replace(found.allowed, position=self._sure(found.allowed.position))
        position = self.position(found.position)
        return replace(found, message=message, hint=hint, position=position, allowed=allowed)

    def sources(self, found: Mapping[Path, str]) -> Mapping[Path, str]:
        """Texts by their file from the top."""
        return {self.file(file): text for file, text in found.items()}

    def finding(self, found: Finding) -> Finding:
        """Its diagnostic, and the place of its waiver."""
        waiver = found.waiver and replace(found.waiver, position=self._sure(found.waiver.position))
        return replace(found, diagnostic=self.diagnostic(found.diagnostic), waiver=waiver)

    def concern(self, concern: Concern) -> Concern:
        """Its place and its values."""
        return replace(self._values(concern), position=self.position(concern.position))

    def plan(self, plan: Plan) -> Plan:
        """Every place and every file in it."""
        return replace(
            plan,
            changes=tuple(self._change(change) for change in plan.changes),
            impacts=self._impacts(plan.impacts),
            owed=self._impacts(plan.owed),
        )

    def _change(self, change: Change) -> Change:
        fields = tuple(
            replace(
                self._values(field),
                position=self.position(field.position),
                note=field.note.replace(self._prefix, ""),
            )
            for field in change.fields
        )
        return replace(change, fields=fields, position=self.position(change.position))

    def _impacts(self, impacts: Iterable[ServiceImpact]) -> tuple[ServiceImpact, ...]:
        return tuple(
            replace(impact, causes=tuple(self._values(cause) for cause in impact.causes))
            for impact in impacts
        )

    def _values(self, of: ValueT) -> ValueT:
        return replace(of, old=self._value(of.old), new=self._value(of.new))

    def _value(self, value: JsonValue) -> JsonValue:
        return value.removeprefix(self._prefix) if isinstance(value, str) else value

    def _sure(self, where: Position) -> Position:
        return cast("Position", self.position(where))
