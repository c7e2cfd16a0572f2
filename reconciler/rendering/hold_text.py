"""Holds → text and data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from pydantic import JsonValue

from reconciler.model import Hold
from reconciler.rendering.table import table
from reconciler.rendering.text import printable


def render_holds_text(holds: Iterable[Hold], *, columns: int | None) -> str:
    """A line each; empty text when there is none."""
    rows = [(printable(one.pattern), one.until, printable(one.by), printable(one.reason)) for one in holds]
    return "\n".join(table([("HELD", "UNTIL", "BY", "REASON"), *rows], columns=columns)) if rows else ""


def hold_json(hold: Hold) -> dict[str, JsonValue]:
    """One hold."""
    return asdict(hold)
