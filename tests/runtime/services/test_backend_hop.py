"""The signed first line between a front end and a back end."""

from __future__ import annotations

import time

import pytest

from runtime.services import backend_hop
from runtime.services.backend_hop import (
    MAX_LINE,
    SESSIONS_PER_DRAIN,
    Drain,
    HopError,
    Logon,
    Nonces,
    sign_drain,
    sign_logon,
    verify,
)

KEY = b"k" * 32
LOGON = Logon("alice", "0123456789abcdef", "192.0.2.7:4000", "127.0.0.1:993", is_tls=True)


def _line(logon: Logon = LOGON, key: bytes = KEY) -> bytes:
    return sign_logon(key, logon).removesuffix(b"\r\n")


def test_a_logon_arrives_as_it_was_sent() -> None:
    assert verify(KEY, _line(), Nonces()) == LOGON


def test_a_drain_arrives_as_it_was_sent() -> None:
    drain = Drain(("0" * 16, "1" * 16), 12.5)
    assert verify(KEY, sign_drain(KEY, drain).removesuffix(b"\r\n"), Nonces()) == drain


def test_a_full_drain_fits_the_line_limit() -> None:
    assert len(sign_drain(KEY, Drain(("f" * 16,) * SESSIONS_PER_DRAIN, 30.123))) <= MAX_LINE


def test_the_longest_user_name_fits_the_line_limit() -> None:
    long = Logon("ü" * 64, "f" * 16, f"[{'f' * 39}]:65535", f"[{'f' * 39}]:65535", is_tls=True)
    assert len(sign_logon(KEY, long)) <= MAX_LINE


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"a1 LOGIN alice secret",
        b"BACKENDAUTHENTICATE ",
        b"BACKENDAUTHENTICATE nodot",
        b"BACKENDAUTHENTICATE eyJ2IjoxfQ==." + b"0" * 64,
        b"BACKENDAUTHENTICATE " + b"A" * 4000,
    ],
)
def test_a_line_that_is_not_authentic(line: bytes) -> None:
    with pytest.raises(HopError):
        verify(KEY, line, Nonces())


def test_a_wrong_key() -> None:
    with pytest.raises(HopError, match="MAC is wrong"):
        verify(KEY, _line(key=b"other"), Nonces())


def test_a_changed_claim() -> None:
    line = bytearray(_line())
    line[40] ^= 1
    with pytest.raises(HopError, match="MAC is wrong"):
        verify(KEY, bytes(line), Nonces())


def test_a_line_works_once() -> None:
    line, nonces = _line(), Nonces()
    verify(KEY, line, nonces)
    with pytest.raises(HopError, match="used before"):
        verify(KEY, line, nonces)


@pytest.mark.parametrize("shift", [-61, 61])
def test_an_old_line_and_one_from_the_future(shift: int) -> None:
    with pytest.raises(HopError, match="too old"):
        verify(KEY, _line(), Nonces(), now=time.time() + shift)


def test_claims_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_hop, "VERSION", 2)
    line = _line()
    monkeypatch.undo()
    with pytest.raises(HopError, match="version"):
        verify(KEY, line, Nonces())


def test_nonces_are_forgotten_when_no_line_can_carry_them() -> None:
    nonces = Nonces()
    assert nonces.is_new("a", 0)
    assert not nonces.is_new("a", 100)
    assert nonces.is_new("a", 1000)
