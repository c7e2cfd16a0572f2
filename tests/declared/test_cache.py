from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared import load as load_module
from reconciler.declared import reader as reader_module
from reconciler.declared.cache import MemoryCache
from reconciler.declared.load import load
from reconciler.model import Key
from reconciler.review.read_before import ReadBefore
from schemas.v1.codec import dump_spec
from tests.declared.builders import (
    DATABASE,
    SERVER,
    desired,
    document,
    loaded,
    mailbox,
    only,
    together,
    write,
)
from tests.declared.pem import certificate_pem, key_pem


def _cache_file(cache: Path) -> Path:
    (found,) = cache.iterdir()
    return found


def _forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_args: object) -> None:
        pytest.fail("what was known was parsed or checked again")

    monkeypatch.setattr(reader_module, "read", read)
    monkeypatch.setattr(load_module, "check", read)


def test_a_second_run_parses_nothing_and_means_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desired(loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache"))
    _forbid_parsing(monkeypatch)
    second = desired(load(tmp_path / "estate", cache=tmp_path / "cache"))
    assert second.digest == first.digest
    server = Key("Server", "ex01")
    assert dict(second.resources[server].positions) == dict(first.resources[server].positions)


def test_specs_come_back_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ", emailAddresses: [a@contoso.example], maxSendSize: 36MB, password: {secretRef: {env: A}}"
    documents = SERVER, DATABASE, mailbox("alice", more), mailbox("bob", ", retainDeletedItemsFor: 20d")
    first = desired(loaded(tmp_path / "estate", *documents, cache=tmp_path / "cache"))
    _forbid_parsing(monkeypatch)
    second = desired(load(tmp_path / "estate", cache=tmp_path / "cache"))
    assert {key: (item.spec, item.secrets) for key, item in second.resources.items()} == {
        key: (item.spec, item.secrets) for key, item in first.resources.items()
    }
    for key, item in second.resources.items():
        assert dump_spec(item.spec) == dump_spec(first.resources[key].spec)


def test_other_schemas_make_it_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    before = _cache_file(tmp_path / "cache").read_bytes()
    monkeypatch.setattr("reconciler.declared.cache.sources_digest", lambda *_: "other")
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    assert _cache_file(tmp_path / "cache").read_bytes() != before


def test_a_changed_file_is_parsed_again(tmp_path: Path) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    changed = desired(loaded(tmp_path / "estate", SERVER.replace("ex01", "ex02"), cache=tmp_path / "cache"))
    assert set(changed.resources) == {Key("Server", "ex02")}


def test_what_is_not_used_any_more_is_dropped(tmp_path: Path) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    loaded(tmp_path / "estate", SERVER.replace("ex01", "ex02"), cache=tmp_path / "cache")
    assert b"ex01" not in _cache_file(tmp_path / "cache").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"junk", b"reconciler parse cache 0 00\n{}"])
def test_a_damaged_cache_is_ignored_and_written_anew(tmp_path: Path, damage: bytes) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    whole = _cache_file(tmp_path / "cache").read_bytes()
    _cache_file(tmp_path / "cache").write_bytes(damage)
    desired(load(tmp_path / "estate", cache=tmp_path / "cache"))
    assert _cache_file(tmp_path / "cache").read_bytes() == whole


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    file = _cache_file(tmp_path / "cache")
    file.write_bytes(file.read_bytes().replace(b"ex01.contoso", b"ex99.contoso"))
    resource = desired(load(tmp_path / "estate", cache=tmp_path / "cache")).resources[Key("Server", "ex01")]
    assert "ex01.contoso.example" in repr(resource.spec)


def test_the_cache_is_its_owners_alone(tmp_path: Path) -> None:
    loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache")
    assert _cache_file(tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a directory should be")
    assert loaded(tmp_path / "estate", SERVER, cache=tmp_path / "cache").desired is not None


def test_files_with_errors_are_not_kept(tmp_path: Path) -> None:
    alice = mailbox("alice", ", password: hunter2")
    write(
        tmp_path / "estate",
        good=SERVER,
        broken="password: hunter2\na: [\n",
        refused=together(DATABASE, alice),
    )
    load(tmp_path / "estate", cache=tmp_path / "cache")
    assert b"hunter2" not in _cache_file(tmp_path / "cache").read_bytes()


def test_a_process_that_reads_again_finds_the_same(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "estate").mkdir()
    (tmp_path / "estate/a.crt").write_bytes(certificate_pem(key))
    (tmp_path / "estate/a.key").write_bytes(key_pem(key))
    (tmp_path / "estate/a.key").chmod(0o600)
    files = "{servers: [ex01], certificateFile: a.crt, privateKeyFile: a.key, services: [IMAP]}"
    write(tmp_path / "estate", estate=together(SERVER, document("Certificate", "mail", files)))
    memory = MemoryCache()
    digests = {desired(load(tmp_path / "estate", cache=memory)).digest for _ in range(3)}
    assert digests == {desired(load(tmp_path / "estate")).digest}


def test_a_patch_is_not_forgotten_by_a_process_that_reads_again(tmp_path: Path) -> None:
    write(tmp_path / "base", estate=together(SERVER, DATABASE, mailbox("alice")))
    memory = MemoryCache()
    patched: list[bool] = []
    for text in ("", document("Mailbox", "alice", "{imapEnabled: false}"), ""):
        write(tmp_path / "overlays/test", changes=text)
        loaded_again = load(tmp_path, environment="test", cache=memory)
        patched.append(not dump_spec(only(loaded_again, "Mailbox", "alice").spec)["imapEnabled"])
    assert patched == [False, True, False]


@pytest.mark.parametrize(
    "cache", [lambda path: path, lambda path: ReadBefore(path, path), lambda _: MemoryCache()]
)
def test_a_policy_that_is_moved_elsewhere_is_no_longer_one(
    tmp_path: Path, cache: Callable[[Path], Path | MemoryCache]
) -> None:
    kept = cache(tmp_path / "cache")
    policy = "apiVersion: reconciler/policy/v1\nkind: Policy\nmetadata: {name: rule}\nspec: {}\n"
    write(tmp_path / "estate", server=SERVER)
    write(tmp_path / "estate" / "policies", rule=policy)
    assert load(tmp_path / "estate", cache=kept).diagnostics == ()
    (tmp_path / "estate" / "policies").rename(tmp_path / "estate" / "rules")
    if isinstance(kept, ReadBefore):
        kept.close()
    problem, *_ = load(tmp_path / "estate", cache=kept).diagnostics
    assert "reconciler/policy/v1" in problem.message
