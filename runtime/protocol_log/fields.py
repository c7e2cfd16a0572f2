"""How a value becomes a field of a protocol log: escaped once, here, and quoted as CSV.

A secret is a type (`HIDDEN`), not a pattern that is looked for in text. Called by the writers of this package
only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum


class Hidden(Enum):
    """Stands for a value that must not be written: passwords, SASL data."""

    HIDDEN = "*****"


HIDDEN = Hidden.HIDDEN
Loggable = str | Hidden

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: One value of one field; a client can make neither a line nor a file of any length.
MAX_VALUE = 2048


def text(value: Loggable) -> str:
    """Printable text of at most MAX_VALUE characters; control characters as \\xNN or \\uNNNN."""
    plain = value.value if isinstance(value, Hidden) else value
    if len(plain) > MAX_VALUE:
        plain = plain[:MAX_VALUE] + "..."
    return _CONTROLS.sub(_escape, plain)


def csv_field(value: Loggable) -> str:
    """Quoted only where a comma or a quote asks for it."""
    plain = text(value)
    return quoted(plain) if "," in plain or '"' in plain else plain


def quoted(plain: str) -> str:
    return '"' + plain.replace('"', '""') + '"'


def joined(values: Iterable[Loggable]) -> str:
    """Parameters of a command, as one field."""
    return csv_field(" ".join(text(value) for value in values))


def moment(at: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-11-21T08:15:00.123Z."""
    now = at or datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
