"""Real git repositories for tests: small estates, committed with a fixed clock, so that object ids never change."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from reconciler.review.git import Repository
from reconciler.review.model import Comparison, Review
from reconciler.review.review import Live, Request, review_revisions
from tests.support.programs import need

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CLOCK = "2026-01-01T12:00:00Z"
_SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "alice",
    "GIT_AUTHOR_EMAIL": "alice@contoso.example",
    "GIT_AUTHOR_DATE": _CLOCK,
    "GIT_COMMITTER_NAME": "alice",
    "GIT_COMMITTER_EMAIL": "alice@contoso.example",
    "GIT_COMMITTER_DATE": _CLOCK,
}

SERVER = """\
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01, labels: {site: dublin}}
spec:
  fqdn: ex01.contoso.example
  services: {imap4: {startupType: Automatic}, imap4-backend: {startupType: Automatic}}
---
apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {name: db01}
spec: {server: ex01}
"""
IMAP = """\
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: [ex01]
  loginType: SecureLogin
  maxConnectionsPerUser: 16
"""
MAILBOX = """\
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: NAME}
spec:
  database: db01
  primarySmtpAddress: NAME@contoso.example
  password: {secretRef: {file: secrets/NAME}}
"""
POLICY = """\
apiVersion: reconciler/policy/v1
kind: Policy
id: few-connections
title: Nobody needs many connections
severity: error
match: {kinds: [ImapSettings]}
require: resource.spec.maxConnectionsPerUser <= 100
at: [maxConnectionsPerUser]
message: "{resource.spec.maxConnectionsPerUser} connections of one user"
"""
ESTATE = {
    "estate/server.yaml": SERVER,
    "estate/imap.yaml": IMAP,
    "estate/mailboxes.yaml": MAILBOX.replace("NAME", "alice"),
    "estate/policies/connections.yaml": POLICY,
}


def mailbox(name: str) -> str:
    """A mailbox whose password lies in a file."""
    return MAILBOX.replace("NAME", name)


class Clone:
    """A repository with a work tree that tests write to and commit."""

    def __init__(self, root: Path, files: Mapping[str, str | bytes] = ESTATE) -> None:
        self.root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit(files)

    def git(self, *arguments: str) -> str:
        """Run git here."""
        done = subprocess.run(
            [need("git"), *arguments],
            cwd=self.root,
            env={**os.environ, **_SETTINGS},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes] | None = None, *, without: tuple[str, ...] = ()) -> str:
        """Commit these files and removals; returns the commit."""
        for name, content in (files or {}).items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        for name in without:
            (self.root / name).unlink()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a change")
        return self.git("rev-parse", "HEAD")

    def replace(self, name: str, old: str, new: str) -> str:
        """Commit one replaced text."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        return self.commit({name: text.replace(old, new)})

    def branch(self, name: str = "change") -> None:
        """Leave for a new branch."""
        self.git("checkout", "--quiet", "-b", name)

    @property
    def repository(self) -> Repository:
        return Repository.holding(self.root)

    def review(
        self,
        directory: str = "estate",
        *,
        base: str = "main",
        head: str = "HEAD",
        live: Live | None = None,
        **more: object,
    ) -> Review:
        """Review head against base."""
        fields: dict[str, object] = {"now": NOW, **more}
        request = Request(PurePosixPath(directory), base=base, head=head, **fields)  # type: ignore[arg-type]
        return review_revisions(self.repository, request, live=live)

    def compare(self, **more: object) -> Comparison:
        """The review of an estate without overlays."""
        (comparison,) = self.review(**more).comparisons  # type: ignore[arg-type]
        return comparison


def changed(root: Path, name: str, old: str, new: str) -> Clone:
    """A clone whose branch replaces one text in one file of the usual estate."""
    clone = Clone(root)
    clone.branch()
    clone.replace(f"estate/{name}", old, new)
    return clone
