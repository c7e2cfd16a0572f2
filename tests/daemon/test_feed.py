"""A git reference as what is declared: fetched into a clone, read without a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from reconciler.daemon import notices
from reconciler.daemon.feed import GitFeed, fetch
from reconciler.daemon.notices import Notice
from reconciler.review.git import Repository
from tests.support.waiting import eventually


def git(directory: Path, *arguments: str) -> None:
    names = {
        f"GIT_{who}_{what}": "alice@contoso.example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, capture_output=True, env=os.environ | names
    )


class Remote:
    """A repository that somebody pushes to, and a clone of it."""

    def __init__(self, root: Path) -> None:
        self.upstream, self.clone = root / "upstream", root / "clone"
        self.upstream.mkdir()
        git(self.upstream, "init", "--quiet", "--initial-branch=main")
        self.commit("a: 1\n")
        git(root, "clone", "--quiet", str(self.upstream), str(self.clone))

    def commit(self, text: str) -> None:
        (self.upstream / "estate").mkdir(exist_ok=True)
        (self.upstream / "estate" / "a.yaml").write_text(text)
        git(self.upstream, "add", ".")
        git(self.upstream, "commit", "--quiet", "-m", "estate")

    def feed(self, *, interval: float | None = None) -> GitFeed:
        repository = Repository.holding(self.clone)
        return GitFeed(repository, "origin/main", directory=PurePosixPath("estate"), interval=interval)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def content(feed: GitFeed) -> bytes:
    with feed.open() as source:
        (path,) = source.yaml_files(source.root)
        return source.read(path)


def test_the_first_look_is_a_change_and_the_second_is_not(remote: Remote) -> None:
    feed = remote.feed()
    assert feed.look().has_changed
    assert not feed.look().has_changed


def test_what_is_fetched_is_seen_without_a_checkout(remote: Remote) -> None:
    feed = remote.feed()
    feed.look()
    remote.commit("a: 2\n")
    assert fetch(remote.clone, "origin") is None
    assert feed.look().has_changed
    assert content(feed) == b"a: 2\n"
    assert (remote.clone / "estate" / "a.yaml").read_text() == "a: 1\n"


def test_what_was_looked_at_is_what_is_read(remote: Remote) -> None:
    feed = remote.feed()
    feed.look()
    remote.commit("a: 2\n")
    fetch(remote.clone, "origin")
    assert content(feed) == b"a: 1\n"


def test_it_fetches_by_itself_and_rings(remote: Remote) -> None:
    feed, told, rung = remote.feed(interval=0.05), list[Notice](), list[int]()
    feed.start(lambda: rung.append(1), told.append)
    try:
        feed.look()
        remote.commit("a: 2\n")
        eventually(lambda: feed.look().has_changed, what="the new commit")
    finally:
        feed.stop()
    assert rung
    assert any(isinstance(one, notices.Revision) for one in told)
    assert notices.Fetched("origin") in told


def test_a_fetch_that_fails_is_told(remote: Remote) -> None:
    feed, told = remote.feed(interval=60), list[Notice]()
    remote.upstream.rename(remote.upstream.with_name("away"))
    feed.start(lambda: None, told.append)
    eventually(lambda: told, what="the complaint")
    feed.stop()
    assert isinstance(told[0], notices.FetchFailed)


def test_the_first_fetch_that_works_again_counts_the_failures(remote: Remote) -> None:
    feed, told = remote.feed(interval=0.05), list[Notice]()
    away = remote.upstream.rename(remote.upstream.with_name("away"))
    feed.start(lambda: None, told.append)
    try:
        eventually(lambda: told[1:], what="two complaints")
        away.rename(remote.upstream)
        eventually(lambda: any(isinstance(one, notices.Fetched) for one in told), what="a fetch")
    finally:
        feed.stop()
    failed = sum(isinstance(one, notices.FetchFailed) for one in told)
    assert next(one for one in told if isinstance(one, notices.Fetched)).failures == failed


def test_a_link_to_a_directory_that_is_swapped_is_followed(tmp_path: Path) -> None:
    """See test_watch for content; this is the clone itself behind a link."""
    remote = Remote(tmp_path)
    (tmp_path / "link").symlink_to(remote.clone)
    repository = Repository.holding(tmp_path / "link")
    assert repository.prefix(tmp_path / "link" / "estate") == PurePosixPath("estate")


def test_a_fetch_runs_no_hook_of_the_files_that_it_serves(remote: Remote, tmp_path: Path) -> None:
    hook, ran = remote.clone / "hooks" / "reference-transaction", tmp_path / "ran"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    hook.chmod(0o755)
    git(remote.clone, "config", "core.hooksPath", str(hook.parent))
    remote.commit("a: 2\n")
    assert fetch(remote.clone, "origin") is None
    assert remote.feed().look().has_changed
    assert not ran.exists()
