"""JSON → Plan: the way back from `rendering.plan_json`.

Reading is strict: whatever is missing, or not of the type that it is written with, raises one of KeyError, TypeError
and ValueError, which `document` turns into one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.model import (
    Allowance,
    Cause,
    Change,
    FieldChange,
    Hold,
    Key,
    Plan,
    Position,
    Reach,
    Refusal,
    Selection,
    ServiceAction,
    ServiceImpact,
)
from reconciler.rendering.plan_json import ACTIONS
from schemas.v1.impact import Impact

_ACTIONS = {name: action for action, name in ACTIONS.items()}
_IMPACTS = {impact.value: impact for impact in Impact}
Json = Mapping[str, Any]


def plan_of(data: Json) -> Plan:
    """The plan that was rendered as `data`."""
    changes = tuple(_change(one) for one in data["changes"])
    partial = data["partial"] or {"only": [], "exclude": []}
    fingerprint = {key_named(name): _revision(number) for name, number in data["fingerprint"].items()}
    return Plan(
        configuration_digest=text(data["configurationDigest"]),
        changes=changes,
        impacts=tuple(_impact(one) for one in data["services"]),
        fingerprint=fingerprint,
        undeclared=tuple(key(one) for one in data["undeclared"]),
        unreadable=tuple((key(one), text(one["error"])) for one in data["unreadable"]),
        owed=tuple(_impact(one) for one in data["owed"]),
        selection=Selection(tuple(map(text, partial["only"])), tuple(map(text, partial["exclude"]))),
        refused=tuple(Refusal(key(one), text(one["reason"])) for one in data["refused"]),
        reach=Reach(tuple(map(text, data["reach"]["servers"])), int(data["reach"]["mailboxes"])),
        held=tuple((key(one), _hold(one)) for one in data["held"]),
        environment=_text_or_none(data.get("environment")),
        uncompared=tuple((key(one), text(one["path"])) for one in data["uncompared"]),
    )


def key(data: Json) -> Key:
    """`{kind, name}`."""
    return Key(text(data["kind"]), text(data["name"]))


def text(value: object) -> str:
    """The value, which has to be text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def key_named(written: str) -> Key:
    """The key that is written as Kind/name. Raises ValueError."""
    kind, slash, name = written.partition("/")
    if not slash:
        raise ValueError(f"{written} names no resource")
    return Key(kind, name)


def _change(data: Json) -> Change:
    return Change(
        key=key(data),
        action=_ACTIONS[data["action"]],
        fields=tuple(_field(one) for one in data["fields"]),
        revision=_revision(data["revision"]),
        position=_position(data["position"]),
        renamed_from=_text_or_none(data["renamedFrom"]),
        cascades=tuple(key(one) for one in data["cascades"]),
    )


def _text_or_none(value: object) -> str | None:
    return None if value is None else text(value)


def _revision(value: object) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError(f"expected a revision, got {value!r}")
    return value


def _field(data: Json) -> FieldChange:
    is_secret = "secret" in data
    return FieldChange(
        path=text(data["path"]),
        old=None if is_secret else data["old"],
        new=None if is_secret else data["new"],
        is_secret=is_secret,
        position=_position(data["position"]),
        impact=_IMPACTS[data["impact"]],
        note=text(data.get("note", "")),
    )


def _impact(data: Json) -> ServiceImpact:
    return ServiceImpact(
        service=text(data["service"]),
        action=ServiceAction(data["action"]),
        causes=tuple(Cause(key(one), text(one["path"]), one["old"], one["new"]) for one in data["causes"]),
        sessions=_revision(data["sessions"]),
    )


def _hold(data: Json) -> Hold:
    """What a plan says of a hold; when it began is not in it."""
    return Hold(str(key(data)), text(data["until"]), text(data["reason"]), text(data["by"]), since="")


def allowance(data: Json) -> Allowance:
    """What a document lets through, with the line that says so."""
    return Allowance(text(data["rule"]), text(data["reason"]), _placed(data["position"]))


def _position(data: Json | None) -> Position | None:
    return None if data is None else _placed(data)


def _placed(data: Json) -> Position:
    return Position(Path(text(data["file"])), int(data["line"]), int(data["column"]))
