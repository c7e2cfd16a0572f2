"""A pull request whose estate holds the files of a repository of its own, which git would take for the one to ask."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import git
from reconciler.applying.history import git_commit
from reconciler.cli.main import main
from reconciler.review.git import Repository
from tests.review.repositories import Clone

CONFIG = """\
[core]
	repositoryformatversion = 0
	bare = {bare}
	fsmonitor = "echo fsmonitor >> {ran}; false"
	hooksPath = "{hooks}"
{work_tree}[filter "x"]
	clean = "echo filter >> {ran}; cat"
"""


PROMISOR = """\
[core]
	repositoryformatversion = 1
	bare = true
[extensions]
	partialClone = origin
[remote "origin"]
	url = {url}
	promisor = true
	uploadpack = "echo uploadpack >> {ran}; false"
[protocol "file"]
	allow = always
"""


@dataclass(frozen=True)
class Attacked:
    """A clone on a branch that changes one value and embeds a repository; `ran` is there once a command of its was
    run."""

    clone: Clone
    ran: Path

    @property
    def estate(self) -> Path:
        return self.clone.root / "estate"

    def edit(self) -> None:
        """Leave a file changed and uncommitted."""
        file = self.estate / "imap.yaml"
        file.write_text(file.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")


@pytest.fixture(params=[False, True], ids=["with a work tree", "bare"])
def attacked(tmp_path: Path, request: pytest.FixtureRequest) -> Attacked:
    clone, ran = Clone(tmp_path / "clone"), tmp_path / "ran"
    clone.branch()
    clone.replace("estate/imap.yaml", "User: 16", "User: 32")
    # What the embedded repository says: there is nothing but one commit, so nothing changes.
    files = {name: (clone.root / "estate" / name).read_text() for name in ("server.yaml", "imap.yaml")}
    other = Clone(tmp_path / "other", files)
    other.git("pack-refs", "--all")
    estate = clone.root / "estate"
    for name in ("HEAD", "objects", "packed-refs", "index"):
        whole = other.root / ".git" / name
        (shutil.copytree if whole.is_dir() else shutil.copy)(whole, estate / name)
    (estate / "refs").mkdir()
    (estate / "refs" / "keep").write_text("")
    is_bare = request.param
    work_tree = "" if is_bare else "\tworktree = .\n"
    config = CONFIG.format(bare=str(is_bare).lower(), ran=ran, hooks=estate, work_tree=work_tree)
    (estate / "config").write_text(config)
    (estate / ".gitattributes").write_text("*.yaml filter=x\n")
    clone.commit()
    return Attacked(clone, ran)


def test_the_repository_around_it_is_the_one(attacked: Attacked) -> None:
    found = Repository.holding(attacked.estate)
    assert found.root == attacked.clone.root
    assert found.commit("HEAD") == attacked.clone.git("rev-parse", "HEAD")


def test_the_review_compares_the_commits_around_it(
    attacked: Attacked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(attacked.estate), "--base", "main"]) == 2
    assert "`maxConnectionsPerUser` `16` -> `32`" in capsys.readouterr().out
    assert not attacked.ran.exists()


def test_uncommitted_files_are_told_and_no_command_of_it_is_run(
    attacked: Attacked, capsys: pytest.CaptureFixture[str]
) -> None:
    attacked.edit()
    main(["review", str(attacked.estate), "--base", "main"])
    assert "(uncommitted changes" in capsys.readouterr().err
    assert not attacked.ran.exists()


def test_the_history_names_the_commit_around_it_and_no_command_of_it_is_run(attacked: Attacked) -> None:
    commit = attacked.clone.git("rev-parse", "HEAD")
    assert git_commit(attacked.estate) == commit
    attacked.edit()
    assert git_commit(attacked.estate) == f"{commit}+"
    assert not attacked.ran.exists()


@pytest.mark.parametrize("attacked", [False], indirect=True)
def test_files_that_were_exported_are_of_no_commit(attacked: Attacked) -> None:
    shutil.rmtree(attacked.clone.root / ".git")
    assert git_commit(attacked.estate) is None
    assert not attacked.ran.exists()


def test_no_command_is_run_where_nothing_is_around_it(attacked: Attacked, tmp_path: Path) -> None:
    """As in an archive that was unpacked."""
    alone = tmp_path / "unpacked"
    shutil.copytree(attacked.estate, alone)
    (alone / "imap.yaml").write_text("edited: true", encoding="utf-8")
    main(["review", str(alone), "--base", "HEAD"])
    assert not attacked.ran.exists()


@pytest.mark.parametrize("known", [True, False], ids=["this git", "a git without GIT_NO_LAZY_FETCH"])
def test_missing_objects_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """The remote that promises them names a program of its own."""
    alone, ran = tmp_path / "unpacked", tmp_path / "ran"
    (alone / "objects").mkdir(parents=True)
    (alone / "refs" / "heads").mkdir(parents=True)
    (alone / "HEAD").write_text("ref: refs/heads/main\n")
    (alone / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    (alone / "config").write_text(PROMISOR.format(url=tmp_path, ran=ran))
    (alone / "imap.yaml").write_text("{}")
    if not known:
        monkeypatch.setattr(git, "_ALONE", {**git._ALONE, "GIT_NO_LAZY_FETCH": "0"})
    assert main(["review", str(alone), "--base", "main"]) == 1
    assert not ran.exists()
