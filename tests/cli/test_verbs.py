"""The verbs against a real runtime. Tests of one module share it; each leaves it as declared."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from reconciler.applying.lock import apply_lock
from reconciler.cli.main import main
from reconciler.targets.embedded import EmbeddedTarget
from tests.cli.conftest import Ran
from tests.support.estate import Runtime, write_estate

Reconcile = Callable[..., Ran]


@pytest.fixture
def run(applied: Runtime, reconcile: Reconcile) -> Reconcile:
    """`reconcile` with the state directory of the applied estate, brought back to what is declared before the test."""
    write_estate(applied.directory, applied.ports)
    assert reconcile("--state", applied.state, "apply", "--yes", applied.directory).code == 0
    return lambda *arguments: reconcile("--state", applied.state, *arguments)


def change(applied: Runtime, limit: int = 32) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=limit)


def test_a_plan_without_changes_exits_with_0(run: Reconcile, applied: Runtime) -> None:
    ran = run("plan", applied.directory)
    assert (ran.code, ran.err) == (0, "")
    assert "No changes" in ran.out


def test_a_plan_with_changes_exits_with_2_and_shows_them(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    ran = run("plan", applied.directory)
    assert ran.code == 2
    assert "maxConnectionsPerUser  16 -> 32" in ran.out
    assert "restart ex01/imap4" in ran.out


def test_a_plan_is_data_too(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    ran = run("plan", "--format", "json", applied.directory)
    services = {one["service"] for one in json.loads(ran.out)["services"]}
    assert services == {"ex01/imap4", "ex01/imap4-backend", "ex01/pop3", "ex01/pop3-backend"}


def test_a_dry_run_is_a_plan(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    assert run("apply", "--dry-run", applied.directory) == run("plan", applied.directory)


def test_a_dry_run_as_events_is_one_line_that_holds_the_plan(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    ran = run("apply", "--dry-run", "--format", "ndjson", applied.directory)
    (event,) = [json.loads(line) for line in ran.out.splitlines()]
    planned = json.loads(run("plan", "--format", "json", applied.directory).out)
    assert (event["event"], event["format"], event["plan"]) == ("plan", "reconciler/events/v1", planned)
    assert ran.code == 2


def test_a_dry_run_without_changes_is_an_event_too(run: Reconcile, applied: Runtime) -> None:
    ran = run("apply", "--dry-run", "--format", "ndjson", applied.directory)
    (event,) = [json.loads(line) for line in ran.out.splitlines()]
    assert (event["plan"]["changes"], ran.code) == ([], 0)


def test_a_dry_run_holds_no_writer(run: Reconcile, applied: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a dry run made a target that can write")

    change(applied)
    monkeypatch.setattr(EmbeddedTarget, "__init__", refuse)
    assert run("apply", "--dry-run", applied.directory).code == 2


def test_apply_without_a_terminal_and_without_yes_refuses(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    ran = run("apply", applied.directory)
    assert ran.code == 1
    assert "pass --yes to apply the plan above" in ran.err
    assert run("plan", applied.directory).code == 2


def test_apply_without_a_terminal_has_nothing_to_refuse_when_there_is_nothing_to_do(
    run: Reconcile, applied: Runtime
) -> None:
    assert run("apply", applied.directory).code == 0


def test_apply_makes_the_plan_empty(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    assert run("apply", "--yes", applied.directory).code == 0
    assert run("plan", applied.directory).code == 0


def test_apply_again_does_nothing(run: Reconcile, applied: Runtime) -> None:
    before = applied.service("imap4")["generation"]
    ran = run("apply", "--yes", applied.directory)
    assert (ran.code, applied.service("imap4")["generation"]) == (0, before)
    assert "No changes" in ran.out


def test_apply_restarts_only_what_the_change_asks_for(run: Reconcile, applied: Runtime) -> None:
    before = applied.service("frontend-transport")["generation"], applied.service("imap4")["generation"]
    change(applied)
    run("apply", "--yes", applied.directory)
    after = applied.service("frontend-transport")["generation"], applied.service("imap4")["generation"]
    assert after == (before[0], before[1] + 1)


def test_the_report_is_data_too(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    ran = run("apply", "--yes", "--format", "json", applied.directory)
    report = json.loads(ran.out)
    assert report["success"]
    assert {step["outcome"] for step in report["steps"]} == {"applied"}
    assert "logon and SELECT INBOX" in next(
        s["detail"] for s in report["steps"] if s["subject"] == "ex01/imap4"
    )


def test_an_apply_beside_another_is_told_who(run: Reconcile, applied: Runtime) -> None:
    with apply_lock(applied.state / "apply.lock", actor="alice"):
        ran = run("apply", "--yes", applied.directory)
    assert ran.code == 1
    assert "another apply is running: alice (process" in ran.err


def test_broken_files_change_nothing(run: Reconcile, applied: Runtime) -> None:
    (applied.directory / "broken.yaml").write_text("kind: Mailbox\n")
    try:
        ran = run("apply", "--yes", applied.directory)
    finally:
        (applied.directory / "broken.yaml").unlink()
    assert (ran.code, ran.out) == (1, "")
    assert "broken.yaml:1:1" in ran.err


def test_an_unreadable_secret_is_told_with_its_position(run: Reconcile, applied: Runtime) -> None:
    (applied.directory / "secrets" / "alice").write_text("")
    ran = run("plan", applied.directory)
    assert ran.code == 1
    assert "estate.yaml:" in ran.err
    assert "Mailbox/alice" in ran.err


def test_a_secret_of_what_is_left_out_is_not_read(run: Reconcile, applied: Runtime) -> None:
    change(applied)
    file = applied.directory / "estate.yaml"
    file.write_text(file.read_text().replace("{file: secrets/bob}", "{env: NOT_SET_FOR_BOB}"))
    assert "NOT_SET_FOR_BOB is not set" in run("plan", applied.directory).err
    for chosen in (("--only", "ImapSettings"), ("--exclude", "Mailbox/bob")):
        ran = run("plan", applied.directory, *chosen)
        assert (ran.code, ran.err) == (2, "")
        assert "maxConnectionsPerUser" in ran.out


def test_a_changed_password_is_a_change_that_is_not_shown(run: Reconcile, applied: Runtime) -> None:
    (applied.directory / "secrets" / "alice").write_text("another-secret\n")
    ran = run("plan", applied.directory)
    assert ran.code == 2
    assert "Mailbox/alice" in ran.out
    assert "another-secret" not in ran.out


def test_a_value_set_by_hand_is_told_with_what_waits_for_it(run: Reconcile) -> None:
    ran = run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    assert ran.code == 0
    assert "  maxConnectionsPerUser: 16 -> 99\n" in ran.out
    assert "ex01/imap4 does not know of it yet: a restart is pending." in ran.out


def test_a_value_set_by_hand_is_drift_until_it_is_healed(run: Reconcile, applied: Runtime) -> None:
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    ran = run("drift", applied.directory)
    assert ran.code == 2
    assert "maxConnectionsPerUser" in ran.out
    assert run("apply", "--yes", applied.directory).code == 0
    assert run("drift", applied.directory).code == 0


def test_a_value_set_back_leaves_no_restart_owed(run: Reconcile, applied: Runtime) -> None:
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=16")
    assert run("plan", applied.directory).code == 0


def test_a_restart_that_is_owed_since_a_hand_made_change_is_caught_up_on(
    run: Reconcile, applied: Runtime
) -> None:
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=32")
    run("live", "set", "PopSettings/ex01", "maxConnectionsPerUser=32")
    change(applied)
    assert run("plan", applied.directory).code == 2
    assert run("apply", "--yes", applied.directory).code == 0
    assert applied.status()["pendingRestarts"] == []


def test_a_list_is_set_in_flow_style(run: Reconcile) -> None:
    ran = run("live", "set", "ReceiveConnector/ex01/client", 'remoteIPRanges=["127.0.0.0/8"]')
    assert ran.code == 0
    assert "ex01/frontend-transport does not know of it yet: a reload is pending." in ran.out


def test_text_with_a_colon_is_text(run: Reconcile) -> None:
    run("live", "set", "ImapSettings/ex01", "banner=Ready: go ahead")
    assert "Ready: go ahead" in run("live", "get", "ImapSettings/ex01").out


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("maxConnectionsPerUsr=1", "did you mean maxConnectionsPerUser?"),
        ("maxConnectionsPerUser=many", "maxConnectionsPerUser: expected a whole number"),
        ("maxConnectionsPerUser", "write FIELD=VALUE"),
    ],
)
def test_a_bad_value_is_refused(assignment: str, said: str, run: Reconcile) -> None:
    ran = run("live", "set", "ImapSettings/ex01", assignment)
    assert ran.code == 1
    assert said in ran.err


def test_a_secret_is_not_set_by_hand(run: Reconcile) -> None:
    ran = run("live", "set", "Mailbox/alice", "password=hunter2")
    assert ran.code == 1
    assert "declare it with a secretRef" in ran.err


def test_setting_what_is_live_already_writes_nothing(run: Reconcile) -> None:
    assert "nothing was written" in run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=16").out


def test_what_is_not_live_cannot_be_set(run: Reconcile) -> None:
    ran = run("live", "set", "ImapSettings/ex09", "maxConnectionsPerUser=1")
    assert ran.code == 1
    assert "ImapSettings/ex09 is not live" in ran.err


def test_live_get_lists_one_kind(run: Reconcile) -> None:
    lines = run("live", "get", "Mailbox").out.splitlines()
    assert [line.split()[0] for line in lines] == ["Mailbox/alice", "Mailbox/bob"]


def test_live_get_is_data_too(run: Reconcile) -> None:
    found = json.loads(run("live", "get", "--format", "json", "ImapSettings/ex01").out)
    assert found["spec"]["maxConnectionsPerUser"] == 16


def test_status_lists_services_with_all_that_is_asked_of_it(run: Reconcile) -> None:
    found = json.loads(run("status", "--format", "json").out)
    imap = next(one for one in found["servers"][0]["services"] if one["service"] == "imap4")
    assert imap["state"] == "running"
    assert {"generation", "pid", "listening", "sessions"} <= imap.keys()
    assert found["pendingRestarts"] == []


def test_status_is_readable(run: Reconcile) -> None:
    ran = run("status")
    assert ran.code == 0
    assert "ex01/imap4-backend" in ran.out


def test_starting_what_runs_says_so(run: Reconcile) -> None:
    assert "runs already" in run("runtime", "start").out


def test_up_beside_a_running_runtime_refuses(run: Reconcile, applied: Runtime) -> None:
    ran = run("up", applied.directory)
    assert ran.code == 1
    assert "a runtime runs already" in ran.err


def test_validate_against_the_runtime_knows_its_own_ports(run: Reconcile, applied: Runtime) -> None:
    ran = run("validate", "--live", applied.directory)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("output", ["sarif", "junit", "github"])
def test_validate_speaks_to_ci(run: Reconcile, applied: Runtime, output: str) -> None:
    (applied.directory / "broken.yaml").write_text("kind: Mailbx\n", encoding="utf-8")
    try:
        ran = run("validate", "--format", output, applied.directory)
    finally:
        (applied.directory / "broken.yaml").unlink()
    assert ran.code == 1
    assert "broken.yaml" in ran.out
    assert "Mailbx" in ran.out


@pytest.mark.parametrize("option", ["--state", "--identity"])
def test_an_option_of_all_verbs_after_the_verb_is_told_its_place(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", option, "x", "estate"]) == 1
    assert f"It goes before the verb: reconcile {option} … plan …" in capsys.readouterr().err


def test_what_is_wrong_with_a_value_stands_on_a_line_of_its_own(applied: Runtime) -> None:
    ran = applied.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=many", expect=1)
    assert "ImapSettings/ex01 was not changed:\n  maxConnectionsPerUser: " in ran.stderr
