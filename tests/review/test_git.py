"""Reading a repository: revisions, merge bases, trees, contents; and what is refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from reconciler.review.git import Blobs, GitError, Repository
from tests.review.repositories import Clone


def test_a_branch_is_a_commit(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    assert clone.repository.commit("main") == clone.git("rev-parse", "main")


@pytest.mark.parametrize("revision", ["--all", "-n1", "--output=/tmp/x", "", "main\n--all", "main\0"])
def test_what_could_be_an_option_is_no_revision(tmp_path: Path, revision: str) -> None:
    with pytest.raises(GitError, match="names no revision"):
        Clone(tmp_path).repository.commit(revision)


@pytest.mark.parametrize("revision", ["nowhere", "main:estate", "$(touch x)", "main..main", "HEAD^{/x"])
def test_what_is_no_commit_is_told(tmp_path: Path, revision: str) -> None:
    with pytest.raises(GitError, match="there is no revision"):
        Clone(tmp_path).repository.commit(revision)


def test_the_merge_base_is_where_a_branch_left(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    left = clone.git("rev-parse", "HEAD")
    clone.branch()
    change = clone.commit({"a": "1"})
    clone.git("checkout", "--quiet", "main")
    main = clone.commit({"b": "1"})
    assert clone.repository.merge_base(main, change) == left


def test_histories_that_never_meet_are_told(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    main = clone.git("rev-parse", "HEAD")
    clone.git("checkout", "--quiet", "--orphan", "other")
    other = clone.commit({"a": "1"})
    with pytest.raises(GitError, match="no commit in common; name another base"):
        clone.repository.merge_base(main, other)


def test_a_shallow_clone_is_told_how_to_go_on(tmp_path: Path) -> None:
    origin = Clone(tmp_path / "origin")
    origin.branch()
    origin.commit({"a": "1"})
    origin.git("checkout", "--quiet", "main")
    origin.commit({"b": "1"})
    origin.git(
        "clone",
        "--quiet",
        "--depth=1",
        "--no-single-branch",
        f"file://{origin.root}",
        str(tmp_path / "shallow"),
    )
    shallow = Repository.holding(tmp_path / "shallow")
    with pytest.raises(GitError, match="fetch --unshallow"):
        shallow.merge_base(shallow.commit("origin/main"), shallow.commit("origin/change"))


def test_names_come_out_as_they_are(tmp_path: Path) -> None:
    names = ["a b.yaml", 'quo"te.yaml', "new\nline.yaml", "-dash.yaml", "tab\t.yaml", "ü.yaml", "$(id).yaml"]
    clone = Clone(tmp_path, dict.fromkeys(names, ""))
    tree = clone.repository.tree(clone.repository.commit("HEAD"))
    assert set(tree) == {PurePosixPath(name) for name in names}


def test_contents_are_read_one_after_another(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {"one": "1\n", "empty": "", "two": b"\0\xff\n\n"})
    tree = clone.repository.tree(clone.repository.commit("HEAD"))
    with Blobs(clone.repository) as blobs:
        found = [
            blobs.read(tree[PurePosixPath(name)].object_id, limit=100) for name in ("one", "empty", "two")
        ]
    assert found == [b"1\n", b"", b"\0\xff\n\n"]


def test_what_is_too_large_is_passed_over(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {"large": "x" * 11, "small": "y"})
    tree = clone.repository.tree(clone.repository.commit("HEAD"))
    with Blobs(clone.repository) as blobs:
        assert blobs.read(tree[PurePosixPath("large")].object_id, limit=10) is None
        assert blobs.read(tree[PurePosixPath("small")].object_id, limit=10) == b"y"


def test_a_missing_object_is_told(tmp_path: Path) -> None:
    with Blobs(Clone(tmp_path).repository) as blobs, pytest.raises(GitError, match="may be partial"):
        blobs.read("0" * 40, limit=10)


def test_a_directory_without_a_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="in no git repository"):
        Repository.holding(tmp_path)


def test_a_bare_repository_will_do(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    bare = Repository.holding(tmp_path / "bare.git" / "estate")
    assert bare.prefix(tmp_path / "bare.git" / "estate") == PurePosixPath("estate")
    assert bare.commit("main") == clone.git("rev-parse", "main")


def test_a_directory_that_is_not_checked_out_has_its_repository(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    gone = clone.root / "nowhere" / "estate"
    assert Repository.holding(gone).prefix(gone) == PurePosixPath("nowhere/estate")


def test_a_directory_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not in the repository"):
        Clone(tmp_path / "clone").repository.prefix(tmp_path)


def test_the_environment_of_a_hook_does_not_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path / "clone")
    commit = clone.git("rev-parse", "main")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert Repository.holding(clone.root).commit("main") == commit


def test_a_linked_work_tree_is_a_repository(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    linked = Repository.holding(tmp_path / "linked" / "estate")
    assert linked.root == (tmp_path / "linked").resolve()
    assert linked.commit("HEAD") == clone.git("rev-parse", "main")
    assert not linked.has_uncommitted(PurePosixPath("estate"))
    (tmp_path / "linked" / "estate" / "imap.yaml").write_text("# edited\n")
    assert linked.has_uncommitted(PurePosixPath("estate"))
    assert not linked.has_uncommitted(PurePosixPath("estate/policies"))


def test_a_bare_repository_in_a_work_tree_is_not_taken_for_the_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    assert Repository.holding(tmp_path / "bare.git").root == clone.root


def test_a_directory_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="cannot be looked at"):
        Repository.holding(tmp_path / ("x" * 300))
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(GitError, match="cannot be looked at"):
        Repository.holding(tmp_path / "circle")
