"""What the front ends share, where no protocol is needed to see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.net.tls import TlsError
from runtime.services import pop3
from runtime.services.base import CertificateFiles, Host, Snapshot
from runtime.services.front_end import FrontEnd
from schemas.v1.pop_settings import PopSettings
from tests.runtime.aio import run
from tests.runtime.certificates import make_pair, shared_pair
from tests.runtime.directories import directory
from tests.runtime.services.pop_lab import make_host, make_snapshot

OWN, OTHER = "ex01.contoso.example", "mail.contoso.example"


def _certificate(name: str, alternative: str) -> CertificateFiles:
    pair = shared_pair()
    return CertificateFiles(name, pair.certificate, pair.key, frozenset({"POP"}), (alternative,))


def _front(host: Host, snapshot: Snapshot) -> FrontEnd:
    front = pop3.create(host, snapshot, 1)
    assert isinstance(front, FrontEnd)
    return front


def _chosen(tmp_path: Path, settings: PopSettings) -> str | None:
    certificates = (_certificate("a", OTHER), _certificate("b", OWN))
    snapshot = replace(make_snapshot(settings), certificates=certificates)
    host = make_host(tmp_path, directory(), None)
    chosen = _front(host, snapshot)._choose_certificate()
    host.authenticator.close()
    return chosen.name if chosen else None


@pytest.mark.parametrize(("name", "chosen"), [(None, "b"), (OTHER, "a"), ("else.contoso.example", None)])
def test_the_certificate_that_a_front_end_shows(tmp_path: Path, name: str | None, chosen: str | None) -> None:
    assert _chosen(tmp_path, PopSettings(x509_certificate_name=name)) == chosen


def test_a_generation_with_an_unusable_key_does_not_start(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    pair.key.chmod(0o644)
    certificate = CertificateFiles("open", pair.certificate, pair.key, frozenset({"POP"}), (OWN,))
    snapshot = replace(make_snapshot(PopSettings()), certificates=(certificate,))
    host = make_host(tmp_path, directory(), None)
    with pytest.raises(TlsError, match="chmod 600"):
        run(_front(host, snapshot).start())
    host.authenticator.close()
