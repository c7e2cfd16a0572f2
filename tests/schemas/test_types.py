"""How scalars are read and written: many spellings, one meaning, one canonical form."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.v1.scalar import UNLIMITED, Scalar
from schemas.v1.types import (
    BYTE_SIZE,
    DURATION,
    FLAG,
    LINE,
    MB,
    TEXT,
    WHOLE,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


def message(scalar: Scalar, value: Any) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        scalar.validate(value)
    return caught.value.message()


@pytest.mark.parametrize(
    "text",
    ["36MB", "36 MB", "36mb", "36864KB", "0.03515625GB", "37748736", "37748736B", "36 MB (37,748,736 bytes)"],
)
def test_spellings_of_one_size(text: str) -> None:
    assert parse_size(text) == 36 * MB


@pytest.mark.parametrize(
    "value", ["", "MB", "-1MB", "1.0000000001KB", "36 MiB", "1e6", -1, True, 1.5, None, ["1MB"]]
)
def test_what_is_not_a_size(value: object) -> None:
    assert message(BYTE_SIZE, value).startswith('expected a size such as "36MB", got ')


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1000, "1000B"), (1536, "1536B"), (2048, "2KB"), (1 << 41, "2TB")]
)
def test_the_canonical_size_has_the_largest_unit_that_divides(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=1 << 62))
def test_a_size_survives_its_canonical_form(size: int) -> None:
    assert parse_size(format_size(size)) == size
    assert format_size(parse_size(format_size(size))) == format_size(size)


@pytest.mark.parametrize(
    "text", ["00:30:00", "0:30:00", "0.00:30:00", "30m", "1800s", "29m60s", "1800000ms", "0h 30m"]
)
def test_spellings_of_one_duration(text: str) -> None:
    assert parse_duration(text) == timedelta(minutes=30)


def test_days_stand_before_a_dot() -> None:
    assert parse_duration("1.02:03:04.5") == timedelta(days=1, hours=2, minutes=3, seconds=4.5)


def test_zero_needs_no_unit() -> None:
    assert parse_duration(0) == timedelta(0)


@pytest.mark.parametrize(
    "value", ["", "30", "24:00:00", "00:60:00", "1:00", "-30s", "30s1m", 30, True, None, "1.5h"]
)
def test_what_is_not_a_duration(value: object) -> None:
    assert message(DURATION, value).startswith('expected a duration such as "00:30:00" or "30s", got ')


def test_a_bare_number_is_told_to_name_its_unit() -> None:
    assert message(DURATION, 30).endswith("got 30: a number needs its unit")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=24855)))
def test_a_duration_survives_its_canonical_form(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert format_duration(parse_duration(format_duration(duration))) == format_duration(duration)


@pytest.mark.parametrize("value", [True, "16", 16.0, None, "many"])
def test_what_is_not_a_whole_number(value: object) -> None:
    assert message(WHOLE, value).startswith("expected a whole number, got ")


@pytest.mark.parametrize("value", ["yes", "no", "on", "true", 0, 1, None])
def test_what_is_not_a_boolean(value: object) -> None:
    assert message(FLAG, value).startswith("expected true or false, got ")


@pytest.mark.parametrize("value", [5, True, None, ["a"]])
def test_what_is_not_text(value: object) -> None:
    assert message(TEXT, value).startswith("expected text, got ")


@pytest.mark.parametrize("value", ["ready\r\n* BYE", "tab\t", "näive", "\x7f"])
def test_a_line_cannot_end_a_protocol_line(value: str) -> None:
    assert message(LINE, value).endswith("only printable ASCII characters, no line end")


@pytest.mark.parametrize("value", ["Unlimited", "unlimited", "UNLIMITED"])
def test_unlimited_is_one_word_in_any_case(value: str) -> None:
    assert WHOLE.or_unlimited().validate(value) == UNLIMITED


def test_null_is_unlimited_only_where_exchange_says_so() -> None:
    assert WHOLE.or_unlimited(is_null_unlimited=True).validate(None) == UNLIMITED
    assert message(WHOLE.or_unlimited(), None) == "expected a whole number or Unlimited, got null"


@pytest.mark.parametrize("size", [0, 1024, UNLIMITED])
def test_a_limit_survives_its_canonical_form(size: object) -> None:
    limit = BYTE_SIZE.or_unlimited()
    assert limit.parse(limit.dump(size)) == size
