"""`reconcile daemon --git-ref origin/main`: what is pushed is fetched, told and applied without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemons, health
from tests.support.estate import PASSWORDS, Runtime, write_estate
from tests.support.ports import free_port
from tests.support.waiting import eventually

Start = Callable[..., Daemon]
POLICY = "apiVersion: reconciler/v1\nkind: ThrottlingPolicy\nmetadata: {name: few}\nspec: {imapMaxConcurrency: 7}\n"


def git(directory: Path, *arguments: str) -> str:
    names = {
        f"GIT_{who}_{what}": "alice@contoso.example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | names,
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class Team:
    """A bare repository, the clone that alice pushes from, and the clone that the daemon follows."""

    runtime: Runtime
    upstream: Path
    desk: Path
    clone: Path

    def push(self, text: str | None = None, *, limit: int = 16) -> str:
        """Commit the estate with this limit, or this text in its place, and push; the commit."""
        write_estate(self.desk / "estate", self.runtime.ports, max_connections_per_user=limit)
        if text is not None:
            (self.desk / "estate" / "estate.yaml").write_text(text)
        git(self.desk, "add", ".")
        git(self.desk, "commit", "--quiet", "--allow-empty", "-m", "estate")
        git(self.desk, "push", "--quiet", "origin", "HEAD:main")
        return git(self.desk, "rev-parse", "HEAD")


@pytest.fixture
def team(runtime: Runtime, tmp_path: Path) -> Team:
    upstream, desk, clone = tmp_path / "upstream.git", tmp_path / "desk", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
    git(tmp_path, "clone", "--quiet", str(upstream), str(desk))
    (desk / ".gitignore").write_text("secrets/\n")
    found = Team(runtime, upstream, desk, clone)
    found.push()
    git(tmp_path, "clone", "--quiet", str(upstream), str(clone))
    # Secrets are no part of a commit: they lie where a checkout has them.
    (clone / "estate" / "secrets").mkdir()
    for name, password in PASSWORDS.items():
        (clone / "estate" / "secrets" / name).write_text(password + "\n")
    return found


@pytest.fixture
def follow(team: Team, tmp_path: Path) -> Iterator[Start]:
    """Starts a daemon that follows origin/main."""
    with daemons(team.runtime, tmp_path) as run:

        def start(*options: str) -> Daemon:
            fetching = ("--git-ref", "origin/main", "--fetch-interval", "0.2s")
            return run(*fetching, *options, estate=team.clone / "estate")

        yield start
    team.runtime.apply()


def limit(runtime: Runtime) -> object:
    shown = json.loads(runtime.reconcile("live", "get", "ImapSettings/ex01", "--format", "json").stdout)
    return shown["spec"]["maxConnectionsPerUser"]


@contextmanager
def without(directory: Path) -> Iterator[None]:
    away = directory.with_name("away")
    directory.rename(away)
    try:
        yield
    finally:
        away.rename(directory)


def test_a_push_is_told_without_a_checkout(follow: Start, team: Team) -> None:
    daemon = follow()
    daemon.said("in-sync")
    commit = team.push(limit=32)
    event = daemon.said("plan")
    assert {change["resource"] for change in event["changes"]} == {"ImapSettings/ex01", "PopSettings/ex01"}
    assert daemon.events("revision")[-1]["commit"] == commit
    assert "maxConnectionsPerUser: 16" in (team.clone / "estate" / "estate.yaml").read_text()
    assert limit(team.runtime) == 16


def test_a_push_is_applied_and_the_history_names_its_commit(follow: Start, team: Team) -> None:
    daemon = follow("--mode", "heal")
    daemon.said("in-sync")
    commit = team.push(limit=32)
    daemon.said("applied")
    assert limit(team.runtime) == 32
    last = (team.runtime.state / "history.jsonl").read_text().splitlines()[-1]
    assert commit in last


def test_a_roll_back_of_what_was_pushed_asks_for_the_estate(follow: Start, team: Team) -> None:
    daemon = follow("--mode", "heal")
    daemon.said("in-sync")
    team.push(limit=32)
    daemon.said("applied")
    daemon.end()
    shown = json.loads(team.runtime.reconcile("history", "--format", "json", "--limit", "2").stdout)
    before = str(shown["entries"][-1]["number"])
    refused = team.runtime.reconcile("rollback", "--to", before, "--yes", expect=1)
    assert "at origin/main of the repository" in refused.stderr
    assert "name it with --estate DIR" in refused.stderr
    assert limit(team.runtime) == 32
    team.runtime.reconcile("rollback", "--to", before, "--yes", "--estate", str(team.clone / "estate"))
    assert limit(team.runtime) == 16


def test_a_broken_commit_keeps_the_last_good_configuration(follow: Start, team: Team) -> None:
    daemon = follow("--mode", "heal", "--interval", "1h")
    daemon.said("in-sync")
    team.push("kind: [\n")
    assert "the last good configuration stays" in daemon.said("configuration-broken")["text"]
    team.runtime.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    daemon.look_now()
    assert daemon.said("applied")["drifted"] == ["ImapSettings/ex01"]
    team.push(limit=32)
    daemon.said("applied", times=2)
    assert limit(team.runtime) == 32


def test_an_upstream_that_is_away_is_told_and_survived(follow: Start, team: Team) -> None:
    port = free_port()
    daemon = follow("--mode", "heal", "--interval", "1h", "--listen", f"127.0.0.1:{port}")
    daemon.said("in-sync")
    with without(team.upstream):
        daemon.said("fetch-failed", times=2)
        status, reasons = health(port)
        assert (status, "git fetch origin" in "; ".join(reasons)) == (503, True)
        team.runtime.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
        daemon.look_now()
        daemon.said("applied")
    daemon.said("fetched")
    eventually(lambda: health(port)[0] == 200, what="a healthy daemon")
    team.push(limit=32)
    daemon.said("applied", times=2)
    assert limit(team.runtime) == 32


def test_a_branch_that_is_deleted_is_told_once_and_survived(follow: Start, team: Team) -> None:
    daemon = follow("--mode", "heal", "--interval", "1h")
    daemon.said("in-sync")
    git(team.upstream, "update-ref", "-d", "refs/heads/main")
    assert "there is no revision origin/main" in daemon.said("failed")["text"]
    team.runtime.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    daemon.look_now()
    daemon.said("applied")
    team.push(limit=32)
    daemon.said("applied", times=2)
    assert len(daemon.events("failed")) == 1


def test_a_tag_or_commit_that_nobody_fetches_needs_no_remote(follow: Start, team: Team) -> None:
    git(team.clone, "remote", "remove", "origin")
    git(team.clone, "tag", "release", "main")
    with_tag = follow("--git-ref", "release")
    with_tag.said("in-sync")
    eventually(lambda: with_tag.events("revision"), what="the revision")
    assert not with_tag.events("fetch-failed")


def test_an_overlay_of_a_repository_is_followed_with_its_base(team: Team, tmp_path: Path) -> None:
    (team.desk / "whole" / "overlays" / "production").mkdir(parents=True)
    (team.desk / "whole" / "overlays" / "production" / "few.yaml").write_text(POLICY)
    git(team.desk, "mv", "estate", "whole/base")
    git(team.desk, "add", ".")
    git(team.desk, "commit", "--quiet", "-m", "layers")
    git(team.desk, "push", "--quiet", "origin", "HEAD:main")
    git(team.clone, "pull", "--quiet")
    (team.clone / "estate" / "secrets").rename(team.clone / "whole" / "base" / "secrets")
    options = ("--git-ref", "origin/main", "--repository", str(team.clone))
    with daemons(team.runtime, tmp_path) as run:
        event = run(*options, estate=Path("whole/overlays/production")).said("plan")
    assert [change["resource"] for change in event["changes"]] == ["ThrottlingPolicy/few"]
