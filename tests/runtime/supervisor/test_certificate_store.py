"""Certificates from files: the server keeps its own copy, knows it by its thumbprint, and needs the files no more."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from runtime.live import Author, Draft, LiveStore, NoSuchVersionError
from runtime.live.forget import KEPT_DAYS
from runtime.net.tls import server_context
from runtime.supervisor.certificate_store import (
    GRACE,
    CertificateFileError,
    forget_pairs,
    stored_files,
    take_in,
    take_in_all,
)
from runtime.supervisor.housekeeping import forget
from runtime.supervisor.layout import Layout
from schemas.v1.certificate import Certificate
from schemas.v1.codec import parse_spec
from tests.runtime.aio import run
from tests.runtime.certificates import Pair, make_pair, on_an_unknown_curve, with_unreadable_names
from tests.runtime.supervisor.process import PopPorts, Supervisor, declare_pop, running

KEY = ("Certificate", "ex01/mail")


def declared(pair: Pair, **more: Any) -> Certificate:
    files = {"certificateFile": str(pair.certificate), "privateKeyFile": str(pair.key)}
    return spec_of({**files, "services": ["POP"], **more})


def spec_of(data: dict[str, Any]) -> Certificate:
    found = parse_spec("Certificate", data)
    assert isinstance(found, Certificate)
    return found


def thumbprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def remove(pair: Pair) -> None:
    pair.certificate.unlink()
    pair.key.unlink()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "state")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path)


@pytest.fixture
def store(layout: Layout) -> Iterator[LiveStore]:
    layout.prepare()
    with closing(LiveStore(layout.live)) as found:
        yield found


def write(store: LiveStore, spec: Certificate, *, expect: int | None = None) -> int:
    return store.write(KEY, Draft(spec), expect=expect, author=Author("alice")).revision


def test_what_becomes_live_is_the_thumbprint_and_no_path(layout: Layout, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    assert kept == spec_of({"thumbprint": thumbprint(pair.certificate.read_bytes()), "services": ["POP"]})
    assert str(pair.certificate.parent) not in json.dumps(kept.model_dump(mode="json"))


def test_the_copy_is_its_owners_alone_and_serves_without_the_files(layout: Layout, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    remove(pair)
    certificate, key = stored_files(layout, "ex01", kept)
    server_context(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.parent == layout.root / "servers" / "ex01" / "certificates" / "stored"
    assert take_in(layout, "ex01", kept) == kept


def test_files_are_not_read_again_once_the_server_has_what_they_held(layout: Layout, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    remove(pair)
    assert take_in(layout, "ex01", declared(pair, thumbprint=kept.thumbprint)) == kept


def test_a_copy_that_was_damaged_is_made_again(layout: Layout, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    stored_files(layout, "ex01", kept)[1].write_bytes(b"")
    take_in(layout, "ex01", declared(pair, thumbprint=kept.thumbprint))
    server_context(*stored_files(layout, "ex01", kept))


def test_the_chain_tells_two_copies_apart(layout: Layout, pair: Pair, tmp_path: Path) -> None:
    alone = take_in(layout, "ex01", declared(pair))
    issuer = make_pair(tmp_path, "issuer").certificate.read_bytes()
    pair.certificate.write_bytes(pair.certificate.read_bytes() + issuer)
    chained = take_in(layout, "ex01", declared(pair))
    assert (chained.thumbprint, chained.chain) == (alone.thumbprint, (thumbprint(issuer),))
    assert stored_files(layout, "ex01", chained)[0].read_bytes() == pair.certificate.read_bytes()
    assert len(ssl_certificates(stored_files(layout, "ex01", alone)[0])) == 1


def ssl_certificates(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"-----END CERTIFICATE-----")[:-1]


def test_a_key_in_the_certificates_file_stays_out_of_the_copy(layout: Layout, pair: Pair) -> None:
    pair.certificate.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    kept = take_in(layout, "ex01", declared(pair))
    assert b"PRIVATE KEY" not in stored_files(layout, "ex01", kept)[0].read_bytes()


def of_another(pair: Pair) -> None:
    pair.key.write_bytes(make_pair(pair.key.parent, "another").key.read_bytes())


def with_a_passphrase(pair: Pair) -> None:
    key: Any = load_pem_private_key(pair.key.read_bytes(), None)
    pair.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open"))
    )


@pytest.mark.parametrize(
    ("spoil", "path", "said"),
    [
        (of_another, "privateKeyFile", "is not the key of"),
        (with_a_passphrase, "privateKeyFile", "has a passphrase"),
        (lambda pair: pair.key.chmod(0o640), "privateKeyFile", "can be read by others .*0640.*chmod 600"),
        (lambda pair: pair.key.write_text("no PEM"), "privateKeyFile", "holds nothing of that kind in PEM"),
        (lambda pair: pair.certificate.write_text("no PEM"), "certificateFile", "nothing of that kind"),
        (lambda pair: pair.certificate.unlink(), "certificateFile", "cannot be read: No such file"),
        (lambda pair: on_an_unknown_curve(pair.key), "privateKeyFile", "a kind of key that cannot serve"),
        (lambda pair: on_an_unknown_curve(pair.certificate), "certificateFile", "a kind of key"),
        (lambda pair: with_unreadable_names(pair.certificate), "certificateFile", "crt has extensions that"),
    ],
)
def test_what_cannot_be_used_is_not_taken_in(
    layout: Layout, pair: Pair, spoil: Callable[[Pair], None], path: str, said: str
) -> None:
    spoil(pair)
    with pytest.raises(CertificateFileError, match=said) as caught:
        take_in(layout, "ex01", declared(pair))
    assert caught.value.path == path
    assert layout.all_stored_certificates() == []


def test_a_pipe_is_not_waited_for(layout: Layout, pair: Pair) -> None:
    pair.key.unlink()
    os.mkfifo(pair.key, 0o600)
    with pytest.raises(CertificateFileError, match=r"localhost.key is no file"):
        take_in(layout, "ex01", declared(pair))


def test_a_relative_path_means_nothing_here(layout: Layout, pair: Pair) -> None:
    relative = Pair(Path(pair.certificate.name), Path(pair.key.name))
    with pytest.raises(CertificateFileError, match=r"localhost.crt is not absolute"):
        take_in(layout, "ex01", declared(relative))


def test_a_file_that_was_replaced_since_the_plan_is_refused(layout: Layout, pair: Pair) -> None:
    planned = thumbprint(pair.certificate.read_bytes())
    make_pair(pair.certificate.parent)
    with pytest.raises(CertificateFileError, match=f"and not {planned} with 0; plan again"):
        take_in(layout, "ex01", declared(pair, thumbprint=planned))


def test_a_thumbprint_that_the_server_has_not_got_is_refused(layout: Layout, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    with pytest.raises(CertificateFileError, match=f"ex02 has no certificate {kept.thumbprint}"):
        take_in(layout, "ex02", kept)


def test_what_no_version_names_is_forgotten_after_a_while(
    layout: Layout, store: LiveStore, tmp_path: Path
) -> None:
    specs = [take_in(layout, "ex01", declared(make_pair(tmp_path))) for _ in range(3)]
    first = write(store, specs[0])
    write(store, specs[1], expect=first)
    now = datetime.now(UTC)
    assert forget_pairs(layout, store, now) == 0
    assert forget_pairs(layout, store, now + GRACE + timedelta(minutes=1)) == 2
    left = {file for spec in specs[:2] for file in stored_files(layout, "ex01", spec)}
    assert set(layout.all_stored_certificates()) == left


def test_nothing_is_forgotten_while_a_version_cannot_be_read(
    layout: Layout, store: LiveStore, pair: Pair
) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    write(store, kept)
    with closing(sqlite3.connect(layout.live)) as live, live:
        live.execute("""UPDATE versions SET spec = '{"fromTheFuture": true}'""")
    assert forget_pairs(layout, store, datetime.now(UTC) + 2 * GRACE) == 0
    assert len(layout.all_stored_certificates()) == 2


def test_what_is_about_to_be_named_again_is_young_again(layout: Layout, store: LiveStore, pair: Pair) -> None:
    kept = take_in(layout, "ex01", declared(pair))
    for file in layout.all_stored_certificates():
        os.utime(file, (0, 0))
    take_in(layout, "ex01", kept)
    assert forget_pairs(layout, store, datetime.now(UTC)) == 0


def test_what_an_earlier_version_left_in_its_files_is_stored_under_the_same_revision(
    layout: Layout, store: LiveStore, pair: Pair
) -> None:
    old = declared(pair, thumbprint=thumbprint(pair.certificate.read_bytes()))
    revision = write(store, old)
    take_in_all(layout, store)
    remove(pair)
    (row,) = store.rows("Certificate")
    assert row.revision == revision
    assert store.resources("Certificate")[0].spec == old.as_live()
    server_context(*stored_files(layout, "ex01", old.as_live()))
    _, restored = store.restore(KEY, revision, expect=revision, author=Author("alice"))
    assert restored is not None
    assert str(pair.key) not in restored.spec


def test_what_is_no_longer_there_stays_as_it_was_and_is_told(
    layout: Layout, store: LiveStore, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    planned = thumbprint(pair.certificate.read_bytes())
    write(store, declared(pair, thumbprint=planned))
    make_pair(pair.certificate.parent)
    take_in_all(layout, store)
    assert store.resources("Certificate")[0].spec == declared(pair, thumbprint=planned)
    assert "Certificate/ex01/mail, version 1, stays where it was declared" in caplog.text


def test_a_version_that_cannot_be_read_at_all_decides_about_no_other(
    layout: Layout,
    store: LiveStore,
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = write(store, declared(make_pair(pair.key.parent, "broken")))
    write(store, declared(pair), expect=broken)

    def failing_once(pem: bytes, password: None) -> Any:
        monkeypatch.undo()
        raise RuntimeError("the parser gave up")

    monkeypatch.setattr("runtime.supervisor.certificate_store.load_pem_private_key", failing_once)
    take_in_all(layout, store)
    (spec,) = (resource.spec for resource in store.resources("Certificate"))
    assert spec == take_in(layout, "ex01", declared(pair))
    assert f"Certificate/ex01/mail, version {broken}, stays where it was declared" in caplog.text


def test_what_cannot_be_stored_is_refused_with_the_path_and_why(layout: Layout, pair: Pair) -> None:
    taken = layout.root / "servers" / "ex01" / "certificates"
    taken.parent.mkdir(parents=True)
    taken.touch()
    with pytest.raises(CertificateFileError, match=rf"cannot keep its copy: {taken}/stored: Not a directory"):
        take_in(layout, "ex01", declared(pair))


def later(store: LiveStore, layout: Layout, *, days: int) -> None:
    """Keep house so many days from now; the files are as old then."""
    for file in layout.all_stored_certificates():
        os.utime(file, (0, 0))
    run(forget(layout, store, datetime.now(UTC) + timedelta(days=days)))


def test_the_key_of_what_was_replaced_goes_in_the_end(
    layout: Layout, store: LiveStore, tmp_path: Path
) -> None:
    old, new = (take_in(layout, "ex01", declared(make_pair(tmp_path))) for _ in range(2))
    first = write(store, old)
    write(store, new, expect=first)
    later(store, layout, days=KEPT_DAYS - 1)
    assert len(layout.all_stored_certificates()) == 4
    later(store, layout, days=KEPT_DAYS + 1)
    assert set(layout.all_stored_certificates()) == set(stored_files(layout, "ex01", new))
    with pytest.raises(
        NoSuchVersionError, match=rf"{first} any more: .* to have it again, declare it and apply"
    ):
        store.restore(KEY, first, expect=store.epoch, author=Author("alice"))


def test_the_key_of_what_was_deleted_goes_in_the_end(layout: Layout, store: LiveStore, pair: Pair) -> None:
    revision = write(store, take_in(layout, "ex01", declared(pair)))
    store.delete(KEY, expect=revision, author=Author("alice"))
    later(store, layout, days=KEPT_DAYS - 1)
    assert len(layout.all_stored_certificates()) == 2
    later(store, layout, days=KEPT_DAYS + 1)
    assert layout.all_stored_certificates() == []


def test_what_is_live_stays_however_old_it_is(layout: Layout, store: LiveStore, pair: Pair) -> None:
    write(store, take_in(layout, "ex01", declared(pair)))
    later(store, layout, days=100 * KEPT_DAYS)
    assert len(layout.all_stored_certificates()) == 2


# On a real supervisor


def shown(port: int) -> str:
    """The thumbprint of what a client of the TLS port is shown."""
    return thumbprint(ssl.get_server_certificate(("127.0.0.1", port), timeout=30).encode())


@pytest.fixture
def mail(supervisor: Supervisor, ports: PopPorts, pair: Pair) -> Supervisor:
    """ex01/pop3 runs with a certificate from files."""
    declare_pop(supervisor, ports)
    supervisor.call("DELETE", "/v1/resources/Certificate/ex01/development", If_Match="2")
    supervisor.create(*KEY, files(pair))
    supervisor.restart("pop3")
    return supervisor


def files(pair: Pair) -> dict[str, Any]:
    return {
        "certificateFile": str(pair.certificate),
        "privateKeyFile": str(pair.key),
        "services": ["POP"],
    }


def test_a_runtime_starts_again_when_the_checkout_is_gone(
    mail: Supervisor, ports: PopPorts, pair: Pair
) -> None:
    wanted = thumbprint(pair.certificate.read_bytes())
    remove(pair)
    mail.stop()
    mail.start()
    assert shown(ports.tls) == wanted
    (certificate,) = mail.status()["servers"][0]["certificates"]
    assert (certificate["thumbprint"], certificate["error"]) == (wanted, None)
    assert Path(certificate["file"]).is_relative_to(mail.state)


def test_the_way_back_needs_no_files(mail: Supervisor, ports: PopPorts, pair: Pair) -> None:
    before = mail.call("GET", "/v1/resources/Certificate/ex01/mail").body
    make_pair(pair.certificate.parent)
    renewed = thumbprint(pair.certificate.read_bytes())
    again = {"spec": files(pair)}
    after = mail.call(
        "PUT", "/v1/resources/Certificate/ex01/mail", again, If_Match=str(before["revision"])
    ).body
    assert mail.service("pop3")["pending"]["causes"][0]["fields"] == ["thumbprint"]
    mail.restart("pop3", "reload")
    assert shown(ports.tls) == renewed
    remove(pair)
    mail.call(
        "POST",
        "/v1/restore/Certificate/ex01/mail",
        {"revision": before["revision"]},
        If_Match=str(after["revision"]),
    )
    mail.restart("pop3", "reload")
    assert shown(ports.tls) == before["spec"]["thumbprint"] != renewed


def test_what_is_refused_is_told_at_its_field_and_nothing_becomes_live(mail: Supervisor, pair: Pair) -> None:
    pair.key.chmod(0o644)
    make_pair(pair.certificate.parent, "other")
    other = Pair(pair.certificate.with_name("other.crt"), pair.key)
    answer = mail.call(
        "PUT", "/v1/resources/Certificate/ex01/other", {"spec": files(other)}, If_None_Match="*"
    )
    assert answer.status == 422
    assert [one["path"] for one in answer.body["problems"]] == ["privateKeyFile"]
    assert mail.call("GET", "/v1/resources/Certificate/ex01/other").status == 404


def test_a_state_of_the_version_before_goes_on_without_its_checkout(
    mail: Supervisor, ports: PopPorts, pair: Pair
) -> None:
    """It has absolute paths, as the version before wrote them."""
    wanted = thumbprint(pair.certificate.read_bytes())
    mail.stop()
    with closing(sqlite3.connect(mail.state / "runtime" / "live.sqlite")) as live, live:
        old = json.dumps({**files(pair), "thumbprint": wanted})
        for table in ("resources", "versions"):
            live.execute(f"UPDATE {table} SET spec = ? WHERE name = 'ex01/mail'", (old,))
    for file in Layout(mail.state).all_stored_certificates():
        file.unlink()
    with running(mail.state) as first:
        first.stop()
    remove(pair)
    with running(mail.state) as second:
        assert shown(ports.tls) == wanted
        live_spec = second.call("GET", "/v1/resources/Certificate/ex01/mail").body["spec"]
        assert (live_spec["certificateFile"], live_spec["thumbprint"]) == (None, wanted)


def test_a_way_back_to_a_pair_that_was_removed_is_refused_alone_and_in_a_batch(
    mail: Supervisor, pair: Pair
) -> None:
    before = mail.call("GET", "/v1/resources/Certificate/ex01/mail").body
    make_pair(pair.certificate.parent)
    after = mail.update("Certificate", "ex01/mail", **files(pair), thumbprint=None)
    for file in Layout(mail.state).all_stored_certificates():
        if before["spec"]["thumbprint"] in file.name:
            file.unlink()
    body = {"revision": before["revision"]}
    path = "/v1/restore/Certificate/ex01/mail"
    alone = mail.call("POST", path, body, If_Match=str(after["revision"]))
    item = {"op": "restore", "kind": KEY[0], "name": KEY[1], "expect": after["revision"], **body}
    (within,) = mail.call("POST", "/v1/batch", {"items": [item]}).body["results"]
    assert (alone.status, within["status"]) == (422, 422)
    assert alone.body["error"] == within["error"]
    assert "declare its certificateFile and privateKeyFile" in within["error"]
    assert mail.call("GET", "/v1/resources/Certificate/ex01/mail").body["revision"] == after["revision"]


def test_a_server_whose_disk_cannot_take_the_copy_says_where_and_why(mail: Supervisor, pair: Pair) -> None:
    stored = mail.state / "servers" / "ex01" / "certificates" / "stored"
    stored.rename(stored.with_name("elsewhere"))
    stored.touch()
    other = {"op": "put", "kind": KEY[0], "name": "ex01/other", "expect": None, "spec": files(pair)}
    (refused,) = mail.call("POST", "/v1/batch", {"items": [other]}).body["results"]
    assert refused["status"] == 422
    assert [one["path"] for one in refused["problems"]] == ["certificateFile"]
    assert f"{stored}: File exists" in refused["error"]


def test_a_runtime_starts_whatever_the_files_of_its_versions_hold(
    mail: Supervisor, ports: PopPorts, pair: Pair
) -> None:
    """An old version, as the version before wrote it, names a path that holds another key by now."""
    wanted = thumbprint(pair.certificate.read_bytes())
    now_other = make_pair(pair.certificate.parent, "other")
    on_an_unknown_curve(now_other.key)
    mail.update("Certificate", "ex01/mail", services=["POP", "IMAP"])
    mail.stop()
    with closing(sqlite3.connect(mail.state / "runtime" / "live.sqlite")) as live, live:
        old = "(SELECT min(revision) FROM versions WHERE name = 'ex01/mail')"
        live.execute(f"UPDATE versions SET spec = ? WHERE revision = {old}", (json.dumps(files(now_other)),))
    with running(mail.state):
        assert shown(ports.tls) == wanted


def test_a_copy_whose_names_cannot_be_read_serves_and_status_says_so(
    mail: Supervisor, ports: PopPorts
) -> None:
    """As an earlier version took it in."""
    mail.stop()
    (copy,) = (file for file in Layout(mail.state).all_stored_certificates() if file.suffix == ".crt")
    with_unreadable_names(copy)
    with running(mail.state) as again:
        assert again.service("pop3")["lastError"] is None
        assert shown(ports.tls) == thumbprint(copy.read_bytes())
        (certificate,) = again.status()["servers"][0]["certificates"]
    assert certificate["thumbprint"] == thumbprint(copy.read_bytes())
    assert certificate["notAfter"] is not None
    assert certificate["error"].startswith("its names cannot be read, so none of them chooses it: ")
