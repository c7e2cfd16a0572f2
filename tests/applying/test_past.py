"""Going back to what was live after an entry of the history."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.applying.apply import Special
from reconciler.applying.history import Entry, HistoryError, entries
from reconciler.applying.hold import new_hold, parse_until
from reconciler.applying.past import Return, plan_return
from reconciler.model import Absent, Action, Desired, Hold, Key, Present, Report
from reconciler.planning.selection import SelectionError
from reconciler.rendering.plan_text import render_plan_text
from reconciler.targets.target import Attribution
from schemas.v1.codec import parse_spec
from tests.applying.builders import (
    ALICE,
    ALICIA,
    IMAP,
    POP,
    Bench,
    estate,
    imap,
    outcomes,
    protected,
    resource,
    with_mailbox,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def entry(bench: Bench, number: int) -> Entry:
    return next(found for found in entries(bench.applier.state.history) if found.number == number)


def way_back(bench: Bench, number: int, *holds: Hold, delete: Collection[Key] = ()) -> Return:
    history = bench.applier.state.history
    return plan_return(entry(bench, number), bench.target, history=history, holds=holds, named=delete)


def hold(key: Key) -> Hold:
    return new_hold(str(key), until=parse_until("1h"), reason="a test", by="alice")


def go_back(bench: Bench, number: int, *, delete: Collection[Key] = ()) -> Report:
    back = way_back(bench, number, delete=delete)
    special = Special(back.restores, {"rollbackTo": number})
    return bench.applier.apply(back.plan, desired=back.desired, live=back.live, special=special)


def test_changed_values_are_as_they_were(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    assert go_back(bench, 1).is_success
    assert bench.imap_limit() == 16
    assert bench.pending() == {}


def test_what_it_touches_is_restarted_and_probed(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    go_back(bench, 1)
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4"]
    assert bench.probes.asked == ["ex01/imap4-backend", "ex01/imap4"]


def test_what_was_made_since_goes_and_what_went_comes_back(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    found = bench.target.read(ALICE)
    assert isinstance(found, Present)
    bench.target.delete(ALICE, expect=found.revision, by=Attribution("bob"))
    bench.applied(with_mailbox(estate(), ALICIA))
    back = way_back(bench, 1, delete={ALICIA})
    assert {(change.key, change.action) for change in back.plan.changes} == {
        (ALICE, Action.CREATE),
        (ALICIA, Action.DELETE),
    }
    assert go_back(bench, 1, delete={ALICIA}).is_success
    assert bench.target.read(ALICIA) == Absent()
    again = bench.target.read(ALICE)
    assert isinstance(again, Present)
    assert again.spec == found.spec


def renamed(bench: Bench, key: Key, to: str) -> None:
    found = bench.target.read(key)
    assert isinstance(found, Present)
    bench.target.rename(key, to, expect=found.revision, by=Attribution("bob"))


def deleted(bench: Bench, key: Key) -> None:
    found = bench.target.read(key)
    assert isinstance(found, Present)
    bench.target.delete(key, expect=found.revision, by=Attribution("bob"))


def test_what_was_renamed_since_is_renamed_back(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    before = bench.target.read(ALICE)
    assert isinstance(before, Present)
    bench.applied(with_mailbox(estate(), ALICIA, renamed_from="alice"))
    (change,) = way_back(bench, 1).plan.changes
    assert (change.key, change.action, change.renamed_from) == (ALICE, Action.UPDATE, ALICIA.name)
    assert go_back(bench, 1).is_success
    after = bench.target.read(ALICE)
    assert isinstance(after, Present)
    assert after.spec == before.spec
    assert bench.target.read(ALICIA) == Absent()
    assert bench.target.renames_since(before.revision)[-1] == (ALICIA, ALICE)


def test_of_a_chain_of_names_the_last_is_renamed_back(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    renamed(bench, ALICE, "ally")
    renamed(bench, Key("Mailbox", "ally"), "al")
    (change,) = way_back(bench, 1).plan.changes
    assert (change.key, change.renamed_from) == (ALICE, "al")


def test_what_was_renamed_there_and_back_is_as_it_was(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    renamed(bench, ALICE, "ally")
    renamed(bench, Key("Mailbox", "ally"), "alice")
    assert way_back(bench, 1).plan.is_empty


def test_a_way_back_that_fails_leaves_the_new_name(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(imap=16), ALICE))
    bench.applied(with_mailbox(estate(imap=32), ALICIA, renamed_from="alice"))
    bench.probes.failing = ["ex01/imap4"]
    assert not go_back(bench, 1).is_success
    assert bench.target.read(ALICE) == Absent()
    assert isinstance(bench.target.read(ALICIA), Present)


@pytest.mark.parametrize("name", ["alice", "ally"])
def test_a_new_name_is_left_when_either_name_is_held(name: str, bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    renamed(bench, ALICE, "ally")
    back = way_back(bench, 1, hold(Key("Mailbox", name)))
    assert back.plan.is_empty
    assert {key for key, _ in back.plan.held} == {ALICE, Key("Mailbox", "ally")}


def test_mail_under_a_new_name_is_not_left_behind_for_another_mailbox(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    found = bench.target.read(ALICE)
    assert isinstance(found, Present)
    renamed(bench, ALICE, "ally")
    bench.target.write(ALICE, found.spec, secrets={}, expect=None, by=Attribution("bob"))
    with pytest.raises(HistoryError, match="another Mailbox/alice is live by now"):
        way_back(bench, 1, delete={Key("Mailbox", "ally")})
    deleted(bench, ALICE)
    (change,) = way_back(bench, 1).plan.changes
    assert (change.key, change.renamed_from) == (ALICE, "ally")


def test_mail_under_a_new_name_that_was_deleted_is_not_left_behind(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    renamed(bench, ALICE, "ally")
    deleted(bench, Key("Mailbox", "ally"))
    with pytest.raises(HistoryError, match="Mailbox/ally is not live any more"):
        way_back(bench, 1)


def test_a_new_name_that_another_had_then_is_refused(bench: Bench) -> None:
    bench.applied(with_mailbox(with_mailbox(estate(), ALICE), ALICIA, address="alicia"))
    deleted(bench, ALICIA)
    renamed(bench, ALICE, ALICIA.name)
    with pytest.raises(HistoryError, match=f"another {ALICIA} was live then"):
        way_back(bench, 1)


def test_what_was_live_then_is_not_deleted(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    with pytest.raises(
        SelectionError, match="Mailbox/alice: it was live at history entry 1, and therefore stays"
    ):
        way_back(bench, 1, delete={ALICE})
    renamed(bench, ALICE, "ally")
    with pytest.raises(SelectionError, match="as Mailbox/alice, and is renamed back"):
        way_back(bench, 1, delete={Key("Mailbox", "ally")})


def test_a_password_comes_back_that_no_file_holds_any_more(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "alice"
    secret.write_text("correct horse\n")
    bench.path = tmp_path / "state"
    bench.applied(estate(password=secret))
    before = bench.target.read(ALICE)
    secret.write_text("battery staple\n")
    bench.applied(estate(password=secret))
    secret.unlink()
    assert go_back(bench, 1).is_success
    after = bench.target.read(ALICE)
    assert isinstance(before, Present)
    assert isinstance(after, Present)
    assert after.secrets == before.secrets


def test_a_changed_password_shows_as_a_secret_alone(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "alice"
    secret.write_text("correct horse\n")
    bench.path = tmp_path / "state"
    bench.applied(estate(password=secret))
    secret.write_text("battery staple\n")
    bench.applied(estate(password=secret))
    (change,) = way_back(bench, 1).plan.changes
    (field,) = change.fields
    assert (field.path, field.is_secret, field.old, field.new) == ("password", True, None, None)


def test_a_change_by_hand_is_taken_back_too(bench: Bench) -> None:
    bench.applied(estate())
    bench.set_by_hand(IMAP, imap(99))
    assert go_back(bench, 1).is_success
    assert bench.imap_limit() == 16


def test_nothing_is_planned_when_nothing_has_changed_since(bench: Bench) -> None:
    bench.applied(estate())
    assert way_back(bench, 1).plan.is_empty


def test_going_back_is_recorded_with_where_to(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    go_back(bench, 1)
    assert entry(bench, 3).values["origin"] == {"rollbackTo": 1}


def test_one_can_go_forward_again(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    go_back(bench, 1)
    assert go_back(bench, 2).is_success
    assert bench.imap_limit() == 32


def test_a_failed_probe_takes_the_way_back_back(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32)).probes.failing = ["ex01/imap4"]
    report = go_back(bench, 1)
    assert outcomes(report)["ImapSettings/ex01"] == "rolled back"
    assert bench.imap_limit() == 32
    assert bench.pending() == {}


def test_what_is_held_stays(bench: Bench) -> None:
    bench.applied(estate(imap=16, pop=16)).applied(estate(imap=32, pop=32))
    back = way_back(bench, 1, hold(IMAP))
    assert [change.key for change in back.plan.changes] == [POP]
    assert [key for key, _ in back.plan.held] == [IMAP]


def test_what_is_protected_is_not_deleted(bench: Bench) -> None:
    bench.applied(estate()).applied(protected(with_mailbox(estate(), ALICE), ALICE))
    with pytest.raises(HistoryError, match="\n  Mailbox/alice: it is protected"):
        way_back(bench, 1, delete={ALICE})


def test_a_mailbox_that_was_made_since_has_to_be_named(bench: Bench) -> None:
    bench.applied(estate()).applied(with_mailbox(estate(), ALICE))
    with pytest.raises(HistoryError, match="a Mailbox is deleted only by name: --delete Mailbox/alice"):
        way_back(bench, 1)
    assert go_back(bench, 1, delete={ALICE}).is_success
    assert bench.target.read(ALICE) == Absent()


def test_a_mailbox_that_is_held_need_not_be_named(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(with_mailbox(estate(imap=32), ALICE))
    back = way_back(bench, 1, hold(ALICE))
    assert [change.key for change in back.plan.changes] == [IMAP]


def test_what_was_made_by_hand_since_stays_and_is_listed(bench: Bench) -> None:
    bench.applied(estate())
    spec = with_mailbox(estate(), ALICE).resources[ALICE].spec
    bench.target.write(ALICE, spec, secrets={}, expect=None, by=Attribution("bob"))
    back = way_back(bench, 1)
    assert back.plan.is_empty
    assert back.plan.undeclared == (ALICE,)


def with_domains(desired: Desired, count: int) -> Desired:
    keys = [Key("AcceptedDomain", f"d{number:02}") for number in range(count)]
    found = {
        key: resource(
            key, parse_spec(key.kind, {"domainName": f"{key.name}.example", "domainType": "Authoritative"})
        )
        for key in keys
    }
    return replace(desired, resources={**desired.resources, **found})


def test_not_so_many_of_a_kind_go_at_once(bench: Bench) -> None:
    bench.applied(with_domains(estate(), 6)).applied(with_domains(estate(), 10))
    with pytest.raises(HistoryError, match=r"d09: 4 of 10 AcceptedDomain would go, more than 30%"):
        way_back(bench, 1)
    domains = {Key("AcceptedDomain", f"d0{number}") for number in range(6, 10)}
    assert len(way_back(bench, 1, delete=domains).plan.changes) == 4


def test_a_few_of_a_kind_go(bench: Bench) -> None:
    bench.applied(with_domains(estate(), 8)).applied(with_domains(estate(), 10))
    assert go_back(bench, 1).is_success
    assert bench.target.read(Key("AcceptedDomain", "d09")) == Absent()


def test_a_mailbox_that_lies_elsewhere_by_now_is_not_moved(bench: Bench) -> None:
    bench.applied(with_mailbox(estate(), ALICE))
    found = bench.target.read(ALICE)
    assert isinstance(found, Present)
    bench.target.delete(ALICE, expect=found.revision, by=Attribution("bob"))
    elsewhere = found.spec.model_copy(update={"database": "db02"})
    bench.target.write(ALICE, elsewhere, secrets={}, expect=None, by=Attribution("bob"))
    with pytest.raises(HistoryError, match="Mailbox/alice database: mail cannot be moved between databases"):
        way_back(bench, 1)


def test_protection_is_as_it_was(bench: Bench) -> None:
    bench.applied(protected(estate(), IMAP)).applied(estate())
    assert go_back(bench, 1).is_success
    found = bench.target.read(IMAP)
    assert isinstance(found, Present)
    assert found.protected


def test_an_entry_of_another_runtime_is_refused(bench: Bench) -> None:
    bench.applied(estate())
    old = entry(bench, 1)
    ahead = Entry(1, {**old.values, "epoch": 1000})
    with pytest.raises(HistoryError, match="this runtime has not come so far"):
        plan_return(ahead, bench.target, history=bench.path)


@pytest.mark.parametrize(
    ("values", "match"),
    [({"outcome": "unfinished"}, "was not over"), ({"epoch": None}, "was not written down")],
)
def test_an_entry_that_does_not_tell_is_refused(values: dict[str, object], match: str, bench: Bench) -> None:
    bench.applied(estate())
    told = Entry(1, {**entry(bench, 1).values, **values})
    with pytest.raises(HistoryError, match=match):
        plan_return(told, bench.target, history=bench.path)


def test_a_killed_way_back_is_settled(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    bench.target.before["ex01/imap4"] = [KeyboardInterrupt()]
    with pytest.raises(Exception, match="left in the middle"):
        go_back(bench, 1)
    (report,) = bench.recover()
    assert report.is_success
    assert bench.imap_limit() == 16
    assert entry(bench, 3).values["origin"] == {"rollbackTo": 1}


def test_what_no_file_declares_has_no_place(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(estate(imap=32))
    (change,) = way_back(bench, 1).plan.changes
    assert change.key == Key("ImapSettings", "ex01")
    assert (change.position, change.fields[0].position) == (None, None)
    shown = render_plan_text(way_back(bench, 1).plan, colour=False, width=100)
    assert "not declared" not in shown
    assert "history.jsonl" not in shown


def test_nothing_to_do_is_said_of_the_entry(bench: Bench) -> None:
    bench.applied(estate(imap=16))
    shown = render_plan_text(way_back(bench, 1).plan, colour=False, width=100)
    assert shown == "No changes: live is what it was after entry 1.\n"


def test_nothing_to_do_is_not_said_of_what_is_held_and_differs(bench: Bench) -> None:
    bench.applied(estate(imap=16)).applied(with_mailbox(estate(imap=32), ALICE))
    shown = render_plan_text(way_back(bench, 1, hold(IMAP), hold(ALICE)).plan, colour=False, width=100)
    assert shown.startswith("No changes but for what is held: 2 resources differ.\n")
    assert "a test; differs from what it was then: maxConnectionsPerUser\n" in shown
    assert "a test; made since\n" in shown
    back = way_back(bench, 2, hold(IMAP), hold(ALICE))
    assert render_plan_text(back.plan, colour=False, width=100).startswith("No changes: live is what it was")
