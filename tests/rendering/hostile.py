"""A plan whose every text tries to be markup."""

from __future__ import annotations

from pathlib import Path

from reconciler.model import (
    Action,
    Cause,
    Change,
    Diagnostic,
    FieldChange,
    Key,
    Plan,
    Position,
    Reach,
    Refusal,
    Selection,
    ServiceAction,
    ServiceImpact,
    Severity,
)
from schemas.v1.impact import Impact

TEXTS = (
    "<script>alert(1)</script>",
    "</code></summary></details><img src=x onerror=alert(1)>",
    "```\n```diff\n- gone",
    "`` `tick` ``",
    "| a | b |",
    "[link](javascript:alert(1)) ![i](http://evil.example/x.png)",
    "@everyone #1",
    "--> <!-- ",
    "]]> & &amp; \" '",
    "\x1b[2J\x00\x07\u202e\ufffe",
    "::error file=a,line=1::injected\r\n::warning::x",
    "%0A::error::x",
)


def hostile_plan() -> Plan:
    """Each text as a name, a value, a reason, a file."""
    changes = tuple(_change(number, text) for number, text in enumerate(TEXTS))
    impacts = tuple(
        ServiceImpact(
            f"ex01/{text}", ServiceAction.RESTART, (Cause(Key("Mailbox", text), text, text, None),), None
        )
        for text in TEXTS
    )
    return Plan(
        configuration_digest="0" * 64,
        changes=changes,
        impacts=impacts,
        fingerprint={change.key: 7 for change in changes},
        undeclared=tuple(Key("Mailbox", text) for text in TEXTS),
        unreadable=tuple((Key("Mailbox", text), text) for text in TEXTS),
        selection=Selection(only=TEXTS),
        refused=tuple(Refusal(Key("Server", text), text) for text in TEXTS),
        reach=Reach(TEXTS, 3),
    )


def _change(number: int, text: str) -> Change:
    where = Position(Path(f"{text}.yaml"), 3, 5)
    fields = (FieldChange(text, text, [text], position=where, impact=Impact.RESTART),)
    action = list(Action)[number % 3]
    return Change(
        Key("Mailbox", text), action, fields, 7, where, renamed_from=text, cascades=(Key("Server", text),)
    )


def hostile_diagnostics() -> tuple[Diagnostic, ...]:
    """Each text as a message, a hint and a file."""
    return tuple(
        Diagnostic("unknown-key", Severity.ERROR, text, Position(Path(f"{text}.yaml"), 3, 5), text)
        for text in TEXTS
    )
