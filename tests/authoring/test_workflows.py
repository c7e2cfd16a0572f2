"""What `init` writes for other programs does its work: the hook in a real git repository, and what GitHub and GitLab
run, step by step, on a clone as they make it. The hosts are stood in for: by a `gh`, and by a small HTTP server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

from reconciler.authoring.scaffold import scaffold
from tests.support.programs import need

both_layouts = pytest.mark.parametrize(
    "desk", [(), ("development", "production")], ids=["plain", "environments"], indirect=True
)
OPEN_RELAY = "authMechanism: [Tls, ExternalAuthoritative]\n  permissionGroups: [ExchangeServers]"
GH = '''\
"""Keeps comments in a file, as the host keeps them: `gh api` for those of one pull request."""
import json, os, sys
from pathlib import Path

kept = Path(os.environ["COMMENTS"])
comments = json.loads(kept.read_text()) if kept.exists() else []
words = sys.argv[1:]
assert words[0] == "api" and os.environ["GH_TOKEN"]
if "--method" not in words:
    assert "startswith(env.MARKER)" in words[words.index("--jq") + 1]
    print("\\n".join(str(one["id"]) for one in comments if one["body"].startswith(os.environ["MARKER"])))
    sys.exit()
place = next(word for word in words if word.startswith("repos/"))
body = Path(words[words.index("-F") + 1].removeprefix("body=@")).read_text()
if "POST" in words:
    assert place == "repos/contoso/mail/issues/7/comments"
    comments.append({"id": len(comments) + 1, "body": body})
else:
    next(one for one in comments if place == f"repos/contoso/mail/issues/comments/{one['id']}")["body"] = body
kept.write_text(json.dumps(comments))
'''


@dataclass(frozen=True)
class Desk:
    """A repository made by `init` whose main is pushed, with a branch checked out, and programs on the path."""

    root: Path
    environment: dict[str, str]
    layout: tuple[str, ...]

    @property
    def work(self) -> Path:
        return self.root / "mail"

    @property
    def clone(self) -> Path:
        """What a job works in."""
        return self.root / "clone"

    def run(
        self, *command: str, at: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=at or self.work,
            env={**self.environment, **(settings or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def git(self, *arguments: str) -> None:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def change(self, name: str, old: str, new: str) -> None:
        """Commit and push an edit of one file of the estate."""
        file = self.work / "estate" / ("base" if self.layout else "") / name
        text = file.read_text(encoding="utf-8")
        assert re.search(old, text), text
        file.write_text(re.sub(old, new, text, count=1), encoding="utf-8")
        self.git("commit", "-qam", "A change")
        self.git("push", "-q", "origin", "HEAD")

    def load(self, name: str) -> Any:
        return YAML(typ="safe").load(self.work / name)


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    need("git")
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "reconcile", f'exec {shlex.quote(sys.executable)} -m reconciler.cli.main "$@"\n')
    _program(programs / "python", f'exec {shlex.quote(sys.executable)} "$@"\n')
    (tmp_path / "gh.py").write_text(GH, encoding="utf-8")
    _program(
        programs / "gh", f'exec {shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / "gh.py"))} "$@"\n'
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "RECONCILE_"))}
    names = {
        f"GIT_{role}_{part}": text
        for role in ("AUTHOR", "COMMITTER")
        for part, text in (("NAME", "alice"), ("EMAIL", "alice@contoso.example"))
    }
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    path = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    found = Desk(tmp_path, kept | names | quiet | path, getattr(request, "param", ()))
    scaffold(found.work, found.layout)
    found.git("init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    found.git("init", "-q", "-b", "main")
    found.git("add", "--all")
    found.git("commit", "-qm", "As init made it")
    found.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    found.git("push", "-q", "origin", "main")
    found.git("checkout", "-q", "-b", "more")
    return found


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)


# The hook


def with_hook(desk: Desk) -> None:
    """The commands that pre-commit would run, as git's own hook."""
    hooks = desk.load(".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)
    commands = [f"{hook['entry']} || exit 1\n" for hook in hooks]
    _program(desk.work / ".git" / "hooks" / "pre-commit", "".join(commands))


@both_layouts
def test_a_good_change_is_committed(desk: Desk) -> None:
    with_hook(desk)
    desk.change("client-access.yaml", r"spec:\n", "spec:\n  banner: ready\n")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [("fqdn: .*", "fqdn: 5", "fqdn: expected a host name"), ("fqdn: ", "fqdn:   ", "server.yaml")],
    ids=["wrong", "not in style"],
)
def test_a_bad_change_is_not(desk: Desk, old: str, new: str, told: str) -> None:
    with_hook(desk)
    with pytest.raises(AssertionError, match=re.escape(told)):
        desk.change("server.yaml", old, new)
    assert desk.run("git", "log", "-1", "--format=%s").stdout == "As init made it\n"


# GitHub


def on_github(desk: Desk, *, is_fork: bool = False) -> list[subprocess.CompletedProcess[str]]:
    """Run the steps of the workflow, until one fails, in a clone as its checkout makes it."""
    checkout, *steps = desk.load(".github/workflows/review.yaml")["jobs"]["review"]["steps"]
    assert checkout["with"] == {"fetch-depth": 0, "ref": "${{ github.event.pull_request.head.sha }}"}
    shutil.rmtree(desk.clone, ignore_errors=True)
    desk.git("clone", "-q", str(desk.root / "origin.git"), str(desk.clone))
    desk.git("-C", str(desk.clone), "checkout", "-q", "--detach", "origin/more")
    done: list[subprocess.CompletedProcess[str]] = []
    for step in steps:
        if "run" in step and "pip install" not in step["run"]:
            done.append(_step(desk, step, is_fork=is_fork))
            if done[-1].returncode:
                break
    return done


