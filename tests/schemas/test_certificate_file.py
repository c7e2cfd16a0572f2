"""Certificates are read whole where they are read at all."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.v1.certificate_file import UnreadableCertificateError, certificates_in, host_names
from tests.declared.pem import (
    certificate_pem,
    of_no_version,
    off_its_curve,
    signed_in_an_unknown_way,
    with_a_subject_that_is_no_text,
    with_names,
)

KEY = ec.generate_private_key(ec.SECP256R1())
GOOD = certificate_pem(KEY)
#: One DNS name of three octets: a sequence of context-specific element 2.
NAMES, NO_ASCII = (bytes.fromhex("30058203") + name for name in (b"one", b"\xff\xfe\xfd"))


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (with_names(KEY, NO_ASCII), "has extensions that cannot be read: "),
        (with_names(KEY, b"garbage"), "has extensions that cannot be read: "),
        (with_names(KEY, NAMES, NAMES), "has extensions that cannot be read: Duplicate 2.5.29.17"),
        (with_a_subject_that_is_no_text(GOOD), "has a subject that cannot be read: "),
        (off_its_curve(GOOD, KEY), "has a key that cannot be read: "),
        (of_no_version(GOOD), "has a version that cannot be read: "),
        (
            GOOD + with_a_subject_that_is_no_text(GOOD),
            "has in its chain, at place 2, a subject that cannot be read: ",
        ),
    ],
)
def test_what_cannot_be_read_is_said_at_once(pem: bytes, said: str) -> None:
    with pytest.raises(UnreadableCertificateError, match=f"^{said}"):
        certificates_in(pem)


@pytest.mark.parametrize(
    "pem", [GOOD, signed_in_an_unknown_way(GOOD), with_names(KEY), GOOD + with_names(KEY, NO_ASCII)]
)
def test_what_nobody_asks_for_later_is_not_held_against_it(pem: bytes) -> None:
    assert host_names(certificates_in(pem)[0]) == ("ex01.contoso.example",)


def test_alternative_names_are_the_names() -> None:
    assert host_names(certificates_in(with_names(KEY, NAMES))[0]) == ("one",)


def test_no_certificate_is_no_unreadable_one() -> None:
    with pytest.raises(ValueError, match="PEM") as caught:
        certificates_in(b"no PEM")
    assert not isinstance(caught.value, UnreadableCertificateError)
