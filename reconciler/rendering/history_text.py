"""The history → text and data: a line an apply, or all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.applying.history import Entry
from reconciler.model import Outcome
from reconciler.rendering.table import table
from reconciler.rendering.text import painter, printable

_STYLES = {"applied": "green", "rolled back": "yellow", "unfinished": "red"}
_SHORT = 10  # characters of a commit or a digest
_HEADER = ("NO", "TIME", "WHO", "OUTCOME", "COMMIT", "WHAT")


def render_history_text(entries: Iterable[Entry], *, columns: int | None) -> str:
    """A line each, in the order given, for a terminal of so many columns; None cuts nothing."""
    rows = [
        (
            str(entry.number),
            str(entry.values["time"])[:19].replace("T", " "),
            printable(str(entry.values["user"])),
            entry.outcome,
            _commit(entry.values),
            _what(entry.values),
        )
        for entry in entries
    ]
    return "\n".join(table([_HEADER, *rows], columns=columns)) if rows else "Nothing was applied yet."


def render_entry_text(entry: Entry, *, colour: bool, columns: int | None) -> str:
    """One apply: who, when, from which commit and plan, and the result of each change."""
    paint = painter(colour=colour)
    values = entry.values
    origin = values.get("origin") or {}
    facts = {
        "apply": entry.apply_id,
        "time": values["time"],
        "who": values["user"],
        "outcome": paint(entry.outcome, _STYLES[entry.outcome]),
        "commit": values.get("commit") or _no_commit(origin),
        "plan": values["plan"],
        "configuration": values.get("configuration") or "",
        "origin": _origin(values),
        "saved plan": origin.get("savedPlan"),
        "estate": estate_of(origin),
        "live revision": values.get("epoch"),
        "error": printable(str(values["error"])) if values.get("error") else None,
    }
    lines = [f"{name:14} {value}" for name, value in facts.items() if value not in (None, "")]
    steps = [
        (
            step["outcome"],
            printable(str(step.get("action") or "")),
            printable(step["subject"]),
            printable(step["detail"]),
        )
        for step in values["steps"]
    ]
    listed = table([("RESULT", "ACTION", "SUBJECT", "DETAIL"), *steps], columns=columns)
    return "\n".join([f"History entry {entry.number}", *lines, "", *listed])


def _no_commit(origin: Mapping[str, Any]) -> str:
    is_back = origin.get("rollbackTo") is not None
    return "none: a roll back is of no files" if is_back else "none: not from a git repository"


def history_json(entries: Iterable[Entry]) -> dict[str, Any]:
    """As it was written, numbered."""
    return {"entries": [entry_json(entry) for entry in entries]}


def entry_json(entry: Entry) -> dict[str, Any]:
    """One entry."""
    return {"number": entry.number, **entry.values}


def _commit(values: Mapping[str, Any]) -> str:
    commit = values.get("commit")
    if not commit:
        return "-"
    return f"{str(commit)[:_SHORT]}{'+' if str(commit).endswith('+') else ''}"


def _what(values: Mapping[str, Any]) -> str:
    counts = values["counts"]
    known = [f"{counts[outcome.value]} {outcome.value}" for outcome in Outcome if counts.get(outcome.value)]
    environment = (values.get("origin") or {}).get("environment")
    switched = printable(f"environment {environment}") if environment and not known else ""
    return "; ".join(text for text in (_origin(values), ", ".join(known), switched) if text)


def _origin(values: Mapping[str, Any]) -> str:
    origin = values.get("origin") or {}
    if (number := origin.get("rollbackTo")) is not None:
        return f"rollback to {number}"
    return f"saved plan {origin['savedPlan'][:_SHORT]}" if "savedPlan" in origin else ""


def estate_of(origin: Mapping[str, Any]) -> str | None:
    """The files that it came from, with their environment; None when none are known."""
    if "repository" in origin:
        place = f"{origin['directory']} at {origin['ref']} of {origin['repository']}"
    elif "estate" in origin:
        place = origin["estate"]
    else:
        return None
    environment = f", environment {origin['environment']}" if origin.get("environment") else ""
    return printable(f"{place}{environment}")
