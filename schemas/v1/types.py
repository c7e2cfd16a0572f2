"""The types of values that YAML declares: numbers, sizes, durations, addresses, names.

Each type compares by meaning and has one canonical form, which is what dumps, digests and plans hold: "36MB" whether it
was written 36 MB or 37748736. Sizes are bytes, durations are `timedelta`, and Unlimited is the word itself.
Address types that are more than one value stand in `addresses.py`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from schemas.v1.addresses import (
    Binding,
    BindingValue,
    ConnectionSetting,
    ConnectionSettingValue,
    HostName,
    IpRange,
    IpRangeValue,
    SmtpAddress,
    WildcardName,
)
from schemas.v1.scalar import UNLIMITED, Between, Scalar, SetOf

__all__ = [
    "GB",
    "INT32",
    "KB",
    "MB",
    "TB",
    "UINT32",
    "UNLIMITED",
    "Between",
    "Binding",
    "BindingValue",
    "ByteSize",
    "ConnectionSetting",
    "ConnectionSettingValue",
    "Duration",
    "Flag",
    "HostName",
    "IpRange",
    "IpRangeValue",
    "Limit",
    "Line",
    "NullableLimit",
    "SetOf",
    "SizeLimit",
    "SmtpAddress",
    "Text",
    "Unlimited",
    "Whole",
    "WildcardName",
]

KB: Final = 1024
MB: Final = 1024 * KB
GB: Final = 1024 * MB
TB: Final = 1024 * GB
INT32: Final = 2147483647
UINT32: Final = 4294967295

Unlimited = Literal["Unlimited"]


def _plain(value: Any) -> Any:
    return value


# Whole numbers and Booleans: Python's bool is an int, YAML's is not.


def _parse_whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a number stands without quotes" if _looks_like_number(value) else "")


def _looks_like_number(value: object) -> bool:
    return isinstance(value, str) and value.strip().isdigit()


def _parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("yes and no are words here" if value in ("yes", "no", "on", "off", "Yes", "No") else "")


WHOLE = Scalar("integer", "a whole number", _parse_whole, _plain, {"type": "integer"})
FLAG = Scalar("boolean", "true or false", _parse_flag, _plain, {"type": "boolean"})

# Text. A Line goes into protocol replies, so that it must not be able to end one.


def _parse_text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("put it in quotes" if isinstance(value, int | float) else "")


def _parse_line(value: object) -> str:
    text = _parse_text(value)
    if text.isascii() and text.isprintable():
        return text
    raise ValueError("only printable ASCII characters, no line end")


TEXT = Scalar("text", "text", _parse_text, _plain, {"type": "string"})
LINE = Scalar(
    "line", "one line of ASCII text", _parse_line, _plain, {"type": "string", "pattern": "^[ -~]*$"}
)

# Sizes: B, KB, MB, GB, TB in steps of 1024, as Exchange counts; its display "36 MB (37,748,736 bytes)" is read too.

_SIZE = re.compile(
    r"(?P<number>\d{1,19}(?:\.\d{1,9})?)\s*(?P<unit>B|KB|MB|GB|TB)?(?:\s*\((?P<bytes>\d[\d,]{0,23}) bytes\))?",
    re.ASCII | re.IGNORECASE,
)
_UNITS = {"TB": TB, "GB": GB, "MB": MB, "KB": KB, "B": 1}


def parse_size(value: object) -> int:
    """Return the size in bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _in_range(value)
    if isinstance(value, str):
        return _size_of(value)
    raise ValueError


