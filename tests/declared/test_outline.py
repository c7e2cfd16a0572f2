"""An outline is good for exactly what it was made of, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared import outline
from reconciler.declared.kept import Kept
from reconciler.declared.layout import Inputs
from reconciler.declared.load import load
from reconciler.declared.outline import Outline, OutlineFile
from reconciler.declared.source import DirectorySource
from reconciler.model import Diagnostic, Key, Position, Severity
from reconciler.secret import SecretRef
from schemas.v1.canonical import digest_canonical
from tests.declared.builders import DATABASE, SERVER, desired, document, loaded, mailbox, write
from tests.declared.pem import certificate_pem, key_pem

CERTIFICATE = document(
    "Certificate",
    "mail",
    "{servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key}",
)


def outline_file(root: Path, **variables: str) -> OutlineFile:
    return OutlineFile(root / "cache", root / "estate", Inputs(variables=variables))


def keep(root: Path, *documents: str, remarks: tuple[Diagnostic, ...] = ()) -> None:
    """Read an estate of these documents, and leave its outline."""
    found = loaded(root / "estate", *documents)
    outline_file(root).keep(desired(found), files=found.files, remarks=remarks)


def find(root: Path, **variables: str) -> Outline | None:
    return outline_file(root, **variables).find(now=datetime.now(UTC))


def test_it_names_everything_with_the_digest_that_live_has(tmp_path: Path) -> None:
    keep(tmp_path, SERVER, DATABASE, mailbox("alice", ", password: {secretRef: {env: ALICE}}"))
    found, whole = find(tmp_path), desired(load(tmp_path / "estate"))
    assert found is not None
    assert found.configuration_digest == whole.digest
    assert {key: row.digest for key, row in found.resources.items()} == {
        key: digest_canonical(resource.spec) for key, resource in whole.resources.items()
    }
    assert found.resources[Key("Mailbox", "alice")].secrets == {"password": SecretRef("env", "ALICE")}


def test_it_holds_no_value(tmp_path: Path) -> None:
    keep(tmp_path, SERVER, DATABASE, mailbox("alice"))
    (file,) = (tmp_path / "cache").iterdir()
    assert b"contoso" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_remarks_come_back_as_they_were(tmp_path: Path) -> None:
    remark = Diagnostic("not-enforced", Severity.WARNING, "said", Position(Path("a.yaml"), 3, 1), "a hint")
    keep(tmp_path, SERVER, remarks=(remark,))
    found = find(tmp_path)
    assert found is not None
    assert found.remarks == (remark,)


def edit(root: Path) -> None:
    write(root / "estate", estate=SERVER.replace("dublin", "london"))


def add_a_file(root: Path) -> None:
    write(root / "estate", more=DATABASE)


def add_a_policy(root: Path) -> None:
    write(root / "estate" / "policies", mine="kind: Waiver\n")


def remove_the_file(root: Path) -> None:
    (root / "estate" / "estate.yaml").rename(root / "estate" / "other.yaml")


def link_policies(root: Path) -> None:
    write(root / "shared", mine="kind: Waiver\n")
    (root / "estate" / "policies").symlink_to(root / "shared")


def make_layers(root: Path) -> None:
    (root / "estate" / "base").mkdir()
    (root / "estate" / "overlays").mkdir()


@pytest.mark.parametrize(
    "change", [edit, add_a_file, add_a_policy, remove_the_file, link_policies, make_layers]
)
def test_other_files_make_it_void(tmp_path: Path, change: Callable[[Path], None]) -> None:
    keep(tmp_path, SERVER)
    assert find(tmp_path) is not None
    change(tmp_path)
    assert find(tmp_path) is None


def test_other_variables_make_it_void(tmp_path: Path) -> None:
    keep(tmp_path, SERVER)
    assert find(tmp_path, site="london") is None


def test_other_sources_make_it_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, SERVER)
    monkeypatch.setattr("reconciler.declared.outline.sources_digest", lambda *_: "other")
    assert find(tmp_path) is None


def test_two_ways_to_name_a_directory_keep_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, SERVER)
    monkeypatch.chdir(tmp_path)
    found = loaded(Path("estate"), SERVER)
    OutlineFile(Path("cache"), Path("estate"), Inputs()).keep(desired(found), files=found.files, remarks=())
    assert find(tmp_path) is not None


def test_what_nobody_used_for_long_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    for name, days in (("old", 31), ("young", 29)):
        (tmp_path / "cache" / f"outline-{name}.json").touch()
        then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(tmp_path / "cache" / f"outline-{name}.json", (then, then))
    keep(tmp_path, SERVER)
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert "outline-young.json" in names
    assert "outline-old.json" not in names


def test_one_that_is_only_read_is_not_forgotten(tmp_path: Path) -> None:
    keep(tmp_path, SERVER)
    (file,) = (tmp_path / "cache").iterdir()
    then = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    os.utime(file, (then, then))
    assert find(tmp_path) is not None
    Kept(tmp_path / "cache" / "outline-another.json", form="1").write({})
    assert find(tmp_path) is not None


def test_a_damaged_one_counts_as_none(tmp_path: Path) -> None:
    keep(tmp_path, SERVER)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes().replace(b"ex01", b"ex99"))
    assert find(tmp_path) is None


def test_what_changed_before_it_was_read_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "estate", estate=SERVER)
    before = outline_file(tmp_path)
    found = loaded(tmp_path / "estate", SERVER.replace("dublin", "london"))
    before.keep(desired(found), files=found.files, remarks=())
    assert find(tmp_path) is None


def test_what_was_away_while_it_was_read_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "estate", estate=SERVER, more=DATABASE)
    before = outline_file(tmp_path)
    (tmp_path / "estate" / "more.yaml").unlink()
    found = loaded(tmp_path / "estate", SERVER)
    write(tmp_path / "estate", more=DATABASE)
    before.keep(desired(found), files=found.files, remarks=())
    assert find(tmp_path) is None


def test_an_estate_with_policies_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "shared", mine="kind: Waiver\n")
    write(tmp_path / "estate", estate=SERVER)
    (tmp_path / "estate" / "policies").symlink_to(tmp_path / "shared")
    keep(tmp_path, SERVER)
    assert find(tmp_path) is None


def test_an_estate_that_renames_is_not_kept(tmp_path: Path) -> None:
    renamed = mailbox("robert").replace("\nspec:", "\nlifecycle: {renamedFrom: bob}\nspec:")
    keep(tmp_path, SERVER, DATABASE, renamed)
    assert find(tmp_path) is None


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """An outline of an estate with a certificate from files, which ends in 30 days."""
    put_certificate(tmp_path)
    keep(tmp_path, SERVER, CERTIFICATE)
    assert find(tmp_path) is not None
    return tmp_path


def put_certificate(root: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (root / "estate").mkdir(exist_ok=True)
    (root / "estate" / "mail.crt").write_bytes(certificate_pem(key, days=30))
    (root / "estate" / "mail.key").write_bytes(key_pem(key))
    (root / "estate" / "mail.key").chmod(0o600)


def open_the_key(root: Path) -> None:
    (root / "estate" / "mail.key").chmod(0o644)


def lose_the_key(root: Path) -> None:
    (root / "estate" / "mail.key").unlink()


@pytest.mark.parametrize("change", [put_certificate, open_the_key, lose_the_key])
def test_other_certificate_files_make_it_void(certified: Path, change: Callable[[Path], None]) -> None:
    change(certified)
    assert find(certified) is None


@pytest.mark.parametrize("change", [put_certificate, open_the_key, lose_the_key])
def test_a_certificate_that_changed_since_it_was_read_is_not_kept(
    certified: Path, change: Callable[[Path], None]
) -> None:
    found = loaded(certified / "estate", SERVER, CERTIFICATE)
    change(certified)
    outline_file(certified).keep(desired(found), files=found.files, remarks=())
    assert find(certified) is None


def test_nor_one_that_was_another_for_a_moment(certified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the outline would be bound to the other one, and be found when that comes back."""
    found, read = loaded(certified / "estate", SERVER, CERTIFICATE), certificate_files(certified)
    put_certificate(certified)
    other, are_still = certificate_files(certified), outline._Certificates.are_still

    def with_those_that_were_read(self: outline._Certificates, source: DirectorySource) -> bool:
        put_back(read)
        return are_still(self, source)

    monkeypatch.setattr(outline._Certificates, "are_still", with_those_that_were_read)
    outline_file(certified).keep(desired(found), files=found.files, remarks=())
    put_back(other)
    assert find(certified) is None


def certificate_files(root: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in (root / "estate").glob("mail.*")}


def put_back(files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        file.write_bytes(content)


def test_it_ends_with_the_first_certificate(certified: Path) -> None:
    now = datetime.now(UTC)
    assert outline_file(certified).find(now=now + timedelta(days=29)) is not None
    assert outline_file(certified).find(now=now + timedelta(days=31)) is None
