"""A state belongs to the environment that was applied to it last: another one is stopped, on a real runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import daemons
from tests.support.estate import Runtime, write_estate

#: Takes effect at once, so that nothing restarts.
LAYER = """\
apiVersion: reconciler/v1
kind: ThrottlingPolicy
metadata: {{name: {name}}}
spec: {{imapMaxConcurrency: {limit}}}
"""
STOPPED = "and this is the environment staging; nothing was changed: choose its own state with --state DIR"


class Desk:
    """An estate whose environments have a policy each that no other test has."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        self.runtime = runtime
        self.directory = root / "estate"
        self._mark = root.name
        write_estate(self.directory / "base", runtime.ports)
        for environment in ("production", "staging"):
            self.declare(environment, 5)

    def policy(self, environment: str) -> str:
        return f"{environment}-{self._mark}"[:64].rstrip("-_")

    def declare(self, environment: str, limit: int) -> None:
        overlay = self.directory / "overlays" / environment
        overlay.mkdir(parents=True, exist_ok=True)
        text = LAYER.format(name=self.policy(environment), limit=limit)
        (overlay / "layer.yaml").write_text(text, encoding="utf-8")

    def run(self, verb: str, *options: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        return self.runtime.reconcile(verb, str(self.directory), *options, expect=expect)

    def apply(self, environment: str, *options: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("apply", "--yes", "--environment", environment, *options, expect=expect)

    def newest(self) -> dict[str, Any]:
        shown = self.runtime.reconcile("history", "--format", "json", "--limit", "1")
        found: dict[str, Any] = json.loads(shown.stdout)["entries"][0]
        return found

    def is_live(self, environment: str) -> bool:
        name = f"ThrottlingPolicy/{self.policy(environment)}"
        return self.runtime.reconcile("live", "get", name, expect=None).returncode == 0


@pytest.fixture
def production(runtime: Runtime, tmp_path: Path) -> Desk:
    """Production was applied last."""
    desk = Desk(runtime, tmp_path)
    desk.apply("production", "--switch-environment")
    return desk


def test_the_first_apply_of_a_state_binds_it_and_the_next_of_the_same_goes_on(production: Desk) -> None:
    production.declare("production", 6)
    assert "Note" not in production.apply("production").stderr
    assert production.newest()["origin"]["environment"] == "production"


def test_another_environment_is_stopped_and_told_which_was_applied_by_whom_and_when(production: Desk) -> None:
    before = production.newest()
    stopped = production.apply("staging", expect=1)
    assert f"last applied from {production.directory}, environment production" in stopped.stderr
    assert f"(history entry {before['number']}, by {before['user']} at {before['time']})" in stopped.stderr
    assert STOPPED in stopped.stderr
    assert not production.is_live("staging")
    assert production.newest() == before


def test_it_is_stopped_too_when_the_overlay_is_the_directory(production: Desk) -> None:
    overlay = str(production.directory / "overlays" / "staging")
    assert STOPPED in production.runtime.reconcile("apply", "--yes", overlay, expect=1).stderr


def test_the_state_can_be_given_to_another_environment(production: Desk) -> None:
    production.apply("staging", "--switch-environment")
    assert production.is_live("staging")
    production.declare("staging", 6)
    production.apply("staging")
    production.declare("production", 6)
    assert "environment staging" in production.apply("production", expect=1).stderr


def test_an_environment_that_changes_nothing_is_not_stopped(production: Desk) -> None:
    overlays = production.directory / "overlays"
    shutil.copytree(overlays / "production", overlays / "twin")
    assert "No changes (twin)" in production.apply("twin").stdout
    assert production.newest()["origin"]["environment"] == "production"


def test_an_environment_that_changes_nothing_gets_the_state_when_that_is_asked_for(production: Desk) -> None:
    overlays = production.directory / "overlays"
    shutil.copytree(overlays / "production", overlays / "twin")
    unasked = production.run("apply", "--environment", "twin", "--switch-environment", expect=1)
    assert "there is no terminal to ask on" in unasked.stderr
    switched = production.apply("twin", "--switch-environment")
    assert "With this plan the state is given to the environment twin." in switched.stderr
    assert "Applied (twin, " in switched.stdout
    newest = production.newest()
    assert (newest["origin"]["environment"], newest["outcome"], newest["steps"]) == ("twin", "applied", [])
    assert "environment twin" in production.runtime.reconcile("history", "--limit", "1").stdout
    production.declare("production", 6)
    assert "environment twin" in production.apply("production", expect=1).stderr
    assert "given to" not in production.apply("twin", "--switch-environment").stderr
    assert production.newest() == newest


def test_a_switch_without_changes_is_one_json_document(production: Desk) -> None:
    overlays = production.directory / "overlays"
    shutil.copytree(overlays / "production", overlays / "twin")
    report = json.loads(production.apply("twin", "--switch-environment", "--format", "json").stdout)
    assert (report["environment"], report["plan"]["isEmpty"]) == ("twin", True)


@pytest.mark.parametrize("verb", ["plan", "drift"])
def test_who_only_looks_is_warned(verb: str, production: Desk) -> None:
    production.run(verb, "--environment", "production")
    production.declare("production", 6)
    assert "Warning" not in production.run(verb, "--environment", "production", expect=2).stderr
    shown = production.run(verb, "--environment", "staging", "--format", "json", expect=2)
    assert "Warning: the live servers were last applied from" in shown.stderr
    assert not json.loads(shown.stdout)["isEmpty"]


def test_a_plan_of_another_environment_is_saved_only_when_that_is_meant(
    production: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "change.plan"
    asked = ("--environment", "staging", "--out", str(file))
    assert STOPPED in production.run("plan", *asked, expect=1).stderr
    assert not file.exists()
    production.run("plan", *asked, "--switch-environment", expect=2)
    production.runtime.reconcile("apply", str(file))
    assert production.is_live("staging")


def test_a_saved_plan_is_stopped_when_another_environment_was_applied_since(
    production: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "change.plan"
    asked = ("--environment", "staging", "--out", str(file), "--switch-environment")
    production.run("plan", *asked, expect=2)
    production.declare("production", 6)
    production.apply("production")
    assert STOPPED in production.runtime.reconcile("apply", str(file), expect=1).stderr
    assert not production.is_live("staging")
    production.runtime.reconcile("apply", str(file), "--switch-environment")
    assert production.is_live("staging")


def test_a_roll_back_leads_to_the_environment_that_was_live_then(production: Desk) -> None:
    number = str(production.newest()["number"])
    production.apply("staging", "--switch-environment")
    back = ("rollback", "--to", number, "--estate", str(production.directory))
    note = f"history entry {number} was applied from the environment production"
    note += ", and what is live now from the environment staging"
    looked = production.runtime.reconcile(*back, "--dry-run", "--format", "json", expect=2)
    assert json.loads(looked.stdout)["note"] == note
    done = production.runtime.reconcile(*back, "--yes")
    assert f"NOTE: {note}\n" in done.stdout
    assert "Applied (production, " in done.stdout
    assert f"Note: {note}.\n" in done.stdout
    production.declare("production", 6)
    production.apply("production")
    assert STOPPED in production.apply("staging", expect=1).stderr


def test_a_repository_may_move(production: Desk, tmp_path: Path) -> None:
    production.directory.rename(tmp_path / "moved")
    production.directory = tmp_path / "moved"
    production.declare("production", 6)
    assert "Note" not in production.apply("production").stderr


def another(production: Desk, root: Path) -> Desk:
    """A copy of the estate in another place, with a change to apply."""
    shutil.copytree(production.directory, root / "other")
    production.directory = root / "other"
    production.declare("production", 6)
    return production


def test_a_directory_that_cannot_be_looked_at_any_more_may_be_another_estate(production: Desk) -> None:
    """Longer than a name may be: that refuses a look to root too, as a directory that is closed does to others."""
    history, closed = production.runtime.state / "history.jsonl", f"/{'x' * 300}"
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace(str(production.directory), closed), encoding="utf-8")
    production.declare("production", 6)
    note = f"Note: the live servers were last applied from {closed}, environment production ("
    assert note in production.run("plan", "--environment", "production", expect=2).stderr
    assert note in production.apply("production").stderr


def test_a_roll_back_to_what_cannot_be_looked_at_goes_on_without_its_policies(production: Desk) -> None:
    history, number = production.runtime.state / "history.jsonl", str(production.newest()["number"])
    production.declare("production", 6)
    production.apply("production")
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace(str(production.directory), f"/{'x' * 300}"), encoding="utf-8")
    production.runtime.reconcile("rollback", "--to", number, "--yes")


def test_the_name_of_a_directory_does_not_reach_the_terminal_raw(production: Desk, tmp_path: Path) -> None:
    shutil.copytree(production.directory, tmp_path / "other\x1b[2J")
    production.directory = tmp_path / "other\x1b[2J"
    production.declare("production", 6)
    shown = production.run("plan", "--environment", "production", expect=2).stderr
    assert "\x1b" not in shown
    assert rf"and this is {tmp_path}/other\x1b[2J." in shown


def commit(directory: Path) -> None:
    who = ("-c", "user.name=alice", "-c", "user.email=alice@contoso.example")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "estate")):
        subprocess.run(["git", "-C", str(directory), *who, *command], check=True, capture_output=True)