@lru_cache(maxsize=1024)
def _size_of(text: str) -> int:
    """Estates say the same few sizes thousands of times."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError
    if match["bytes"]:
        return _in_range(int(match["bytes"].replace(",", "")))
    return _whole_bytes(Fraction(match["number"]) * _UNITS[(match["unit"] or "B").upper()])


def _whole_bytes(size: Fraction) -> int:
    if size.denominator != 1:
        raise ValueError("it is not a whole number of bytes")
    return _in_range(size.numerator)


def _in_range(size: int) -> int:
    if 0 <= size < 1 << 63:
        return size
    raise ValueError("a size is neither negative nor beyond 8388608TB")


def format_size(size: int) -> str:
    """Return the canonical form: the largest unit that divides the size."""
    unit = next((name for name, factor in _UNITS.items() if size and size % factor == 0), "B")
    return f"{size // _UNITS[unit]}{unit}"


_SIZE_SCHEMA: Any = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1},
        {
            "type": "string",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([bB]|[kKmMgGtT][bB])?(\s*\([0-9,]+ [bB][yY][tT][eE][sS]\))?\s*$",
        },
    ]
}
BYTE_SIZE = Scalar("size", 'a size such as "36MB"', parse_size, format_size, _SIZE_SCHEMA)

# Durations: Exchange's dd.hh:mm:ss, or numbers with units.

_CLOCK = re.compile(r"(?:(?P<d>\d{1,8})\.)?(?P<h>\d{1,2}):(?P<m>\d{2}):(?P<s>\d{2}(?:\.\d{1,7})?)", re.ASCII)
_PARTS = re.compile(
    r"(?:(?P<d>\d{1,8}) *d *)?(?:(?P<h>\d{1,9}) *h *)?(?:(?P<m>\d{1,9}) *m *)?(?:(?P<s>\d{1,9}) *s *)?"
    r"(?:(?P<ms>\d{1,9}) *ms)?",
    re.ASCII,
)


def parse_duration(value: object) -> timedelta:
    """Return the duration. Raises ValueError."""
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta(0)
    match = _match_duration(value)
    if match is None or not any(match.groupdict().values()):
        raise ValueError(
            "a number needs its unit" if isinstance(value, int) and not isinstance(value, bool) else ""
        )
    number = {unit: float(text) for unit, text in match.groupdict().items() if text}
    return _in_clock_range(number, is_clock=match.re is _CLOCK)


def _match_duration(value: object) -> re.Match[str] | None:
    text = value.strip() if isinstance(value, str) else ""
    return _CLOCK.fullmatch(text) or _PARTS.fullmatch(text)


def _in_clock_range(number: dict[str, float], *, is_clock: bool) -> timedelta:
    if is_clock and (number["h"] > 23 or number["m"] > 59 or number["s"] >= 60):
        raise ValueError(
            "hours go to 23, minutes and seconds to 59; days stand before a dot, as in 1.00:00:00"
        )
    return timedelta(
        days=number.get("d", 0),
        hours=number.get("h", 0),
        minutes=number.get("m", 0),
        seconds=number.get("s", 0),
        milliseconds=number.get("ms", 0),
    )


def format_duration(duration: timedelta) -> str:
    """Return the canonical form, [days.]hh:mm:ss[.fraction]."""
    minutes, seconds = divmod(duration.seconds, 60)
    days = f"{duration.days}." if duration.days else ""
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    return f"{days}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


_DURATION_SCHEMA: Any = {
    "anyOf": [
        {"const": 0},
        {
            "type": "string",
            "pattern": r"^\s*([0-9]{1,8}\.)?([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,7})?\s*$",
        },
        {
            "type": "string",
            "pattern": r"^\s*(?=[0-9])([0-9]{1,8} *d *)?([0-9]{1,9} *h *)?([0-9]{1,9} *m *)?([0-9]{1,9} *s *)?"
            r"([0-9]{1,9} *ms)?\s*$",
        },
    ]
}
DURATION = Scalar(
    "duration", 'a duration such as "00:30:00" or "30s"', parse_duration, format_duration, _DURATION_SCHEMA
)

Whole = Annotated[int, WHOLE]
Flag = Annotated[bool, FLAG]
Text = Annotated[str, TEXT]
Line = Annotated[str, LINE]
ByteSize = Annotated[int, BYTE_SIZE]
Duration = Annotated[timedelta, DURATION]
#: A whole number, a size, or the word Unlimited, which sets no limit.
Limit = Annotated[int | Unlimited, WHOLE.or_unlimited()]
SizeLimit = Annotated[int | Unlimited, BYTE_SIZE.or_unlimited()]
#: Where Exchange takes $null for Unlimited (throttling policies).
NullableLimit = Annotated[int | Unlimited, WHOLE.or_unlimited(is_null_unlimited=True)]
