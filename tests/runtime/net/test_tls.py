"""Contexts, private keys, and the choice of a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.net.tls import TlsError, choose_certificate, server_context
from tests.runtime.certificates import make_pair, shared_pair


@dataclass(frozen=True)
class Certificate:
    name: str
    services: frozenset[str] = frozenset({"IMAP", "POP"})
    subject_alternative_names: tuple[str, ...] = ("mail.contoso.example",)
    certificate_file: Path = Path("x.crt")
    private_key_file: Path = Path("x.key")


@dataclass(frozen=True)
class Snapshot:
    certificates: tuple[Certificate, ...] = field(default=())


def test_context_refuses_old_versions_compression_and_renegotiation() -> None:
    context = server_context(shared_pair().certificate, shared_pair().key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    pair = make_pair(tmp_path)
    pair.key.chmod(mode)
    with pytest.raises(TlsError, match=f"chmod 600 {pair.key}"):
        server_context(pair.certificate, pair.key)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"nothing\.key"):
        server_context(shared_pair().certificate, tmp_path / "nothing.key")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="cannot use certificate"):
        server_context(shared_pair().certificate, make_pair(tmp_path).key)


def test_the_name_selects_among_enabled_certificates() -> None:
    snapshot = Snapshot((Certificate("a", subject_alternative_names=("other",)), Certificate("b")))
    assert choose_certificate(snapshot, "IMAP", "MAIL.contoso.example") is snapshot.certificates[1]


def test_a_certificate_that_is_not_enabled_is_not_chosen() -> None:
    assert choose_certificate(Snapshot((Certificate("a"),)), "SMTP", "mail.contoso.example") is None


def test_a_wildcard_is_selected_by_the_name_alone() -> None:
    wildcard = Certificate("w", services=frozenset(), subject_alternative_names=("*.contoso.example",))
    assert choose_certificate(Snapshot((wildcard,)), "POP", "mail.contoso.example") is wildcard


def test_a_wildcard_stands_for_one_label() -> None:
    wildcard = Certificate("w", services=frozenset(), subject_alternative_names=("*.contoso.example",))
    assert choose_certificate(Snapshot((wildcard,)), "POP", "a.b.contoso.example") is None


def test_without_a_name_the_first_enabled_one_is_taken() -> None:
    snapshot = Snapshot((Certificate("b"), Certificate("a")))
    assert choose_certificate(snapshot, "POP", None) is snapshot.certificates[1]
