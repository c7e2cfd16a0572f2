"""An apply does all of its plan or takes all of it back, and says what became of each step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.applying import batches
from reconciler.applying.apply import ApplyLeftError
from reconciler.applying.events import Begun, RollingBack, Step
from reconciler.applying.history import failed_configuration
from reconciler.applying.retry import ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE, pauses
from reconciler.model import Absent, Key, Outcome, Present
from reconciler.secret import SecretError
from reconciler.targets.target import ConflictError, NotRunningError, RejectedError, ServiceError
from tests.applying.builders import (
    ALICE,
    ALICIA,
    IMAP,
    POP,
    SERVER,
    Bench,
    estate,
    imap,
    lost,
    outcomes,
    protected,
    with_mailbox,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def journal_records(bench: Bench) -> list[str]:
    (path,) = sorted((bench.path / "journal").iterdir())[-1:]
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def history(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(line) for line in (bench.path / "history.jsonl").read_text().splitlines()]


def test_everything_planned_becomes_live(bench: Bench) -> None:
    report = bench.apply(estate(imap=32))
    assert report.is_success
    assert set(outcomes(report).values()) == {"applied"}
    assert bench.imap_limit() == 32


def test_the_plan_afterwards_is_empty(bench: Bench) -> None:
    bench.apply(estate(imap=32))
    assert bench.plan(estate(imap=32)).is_empty


def test_only_what_changed_is_written(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(imap=32))
    assert bench.target.writes == [IMAP]


def test_back_ends_are_restarted_before_front_ends(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(imap=32))
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4"]


def test_a_front_end_is_stopped_before_its_back_end(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(startup={"imap4": "Manual", "imap4-backend": "Manual"}))
    assert bench.target.converged == ["ex01/imap4", "ex01/imap4-backend"]


def test_each_restarted_service_is_probed(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(imap=32))
    assert bench.probes.asked == ["ex01/imap4-backend", "ex01/imap4"]


def test_a_stopped_service_is_not_probed(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(startup={"pop3": "Manual"}))
    assert bench.probes.asked == []


def test_a_pending_restart_is_caught_up_on_without_a_change(bench: Bench) -> None:
    bench.applied(estate())
    bench.set_by_hand(IMAP, imap(32))
    assert bench.apply(estate(imap=32)).is_success
    assert bench.pending() == {}


def test_the_journal_tells_each_step_in_order(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(imap=32))
    service = ["service started", "service done"]
    assert journal_records(bench) == [
        "planned", "write started", "written", *service, *service, "verified", "committed"
    ]  # fmt: skip


def test_history_has_one_line_an_apply(bench: Bench) -> None:
    bench.applied(estate()).apply(estate(imap=32))
    line = history(bench)[-1]
    assert (line["user"], line["success"], line["counts"]) == ("alice", True, {"applied": 3})


def test_a_failed_write_takes_back_what_was_written(bench: Bench) -> None:
    bench.applied(estate())
    bench.target.before[str(POP)] = [RejectedError(str(POP), "no")]
    report = bench.apply(estate(imap=32, pop=32))
    assert bench.limit(IMAP) == 16
    assert bench.limit(POP) == 16
    assert outcomes(report) == {
        "ImapSettings/ex01": "rolled back",
        "PopSettings/ex01": "failed",
        "ex01/imap4-backend": "not reached",
        "ex01/imap4": "not reached",
        "ex01/pop3": "not reached",
    }


def test_the_error_of_a_failed_apply_says_what_and_that_it_was_rolled_back(bench: Bench) -> None:
    bench.applied(estate())
    bench.target.before[str(POP)] = [RejectedError(str(POP), "no")]
    error = bench.apply(estate(imap=32, pop=32)).error
    assert error
    assert "PopSettings/ex01 was rejected by the runtime: no" in error
    assert "everything was rolled back" in error


def test_a_conflict_names_the_resource_and_who_changed_it(bench: Bench) -> None:
    bench.applied(estate())
    bench.target.meanwhile = lambda key: bench.set_by_hand(key, imap(99), who="bob")
    report = bench.apply(estate(imap=32))
    assert report.error
    assert "ImapSettings/ex01 was changed by bob at" in report.error
    assert bench.imap_limit() == 99


def test_a_created_resource_is_gone_after_a_roll_back(bench: Bench) -> None:
    bench.target.before[str(POP)] = [RejectedError(str(POP), "no")]
    bench.apply(estate())
    assert bench.target.read(SERVER) == Absent()
    assert bench.target.read(IMAP) == Absent()


def test_a_service_that_does_not_start_rolls_back(bench: Bench) -> None:
    bench.applied(estate())
    bench.target.before["ex01/imap4"] = [ServiceError("the port is taken")]
    report = bench.apply(estate(imap=32))
    assert bench.imap_limit() == 16
    assert outcomes(report)["ImapSettings/ex01"] == "rolled back"
    assert report.error
    assert "the port is taken" in report.error


def test_services_run_the_previous_values_after_a_roll_back(bench: Bench) -> None:
    bench.applied(estate())
    bench.target.before["ex01/imap4"] = [ServiceError("the port is taken")]
    bench.apply(estate(imap=32))
    assert bench.pending() == {}
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4-backend"]


def test_a_roll_back_tells_the_generation_that_serves(bench: Bench) -> None:
    bench.applied(estate()).target.before["ex01/imap4"] = [ServiceError("the port is taken")]
    report = bench.apply(estate(imap=32))
    (step,) = (step for step in report.steps if step.subject == "ex01/imap4-backend")
    assert step.outcome is Outcome.ROLLED_BACK
    assert step.detail.startswith("restarted, generation 2; with the previous values again, generation 3: ")


def test_a_failed_probe_rolls_back(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"]
    report = bench.apply(estate(imap=32))
    assert bench.imap_limit() == 16
    assert bench.pending() == {}
    assert report.error
    assert "the probe failed: no answer" in report.error


def test_a_roll_back_is_probed_too(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"] * 3
    report = bench.apply(estate(imap=32))
    assert outcomes(report)["ex01/imap4"] == "failed"
    assert report.error
    assert "not brought back yet: ex01/imap4" in report.error


def test_a_change_by_somebody_else_is_not_rolled_back(bench: Bench) -> None:
    bench.applied(estate())

    def interfere(key: Key) -> None:
        if key == POP:
            bench.set_by_hand(IMAP, imap(99), who="bob")

    bench.target.meanwhile = interfere
    bench.target.before[str(POP)] = [RejectedError(str(POP), "no")]
    report = bench.apply(estate(imap=32, pop=32))
    assert bench.imap_limit() == 99
    assert report.error
    assert "left as it is: ImapSettings/ex01" in report.error
    assert "was changed by bob" in next(step.detail for step in report.steps if step.subject == str(IMAP))


def test_a_lost_answer_is_recognised_and_not_written_twice(bench: Bench) -> None:
    bench.applied(estate()).target.after[str(IMAP)] = [lost()]
    assert bench.apply(estate(imap=32)).is_success
    assert bench.target.writes == [IMAP]


def test_a_request_that_was_lost_is_sent_again(bench: Bench) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [lost()]
    assert bench.apply(estate(imap=32)).is_success
    assert bench.target.writes == [IMAP, IMAP]


def test_a_target_that_stays_silent_fails_the_apply(bench: Bench) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [lost() for _ in range(ATTEMPTS)]
    report = bench.apply(estate(imap=32))
    assert outcomes(report)["ImapSettings/ex01"] == "failed"
    assert bench.imap_limit() == 16


def test_a_roll_back_without_a_target_is_left_for_the_next_run(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"]
    bench.target.before[f"restore {IMAP}"] = [NotRunningError("no runtime")]
    report = bench.apply(estate(imap=32))
    assert report.error
    assert "the next `reconcile apply` finishes it" in report.error
    (recovered,) = bench.recover()
    assert bench.imap_limit() == 16
    assert bench.pending() == {}
    assert outcomes(recovered)["ImapSettings/ex01"] == "rolled back"


def test_a_restore_whose_answer_was_lost_is_not_repeated(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"]
    bench.target.after[f"restore {IMAP}"] = [lost()]
    bench.apply(estate(imap=32))
    bench.recover()
    assert bench.imap_limit() == 16
    assert bench.recover() == ()


def test_a_wish_to_stop_takes_back_what_was_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST", 1)
    bench.applied(estate())
    bench.should_stop = lambda: IMAP in bench.target.writes
    report = bench.apply(estate(imap=32, pop=32))
    assert outcomes(report)["ImapSettings/ex01"] == "rolled back"
    assert outcomes(report)["PopSettings/ex01"] == "not reached"
    assert report.error
    assert "stopped by the user before PopSettings/ex01" in report.error


def test_a_secret_is_written_and_held_nowhere_else(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "alice").write_text("correct horse\n")
    bench.path = tmp_path / "state"
    bench.apply(estate(password=tmp_path / "alice"))
    assert bench.target.read(ALICE) != Absent()
    texts = [path.read_text() for path in bench.path.rglob("*") if path.is_file()]
    assert texts
    assert not any("correct horse" in text for text in texts)


def test_an_unreadable_secret_stops_the_apply_before_the_first_write(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "alice"
    secret.write_text("correct horse\n")
    desired, live = estate(password=secret), bench.target.observe()
    plan = bench.plan(desired)
    secret.unlink()
    with pytest.raises(SecretError):
        bench.applier.apply(plan, desired=desired, live=live)
    assert bench.target.writes == []


def test_a_write_that_lands_late_meets_its_repetition_and_counts(bench: Bench) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [lost()]

    def land_late(key: Key) -> None:
        if len(bench.target.writes) == 2:
            this_apply = max(path.stem for path in (bench.path / "journal").iterdir())
            bench.set_by_hand(key, imap(32), who="alice", apply_id=this_apply)

    bench.target.meanwhile = land_late
    assert bench.apply(estate(imap=32)).is_success
    assert bench.imap_limit() == 32


def test_a_pause_between_attempts_grows_and_is_capped(bench: Bench) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [lost() for _ in range(ATTEMPTS)]
    bench.slept.clear()
    bench.apply(estate(imap=32))
    assert len(bench.slept) == ATTEMPTS - 1
    assert all(pause <= LONGEST_PAUSE for pause in bench.slept)
    assert bench.slept[0] < bench.slept[-1]


def test_no_two_wait_equally_long() -> None:
    found = [tuple(pauses()) for _ in range(10)]
    assert len(set(found)) == 10
    for number in range(ATTEMPTS - 1):
        whole = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        assert all(whole / 2 <= waits[number] <= whole for waits in found)


def test_what_will_not_pass_by_itself_is_tried_once(bench: Bench) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [RejectedError(str(IMAP), "no")]
    bench.slept.clear()
    assert not bench.apply(estate(imap=32)).is_success
    assert (bench.target.writes, bench.slept) == ([IMAP], [])


def test_a_value_set_back_to_what_runs_restarts_nothing(bench: Bench) -> None:
    bench.applied(estate())
    bench.set_by_hand(IMAP, imap(99))
    report = bench.apply(estate())
    assert bench.imap_limit() == 16
    assert bench.target.converged == []
    assert outcomes(report)["ex01/imap4"] == "skipped"
    assert bench.probes.asked == []


def test_a_restart_whose_answer_was_lost_is_not_asked_twice(bench: Bench) -> None:
    bench.applied(estate()).target.after["ex01/imap4"] = [lost()]
    assert bench.apply(estate(imap=32)).is_success
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4"]


def test_a_restart_that_was_never_heard_is_asked_again(bench: Bench) -> None:
    bench.applied(estate()).target.before["ex01/imap4"] = [lost()]
    assert bench.apply(estate(imap=32)).is_success
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4"]


def test_a_wish_to_stop_is_heard_between_restarts(bench: Bench) -> None:
    bench.applied(estate())
    bench.should_stop = lambda: bench.target.converged == ["ex01/imap4-backend"]
    report = bench.apply(estate(imap=32))
    assert report.error
    assert "stopped by the user before ex01/imap4" in report.error
    assert bench.imap_limit() == 16
    assert bench.pending() == {}


def test_leaving_at_once_tells_how_far_it_came_and_the_next_run_settles_it(bench: Bench) -> None:
    bench.applied(estate()).target.before["ex01/imap4"] = [KeyboardInterrupt()]
    with pytest.raises(ApplyLeftError) as left:
        bench.apply(estate(imap=32))
    assert outcomes(left.value.report) == {
        "ImapSettings/ex01": "applied",
        "ex01/imap4-backend": "applied",
        "ex01/imap4": "not reached",
    }
    (report,) = bench.recover()
    assert report.is_success
    assert bench.pending() == {}


def test_what_goes_on_is_told_step_by_step(bench: Bench) -> None:
    bench.applied(estate()).events.clear()
    bench.apply(estate(imap=32))
    begun, *steps = bench.events
    assert isinstance(begun, Begun)
    assert (begun.changes, begun.services) == (1, 2)
    done = [step.done for step in steps if isinstance(step, Step)]
    assert done == sorted(done)
    assert done[-1] == 3


def test_a_roll_back_is_told(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"]
    bench.apply(estate(imap=32))
    (told,) = [event for event in bench.events if isinstance(event, RollingBack)]
    assert "the probe failed" in told.reason


@pytest.mark.parametrize(
    ("error", "blames"),
    [(RejectedError(str(IMAP), "no"), True), (ConflictError(IMAP, expected=1, current=None), False)],
)
def test_only_what_the_configuration_is_at_fault_for_is_blamed_on_it(
    error: Exception, blames: bool, bench: Bench
) -> None:
    bench.applied(estate()).target.before[str(IMAP)] = [error]
    bench.apply(estate(imap=32))
    found = failed_configuration(bench.applier.state.history, estate().digest)
    assert (found is not None) == blames


def test_a_failed_probe_is_blamed_on_the_configuration(bench: Bench) -> None:
    bench.applied(estate()).probes.failing = ["ex01/imap4"]
    bench.apply(estate(imap=32))
    found = failed_configuration(bench.applier.state.history, estate().digest)
    assert found
    assert "the probe failed" in found.error


def test_history_knows_the_live_revision_of_its_end(bench: Bench) -> None:
    bench.applied(estate())
    assert history(bench)[-1]["epoch"] == bench.target.epoch()


def test_a_protected_resource_that_was_made_is_gone_after_a_roll_back(bench: Bench) -> None:
    desired = protected(estate(), IMAP)
    bench.target.before[str(POP)] = [RejectedError(str(POP), "no")]
    assert not bench.apply(desired).is_success
    assert bench.target.read(IMAP) == Absent()


def test_protection_reaches_the_live_resource(bench: Bench) -> None:
    bench.applied(protected(estate(), IMAP))
    found = bench.target.read(IMAP)
    assert isinstance(found, Present)
    assert found.protected


def test_a_renamed_resource_takes_its_values_along(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    assert bench.apply(with_mailbox(estate(), ALICIA, renamed_from="alice")).is_success
    assert bench.target.read(ALICE) == Absent()
    assert isinstance(bench.target.read(ALICIA), Present)


def test_a_rename_is_taken_back(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE)).probes.failing = ["ex01/imap4"]
    report = bench.apply(with_mailbox(estate(imap=32), ALICIA, renamed_from="alice"))
    assert outcomes(report)["Mailbox/alicia"] == "rolled back"
    assert isinstance(bench.target.read(ALICE), Present)
    assert bench.target.read(ALICIA) == Absent()