def _step(desk: Desk, step: dict[str, Any], *, is_fork: bool) -> subprocess.CompletedProcess[str]:
    """As the host runs it: by bash -e, with its own variables and those of the step."""
    settings = {name: _filled(text, is_fork=is_fork) for name, text in step.get("env", {}).items()}
    settings |= {
        "GITHUB_REPOSITORY": "contoso/mail",
        "GITHUB_STEP_SUMMARY": str(desk.root / "summary"),
        "COMMENTS": str(desk.root / "comments"),
    }
    return desk.run("bash", "-e", "-c", step["run"], at=desk.clone, settings=settings)


def _filled(text: str, *, is_fork: bool) -> str:
    known = {
        "github.base_ref": "main",
        "github.token": "token",
        "github.event.pull_request.number": "7",
        "github.event.pull_request.head.repo.fork": "true" if is_fork else "false",
    }
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], text)


def comments(desk: Desk) -> list[str]:
    return [one["body"] for one in json.loads((desk.root / "comments").read_text(encoding="utf-8"))]


@both_layouts
def test_github_comments_once_and_keeps_the_comment_up_to_date(desk: Desk) -> None:
    desk.change("client-access.yaml", r"spec:\n", "spec:\n  banner: ready\n")
    done = on_github(desk)
    assert [step.returncode for step in done] == [0] * len(done), done[-1].stderr
    [first] = comments(desk)
    assert first.startswith("<!-- reconcile review: estate -->\n")
    assert "`banner`" in first
    assert (desk.root / "summary").read_text(encoding="utf-8") == first
    desk.change("client-access.yaml", "banner: ready", "banner: still ready")
    on_github(desk)
    [second] = comments(desk)
    assert "still ready" in second


def test_github_lets_a_fork_read_it_in_the_summary(desk: Desk) -> None:
    desk.change("client-access.yaml", r"spec:\n", "spec:\n  banner: ready\n")
    done = on_github(desk, is_fork=True)
    assert [step.returncode for step in done] == [0] * len(done), done[-1].stderr
    assert not (desk.root / "comments").exists()
    assert "`banner`" in (desk.root / "summary").read_text(encoding="utf-8")


def test_github_is_red_and_says_why_when_a_guardrail_stands_against_it(desk: Desk) -> None:
    desk.change("mail-flow.yaml", r"authMechanism: .*\n  permissionGroups: .*", OPEN_RELAY)
    assert on_github(desk)[-1].returncode == 1
    assert "`open-relay`" in comments(desk)[0]


def test_github_is_red_at_an_error(desk: Desk) -> None:
    desk.change("server.yaml", "fqdn: .*", "fqdn: 5")
    failed = on_github(desk)[-1]
    assert failed.returncode == 1
    assert "::error file=estate/" in failed.stdout


# GitLab


@dataclass
class Notes:
    """The notes of one merge request, served as GitLab serves them."""

    bodies: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def notes() -> Iterator[Notes]:
    found = Notes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """A page of 100, the newest first unless it is asked for otherwise."""
            notes = [{"id": number, "body": body} for number, body in enumerate(found.bodies)]
            query = parse_qs(urlsplit(self.path).query)
            self.answer((notes if query.get("sort") == ["asc"] else notes[::-1])[: int(query["per_page"][0])])

        def do_POST(self) -> None:
            found.bodies.append(self.body())
            self.answer({})

        def do_PUT(self) -> None:
            found.bodies[int(self.path.rpartition("/")[2])] = self.body()
            self.answer({})

        def body(self) -> str:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + content)
            [part] = message.iter_parts()
            assert part.get_param("name", header="content-disposition") == "body"
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode()

        def answer(self, value: Any) -> None:
            assert self.path.startswith("/api/projects/3/merge_requests/7/notes")
            assert self.headers["PRIVATE-TOKEN"] == "token"
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def on_gitlab(desk: Desk, notes: Notes) -> subprocess.CompletedProcess[str]:
    """Run the job's script in a clone of the branch."""
    need("curl")
    script = [line for line in desk.load(".gitlab-ci.yml")["review"]["script"] if "pip install" not in line]
    shutil.rmtree(desk.clone, ignore_errors=True)
    origin = str(desk.root / "origin.git")
    desk.git("clone", "-q", "--branch", "more", "--single-branch", origin, str(desk.clone))
    settings = {
        "CI_API_V4_URL": notes.url,
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "RECONCILE_TOKEN": "token",
    }
    return desk.run("bash", "-eo", "pipefail", "-c", "\n".join(script), at=desk.clone, settings=settings)


def test_gitlab_comments_once_and_keeps_the_comment_up_to_date(desk: Desk, notes: Notes) -> None:
    desk.change("client-access.yaml", r"spec:\n", "spec:\n  banner: ready\n")
    done = on_gitlab(desk, notes)
    assert done.returncode == 0, done.stderr
    assert notes.bodies[0].startswith("<!-- reconcile review: estate -->")
    discussion = [f"A long discussion, part {number}" for number in range(120)]
    notes.bodies += discussion
    desk.change("client-access.yaml", "banner: ready", "banner: still ready")
    on_gitlab(desk, notes)
    [second, *others] = notes.bodies
    assert "still ready" in second
    assert others == discussion


def test_gitlab_is_red_and_says_why_when_a_guardrail_stands_against_it(desk: Desk, notes: Notes) -> None:
    desk.change("mail-flow.yaml", r"authMechanism: .*\n  permissionGroups: .*", OPEN_RELAY)
    assert on_gitlab(desk, notes).returncode == 1
    assert "`open-relay`" in notes.bodies[0]
