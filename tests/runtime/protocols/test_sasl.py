"""SASL PLAIN: what is read, what is no message, and what can be nobody's."""

from __future__ import annotations

import base64

import pytest

from runtime.protocols.sasl import IdentityError, PlainCredentials, SaslError, decode_plain


def _response(*parts: bytes) -> bytes:
    return base64.b64encode(b"\0".join(parts))


@pytest.mark.parametrize("identity", [b"", "jürgen".encode()])
def test_credentials(identity: bytes) -> None:
    response = _response(identity, "jürgen".encode(), b"s\xfft")
    assert decode_plain(response) == PlainCredentials("jürgen", b"s\xfft")


@pytest.mark.parametrize("response", [b"", b"=", b"AGE=", b"YQ==", b"AGEAYgBj", b"AGEAYg==\n", "é".encode()])
def test_what_is_no_plain_message(response: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        decode_plain(response)
    assert not isinstance(caught.value, IdentityError)


@pytest.mark.parametrize(
    "parts",
    [(b"bob", b"alice", b"x"), (b"", b"\xff", b"x"), (b"\xff", b"\xff", b"x"), (b"\xff", b"alice", b"x")],
)
def test_what_can_be_nobodys(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(IdentityError):
        decode_plain(_response(*parts))


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(decode_plain(_response(b"", b"alice", b"secret")))
