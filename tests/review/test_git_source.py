"""A revision as a source: what counts as a file, where links lead, and that it means what a checkout means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared.load import load
from reconciler.declared.source import DirectorySource
from reconciler.model import Key
from reconciler.review.git import Blobs
from reconciler.review.git_source import GitSource
from tests.declared.pem import certificate_pem, key_pem
from tests.review.repositories import ESTATE, IMAP, SERVER, Clone

CERTIFICATE = """\
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: mail}
spec: {servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key}
"""
Opened = Callable[[Clone], GitSource]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens HEAD's directory `estate`."""
    processes: list[Blobs] = []

    def source(clone: Clone) -> GitSource:
        processes.append(Blobs(clone.repository).__enter__())
        tree = clone.repository.tree(clone.repository.commit("HEAD"))
        directory = PurePosixPath("estate")
        return GitSource(clone.repository, tree=tree, directory=directory, blobs=processes[-1], name="HEAD")

    yield source
    for process in processes:
        process.__exit__(None, None, None)


def _names(source: GitSource) -> list[str]:
    return [str(path.relative_to(source.root)) for path in source.yaml_files(source.root)]


def test_a_revision_means_what_its_checkout_means(tmp_path: Path, opened: Opened) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/secrets/alice": "correct horse battery"})
    there = load(opened(clone))
    here = load(clone.root / "estate")
    assert there.desired is not None
    assert here.desired is not None
    assert there.desired.resources.keys() == here.desired.resources.keys()
    assert there.desired.digest == here.desired.digest


def test_a_certificate_that_is_not_in_git_leaves_the_digest_as_it_is(tmp_path: Path, opened: Opened) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/certificate.yaml": CERTIFICATE, "estate/secrets/alice": "x"})
    there = load(opened(clone))
    key = ec.generate_private_key(ec.SECP256R1())
    for name, content in (("mail.crt", certificate_pem(key)), ("mail.key", key_pem(key))):
        (clone.root / "estate" / name).write_bytes(content)
        (clone.root / "estate" / name).chmod(0o600)
    here = load(clone.root / "estate")
    assert there.desired is not None
    assert here.desired is not None, here.diagnostics
    thumbprints = {
        getattr(side.resources[Key("Certificate", "ex01/mail")].spec, "thumbprint", None)
        for side in (there.desired, here.desired)
    }
    assert len(thumbprints) == 2
    assert there.desired.digest == here.desired.digest


def test_the_same_files_count_in_the_same_order(tmp_path: Path, opened: Opened) -> None:
    names = ["b.yaml", "a/z.yml", "a.yaml", ".hidden.yaml", "a/.git-like/x.yaml", "notes.txt", "ü -x.yaml"]
    clone = Clone(tmp_path, {f"estate/{name}": "" for name in names})
    source = opened(clone)
    there = DirectorySource(clone.root / "estate").yaml_files(clone.root / "estate")
    assert source.yaml_files(source.root) == there
    assert "a/.git-like/x.yaml" not in _names(source)


def test_directories_are_listed(tmp_path: Path, opened: Opened) -> None:
    source = opened(
        Clone(tmp_path, {"estate/base/a.yaml": "", "estate/.x/a": "", "estate/b.yaml": "", "else/c": ""})
    )
    assert source.directories(source.root) == ["base"]
    assert source.directories(source.root / "nowhere") == ()


def test_carriage_returns_are_read(tmp_path: Path, opened: Opened) -> None:
    clone = Clone(tmp_path)
    before = load(opened(clone)).desired
    clone.commit({name: text.replace("\n", "\r\n").encode() for name, text in ESTATE.items()})
    after = load(opened(clone)).desired
    assert before is not None
    assert after is not None
    assert before.digest == after.digest


def _linked(root: Path, links: Mapping[str, str]) -> Clone:
    clone = Clone(root, {"estate/server.yaml": SERVER, "shared/imap.txt": IMAP, "shared/pop.yaml": "{}"})
    for name, target in links.items():
        (clone.root / name).symlink_to(target)
    clone.commit()
    return clone


def test_a_link_to_a_file_is_followed(tmp_path: Path, opened: Opened) -> None:
    source = opened(_linked(tmp_path, {"estate/imap.yaml": "../shared/imap.txt"}))
    assert source.read(source.root / "imap.yaml") == IMAP.encode()
    assert _names(source) == ["imap.yaml", "server.yaml"]


def test_a_link_to_a_directory_is_not_walked(tmp_path: Path, opened: Opened) -> None:
    assert _names(opened(_linked(tmp_path, {"estate/shared.yaml": "../shared"}))) == ["server.yaml"]


def test_a_link_through_a_linked_directory_is_followed(tmp_path: Path, opened: Opened) -> None:
    links = {"there": "shared", "estate/imap.yaml": "../there/imap.txt"}
    source = opened(_linked(tmp_path, links))
    assert source.exists(source.root / "imap.yaml")


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside.yaml"])
def test_a_link_out_of_the_repository_is_an_error(tmp_path: Path, opened: Opened, target: str) -> None:
    found = load(opened(_linked(tmp_path / "clone", {"estate/imap.yaml": target})))
    assert found.desired is None
    assert "leads out of the repository" in found.diagnostics[0].message


def test_a_loop_of_links_ends(tmp_path: Path, opened: Opened) -> None:
    source = opened(_linked(tmp_path, {"estate/a.yaml": "b.yaml", "estate/b.yaml": "a.yaml"}))
    with pytest.raises(OSError, match="symbolic links"):
        source.read(source.root / "a.yaml")


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path, opened: Opened) -> None:
    assert _names(opened(_linked(tmp_path, {"estate/a.yaml": "nowhere.yaml"}))) == ["server.yaml"]


def test_what_lies_in_lfs_is_told(tmp_path: Path, opened: Opened) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    found = load(opened(Clone(tmp_path, {**ESTATE, "estate/large.yaml": pointer})))
    assert found.desired is None
    assert "Git LFS keeps it elsewhere" in found.diagnostics[0].message


def test_a_submodule_is_a_warning(tmp_path: Path, opened: Opened) -> None:
    clone = Clone(tmp_path)
    commit = clone.git("rev-parse", "HEAD")
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{commit},estate/other")
    clone.git("commit", "--quiet", "--message=a submodule")
    (warning,) = opened(clone).submodules()
    assert "estate/other: a submodule's files are in another repository" in warning.message


def test_a_file_elsewhere_is_not_there(tmp_path: Path, opened: Opened) -> None:
    source = opened(Clone(tmp_path / "clone"))
    assert not source.exists(tmp_path / "other.yaml")
    assert not source.exists(source.root)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path, opened: Opened) -> None:
    found = load(opened(Clone(tmp_path, {"else/a.yaml": ""})))
    assert [problem.message for problem in found.diagnostics] == [
        "estate: there is no such directory in HEAD"
    ]
