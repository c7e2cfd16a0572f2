"""Whether a version of a certificate may become live again: its pair has to be there, and no other is looked at."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.live import Author, Draft, LiveStore
from runtime.live.resource import LiveResource, Row, resource_of
from runtime.net.tls import server_context
from runtime.supervisor.certificate_store import CertificateFileError, check_kept, stored_files, take_in
from runtime.supervisor.layout import Layout
from schemas.v1.certificate import Certificate
from schemas.v1.codec import parse_spec
from tests.runtime.certificates import make_pair

KEY = ("Certificate", "ex01/mail")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "state")
    found.prepare()
    return found


@pytest.fixture
def store(layout: Layout) -> Iterator[LiveStore]:
    with closing(LiveStore(layout.live)) as found:
        yield found


def taken_in(layout: Layout, name: str) -> Certificate:
    pair = make_pair(layout.root, name)
    files = {"certificateFile": str(pair.certificate), "privateKeyFile": str(pair.key)}
    spec = parse_spec("Certificate", {**files, "services": ["POP"]})
    assert isinstance(spec, Certificate)
    return take_in(layout, "ex01", spec)


def write(store: LiveStore, spec: Certificate, *, expect: int | None = None) -> int:
    return store.write(KEY, Draft(spec), expect=expect, author=Author("alice")).revision


def test_a_version_whose_pair_was_removed_does_not_become_live_again(
    layout: Layout, store: LiveStore
) -> None:
    kept = taken_in(layout, "mail")
    revision = write(store, kept)
    check_kept(layout, store, key=KEY, revision=revision)
    stored_files(layout, "ex01", kept)[1].unlink()
    with pytest.raises(CertificateFileError) as caught:
        check_kept(layout, store, key=KEY, revision=revision)
    assert str(caught.value) == (
        f"ex01 has no certificate {kept.thumbprint} with this chain; "
        "declare its certificateFile and privateKeyFile"
    )


def test_only_the_version_that_comes_back_is_looked_at(
    layout: Layout, store: LiveStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (taken_in(layout, name) for name in ("a", "b", "c"))
    older = write(store, first)
    wanted = write(store, second, expect=older)
    write(store, third, expect=wanted)
    looked_at: list[object] = []

    def watched(row: Row) -> LiveResource:
        looked_at.append(row.revision)
        return resource_of(row)

    def used(certificate: Path, key: Path) -> ssl.SSLContext:
        looked_at.append(certificate)
        return server_context(certificate, key)

    monkeypatch.setattr("runtime.supervisor.certificate_store.resource_of", watched)
    monkeypatch.setattr("runtime.supervisor.certificate_store.server_context", used)
    check_kept(layout, store, key=KEY, revision=wanted)
    assert looked_at == [wanted, stored_files(layout, "ex01", second)[0]]


def test_a_version_that_is_not_there_is_the_stores_to_refuse(layout: Layout, store: LiveStore) -> None:
    check_kept(layout, store, key=KEY, revision=7)