def test_the_base_counts_for_the_commit_of_an_overlay(production: Desk) -> None:
    write_estate(production.directory / "base", production.runtime.ports, max_connections_per_user=17)
    commit(production.directory)
    overlay = str(production.directory / "overlays" / "production")
    production.runtime.reconcile("apply", "--yes", overlay)
    assert not production.newest()["commit"].endswith("+")
    write_estate(production.directory / "base", production.runtime.ports, max_connections_per_user=18)
    applied = production.runtime.reconcile("apply", "--yes", overlay)
    assert production.newest()["commit"].endswith("+")
    assert "Plan (production): " in applied.stdout
    assert "Applied (production, " in applied.stdout


def test_a_saved_plan_of_another_environment_than_the_chosen_one_is_refused(
    production: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "change.plan"
    production.declare("production", 6)
    made = production.run("plan", "--environment", "production", "--out", str(file), expect=2)
    assert "Plan (production): " in made.stdout
    assert "Plan (production): " in production.runtime.reconcile("plan", "show", str(file)).stdout
    refused = production.runtime.reconcile("apply", str(file), "--environment", "staging", expect=1)
    assert "made for the environment production, and --environment says staging" in refused.stderr
    production.runtime.reconcile("apply", str(file), "--environment", "production")


def test_another_estate_with_an_environment_of_that_name_is_noted(production: Desk, tmp_path: Path) -> None:
    note = f"Note: the live servers were last applied from {production.directory}, environment production ("
    other = another(production, tmp_path)
    planned = other.run("plan", "--environment", "production", expect=2).stderr
    assert note in planned
    assert f"), and this is {other.directory}." in planned
    assert note in other.apply("production").stderr
    other.declare("production", 7)
    assert "Note" not in other.apply("production").stderr


def test_another_checkout_of_the_repository_is_the_same_estate(production: Desk, tmp_path: Path) -> None:
    commit(production.directory)
    production.declare("production", 8)
    production.apply("production")
    assert "Note" not in another(production, tmp_path).apply("production").stderr


def test_another_repository_is_another_estate_even_where_the_first_is_gone(
    production: Desk, tmp_path: Path
) -> None:
    commit(production.directory)
    production.declare("production", 8)
    production.apply("production")
    first = production.directory
    other = another(production, tmp_path)
    shutil.rmtree(first)
    shutil.rmtree(other.directory / ".git")
    (other.directory / "README.md").write_text("Another one\n", encoding="utf-8")
    commit(other.directory)
    assert f"last applied from {first}" in other.apply("production").stderr


def test_another_directory_of_the_repository_is_another_estate(production: Desk, tmp_path: Path) -> None:
    commit(tmp_path)
    production.declare("production", 8)
    production.apply("production")
    assert "Note: the live servers" in another(production, tmp_path).apply("production").stderr


def test_an_estate_without_environments_is_another_and_binds_nothing(
    production: Desk, tmp_path: Path
) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    for directory, limit in ((plain, 7), (other, 8)):
        shutil.copytree(production.directory / "base", directory)
        text = LAYER.format(name=production.policy("plain"), limit=limit)
        (directory / "policy.yaml").write_text(text, encoding="utf-8")
    reconcile = production.runtime.reconcile
    stopped = reconcile("apply", "--yes", str(plain), expect=1)
    assert "and this is an estate without environments; nothing was changed" in stopped.stderr
    reconcile("apply", "--yes", "--switch-environment", str(plain))
    note = f"Note: the live servers were last applied from {plain} (history entry "
    assert note in reconcile("plan", str(other), expect=2).stderr
    assert note in reconcile("apply", "--yes", str(other)).stderr
    again = production.apply("staging")
    assert f"applied from {other} (" in again.stderr
    assert "and this is the environment staging." in again.stderr


def test_a_daemon_heals_no_other_environment_until_somebody_switches(
    production: Desk, tmp_path: Path
) -> None:
    before = production.newest()
    with daemons(production.runtime, tmp_path) as start:
        options = ("--mode", "heal", "--interval", "1h", "--environment", "staging")
        daemon = start(*options, estate=production.directory)
        blocked = daemon.said("blocked")
        assert blocked["text"].startswith("The state belongs to another environment, nothing is applied: ")
        (found,) = blocked["diagnostics"]
        assert found["code"] == "other-environment"
        assert not production.is_live("staging")
        assert production.newest() == before
        production.apply("staging", "--switch-environment")
        daemon.look_now()
        daemon.said("in-sync")
        production.declare("staging", 6)
        daemon.said("applied")
    assert production.newest()["origin"]["environment"] == "staging"
