"""A plan where nothing is to be done: the second one is quick, says the same, and overlooks nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import planning
from tests.cli.conftest import Ran
from tests.support.estate import PASSWORDS, Runtime, write_estate

Reconcile = Callable[..., Ran]
Change = Callable[[Reconcile, Runtime], object]
UNDECLARED = """apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: other}
spec: {domainName: other.example}
"""


@pytest.fixture
def run(applied: Runtime, reconcile: Reconcile) -> Reconcile:
    """`reconcile` with the state directory of an estate at rest that was planned before."""
    write_estate(applied.directory, applied.ports)

    def on_it(*arguments: object) -> Ran:
        return reconcile("--state", applied.state, *arguments)

    assert on_it("apply", "--yes", applied.directory).code == 0
    assert on_it("plan", applied.directory).code == 0
    return on_it


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each plan that takes a whole reading."""
    seen: list[str] = []
    show_whole: Any = planning.show_whole

    def noted(*arguments: object, **options: object) -> object:
        seen.append("whole")
        return show_whole(*arguments, **options)

    monkeypatch.setattr(planning, "show_whole", noted)
    return seen


@pytest.mark.parametrize("output", ["text", "json", "markdown", "html", "junit", "sarif", "github"])
def test_it_says_what_a_whole_plan_says(
    run: Reconcile, applied: Runtime, whole: list[str], output: str
) -> None:
    quick = run("plan", applied.directory, "--format", output)
    assert whole == []
    for file in (applied.state / "cache").iterdir():
        file.unlink()
    assert run("plan", applied.directory, "--format", output) == quick
    assert whole == ["whole"]


def test_it_needs_no_models(run: Reconcile, applied: Runtime) -> None:
    assert run("plan", applied.directory).code == 0
    asked = f"main(['--state', {str(applied.state)!r}, 'plan', {str(applied.directory)!r}])"
    program = f"import sys; from reconciler.cli.main import main; {asked}; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["No changes: live is what is declared.", "False"]


def edit(_: Reconcile, applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)


def change_a_secret(_: Reconcile, applied: Runtime) -> None:
    (applied.directory / "secrets" / "alice").write_text("another-password\n", encoding="utf-8")


def change_a_live_value(run: Reconcile, _: Runtime) -> None:
    assert run("live", "set", "Mailbox/alice", "imapEnabled=false").code == 0


@pytest.mark.parametrize("change", [edit, change_a_secret, change_a_live_value])
def test_a_difference_is_planned(run: Reconcile, applied: Runtime, whole: list[str], change: Change) -> None:
    change(run, applied)
    assert run("plan", applied.directory).code == 2
    assert whole == ["whole"]


def test_a_service_that_waits_is_planned(run: Reconcile, applied: Runtime, whole: list[str]) -> None:
    assert run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=32").code == 0
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    assert run("plan", applied.directory).code == 2
    assert whole == ["whole"]


def test_what_is_live_and_not_declared_is_told(
    run: Reconcile, applied: Runtime, whole: list[str], tmp_path: Path
) -> None:
    (applied.directory / "more.yaml").write_text(UNDECLARED, encoding="utf-8")
    assert run("apply", "--yes", applied.directory).code == 0
    (applied.directory / "more.yaml").unlink()
    try:
        ran = run("plan", applied.directory)
        assert whole == ["whole"]
        assert "AcceptedDomain/other" in ran.out
    finally:
        assert run("apply", "--yes", applied.directory, "--delete", "AcceptedDomain/other").code == 0


def test_a_missing_secret_is_told(run: Reconcile, applied: Runtime, whole: list[str]) -> None:
    (applied.directory / "secrets" / "alice").unlink()
    try:
        ran = run("plan", applied.directory)
    finally:
        (applied.directory / "secrets" / "alice").write_text(PASSWORDS["alice"], encoding="utf-8")
    assert ran.code == 1
    assert "does not exist" in ran.err
    assert whole == ["whole"]


@pytest.mark.parametrize(
    "options",
    [
        ("--only", "ImapSettings/*"),
        ("--exclude", "Mailbox/*"),
        ("--prune",),
        ("--policies", "shipped"),
        ("--set", "site=dublin"),
    ],
)
def test_other_questions_take_a_whole_plan(
    run: Reconcile, applied: Runtime, whole: list[str], options: tuple[str, ...]
) -> None:
    run("plan", applied.directory, *options)
    assert whole == ["whole"]


def test_a_hold_takes_a_whole_plan(run: Reconcile, applied: Runtime, whole: list[str]) -> None:
    assert run("hold", "Mailbox/alice", "--until", "1h", "--reason", "audit").code == 0
    try:
        run("plan", applied.directory)
    finally:
        assert run("hold", "release", "Mailbox/alice").code == 0
    assert whole == ["whole"]


def test_what_the_files_make_doubtful_is_told_each_time(
    run: Reconcile, applied: Runtime, whole: list[str]
) -> None:
    """As `validate` tells it: by apply, by a whole plan, and by a quick one."""
    dora = 'spec: {database: db01, primarySmtpAddress: "dora@elsewhere.example"}\n'
    text = UNDECLARED.partition("kind:")[0] + "kind: Mailbox\nmetadata: {name: dora}\n" + dora
    (applied.directory / "more.yaml").write_text(text, encoding="utf-8")
    try:
        ran = [run("apply", "--yes", applied.directory), *(run("plan", applied.directory) for _ in "12")]
        assert whole == ["whole"]
        told = run("validate", applied.directory).err
    finally:
        (applied.directory / "more.yaml").unlink()
        assert run("apply", "--yes", applied.directory, "--delete", "Mailbox/dora").code == 0
    assert ran[1] == ran[2]
    for one in ran:
        assert "Mailbox/dora: no AcceptedDomain covers elsewhere.example" in one.err
    assert "no AcceptedDomain covers elsewhere.example" in told
