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
    Verified,
    audience,
    is_proven,
    sign_drain,
    sign_logon,
    verify,
)

KEY = b"k" * 32
LOGON = Logon("alice", "0123456789abcdef", "192.0.2.7:4000", "127.0.0.1:993", is_tls=True)


ME = audience("ex01", "imap4-backend")
LONGEST = audience("s" * 64, "imap4-backend")


def _line(logon: Logon = LOGON, key: bytes = KEY, to: str = ME) -> bytes:
    return sign_logon(key, logon, to=to).line.removesuffix(b"\r\n")


def _verify(line: bytes, nonces: Nonces | None = None, now: float | None = None) -> Verified:
    return verify(KEY, line, nonces or Nonces(), me=ME, now=now)


def test_a_logon_arrives_as_it_was_sent() -> None:
    assert _verify(_line()).request == LOGON


def test_a_drain_arrives_as_it_was_sent() -> None:
    drain = Drain(("0" * 16, "1" * 16), 12.5)
    line = sign_drain(KEY, drain, to=ME).line.removesuffix(b"\r\n")
    assert _verify(line).request == drain


def test_a_full_drain_fits_the_line_limit() -> None:
    signed = sign_drain(KEY, Drain(("f" * 16,) * SESSIONS_PER_DRAIN, 30.123), to=LONGEST)
    assert len(signed.line) <= MAX_LINE


def test_the_longest_user_name_fits_the_line_limit() -> None:
    long = Logon("ü" * 64, "f" * 16, f"[{'f' * 39}]:65535", f"[{'f' * 39}]:65535", is_tls=True)
    assert len(sign_logon(KEY, long, to=LONGEST).line) <= MAX_LINE


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
        _verify(line)


def test_a_wrong_key() -> None:
    with pytest.raises(HopError, match="MAC is wrong"):
        _verify(_line(key=b"other"))


def test_a_changed_claim() -> None:
    line = bytearray(_line())
    line[40] ^= 1
    with pytest.raises(HopError, match="MAC is wrong"):
        _verify(bytes(line))


@pytest.mark.parametrize("to", ["ex02/imap4-backend", "ex01/pop3-backend", "ex01/transport", ""])
def test_a_line_that_is_meant_for_another(to: str) -> None:
    nonces = Nonces()
    with pytest.raises(HopError, match="meant for another"):
        _verify(_line(to=to), nonces)


def test_the_back_end_proves_itself_to_the_line() -> None:
    signed, other = (sign_logon(KEY, LOGON, to=ME) for _ in range(2))
    answer = b"* OK [BACKEND] ready " + _verify(signed.line.removesuffix(b"\r\n")).proof
    assert is_proven(answer, signed)
    assert not is_proven(answer, other)
    assert not is_proven(b"* OK [BACKEND] ready", signed)


def test_a_line_works_once() -> None:
    line, nonces = _line(), Nonces()
    _verify(line, nonces)
    with pytest.raises(HopError, match="used before"):
        _verify(line, nonces)


@pytest.mark.parametrize("shift", [-61, 61])
def test_an_old_line_and_one_from_the_future(shift: int) -> None:
    with pytest.raises(HopError, match="too old"):
        _verify(_line(), now=time.time() + shift)


def test_claims_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_hop, "VERSION", 3)
    line = _line()
    monkeypatch.undo()
    with pytest.raises(HopError, match="version"):
        _verify(line)


def test_nonces_are_forgotten_when_no_line_can_carry_them() -> None:
    nonces = Nonces()
    assert nonces.is_new("a", 0)
    assert not nonces.is_new("a", 100)
    assert nonces.is_new("a", 1000)
