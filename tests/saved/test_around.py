"""A saved plan beside what others changed since: what it does not touch, and what it does not go together with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model import Desired, Key, LiveState, Present, Prune, Selection, Unreadable
from reconciler.saved.document import SavedPlanError
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution
from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec
from tests.applying.builders import IMAP, POP, SERVER, estate, resource
from tests.saved.builders import DB02, Desk

BOB, CAROL, DAVE, ERIN = (
    Attribution("bob"),
    Key("Mailbox", "carol"),
    Key("Mailbox", "dave"),
    Key("Mailbox", "erin"),
)
BEFORE, AFTER = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path)
    found.bench.applied(estate())
    found.with_databases()
    return found


def mailbox(name: str, *, database: str = "db02", address: str | None = None) -> Spec:
    address = address or f"{name}@contoso.example"
    return parse_spec("Mailbox", {"database": database, "primarySmtpAddress": address})


def declared(key: Key, spec: Spec) -> Desired:
    found = estate()
    return replace(found, resources={**found.resources, key: resource(key, spec)})


def create(desk: Desk, key: Key, spec: Spec, *, by: Attribution = BOB) -> None:
    desk.bench.target.write(key, spec, secrets={}, expect=None, by=by)


def delete(desk: Desk, key: Key) -> None:
    found = desk.bench.target.read(key)
    assert isinstance(found, Present)
    desk.bench.target.restore(key, None, expect=found.revision, by=BOB)


def without_db02(desk: Desk) -> None:
    """A plan that deletes the database db02."""
    saved = desk.save(estate(), prune=Prune(named=frozenset({DB02})))
    assert [change.key for change in saved.plan.changes] == [DB02]


def test_a_deletion_goes_on_when_nobody_refers_to_it(desk: Desk) -> None:
    without_db02(desk)
    create(desk, CAROL, mailbox("carol", database="db01"))
    assert [change.key for change in desk.admit().plan.changes] == [DB02]


def test_what_somebody_refers_to_by_now_is_not_deleted(desk: Desk) -> None:
    without_db02(desk)
    create(desk, CAROL, mailbox("carol"))
    told = r"stale.*\n  MailboxDatabase/db02 would be deleted, and Mailbox/carol refers to it and stays: "
    with pytest.raises(SavedPlanError, match=rf"{told}Mailbox/carol was changed by bob at 20..-"):
        desk.admit()


def test_nothing_is_deleted_that_something_unreadable_may_refer_to(desk: Desk) -> None:
    without_db02(desk)
    live = desk.bench.target.observe()

    class Reader(MemoryTarget):
        """The same target, half blind."""

        def observe(self, known: object = None, digests: object = None) -> LiveState:
            return LiveState({**live.resources, CAROL: Unreadable("503")}, live.services)

    blind = Reader()
    blind.__dict__.update(desk.bench.target.__dict__)
    with pytest.raises(SavedPlanError, match=r"Mailbox/carol refers to it and stays: .* cannot be read: 503"):
        desk.admit(target=blind)


def test_nothing_is_written_that_refers_to_what_is_gone(desk: Desk) -> None:
    desk.save(declared(DAVE, mailbox("dave")))
    delete(desk, DB02)
    with pytest.raises(
        SavedPlanError, match=r"stale.*\n  Mailbox/dave refers to MailboxDatabase/db02, and that"
    ):
        desk.admit()


def test_nothing_is_written_for_a_server_that_is_gone(desk: Desk) -> None:
    desk.save(estate(imap=32))
    delete(desk, SERVER)
    with pytest.raises(SavedPlanError, match="ImapSettings/ex01 refers to Server/ex01, and that is not live"):
        desk.admit()


def test_what_the_plan_itself_makes_is_there(desk: Desk) -> None:
    delete(desk, DB02)
    both = declared(DAVE, mailbox("dave"))
    database = resource(DB02, parse_spec("MailboxDatabase", {"server": "ex01"}))
    desk.save(replace(both, resources={**both.resources, DB02: database}))
    assert {change.key for change in desk.admit().plan.changes} == {DAVE, DB02}


def test_an_address_that_is_somebody_elses_by_now_is_not_taken(desk: Desk) -> None:
    desk.save(declared(DAVE, mailbox("dave")))
    create(desk, ERIN, mailbox("erin", address="Dave@contoso.example"))
    told = "Mailbox/dave primarySmtpAddress: dave@contoso.example belongs to Mailbox/erin already: "
    with pytest.raises(SavedPlanError, match=f"stale.*\n  {told}Mailbox/erin was changed by bob at 20"):
        desk.admit()


def test_a_port_that_is_somebody_elses_by_now_is_not_taken(desk: Desk) -> None:
    desk.save(estate(startup={"pop3-backend": "Automatic"}), selection=Selection(only=("Server",)))
    desk.bench.set_by_hand(POP, parse_spec("PopSettings", {"proxyTargetPort": 9933}))
    desk.bench.set_by_hand(IMAP, parse_spec("ImapSettings", {"proxyTargetPort": 9933}))
    with pytest.raises(SavedPlanError, match=r"PopSettings/ex01 proxyTargetPort: 127.0.0.1:9933 belongs to"):
        desk.admit()


def test_a_clash_between_others_is_not_the_plans(desk: Desk) -> None:
    desk.save(estate(imap=32))
    create(desk, DAVE, mailbox("dave"))
    create(desk, ERIN, mailbox("erin", address="dave@contoso.example"))
    assert [change.key for change in desk.admit().plan.changes] == [IMAP]


def test_what_stood_there_undeclared_was_known_when_this_was_planned(desk: Desk) -> None:
    """The files are not held against what nobody declares, and so a plan that was made beside it is not either."""
    both = estate(startup={"pop3-backend": "Automatic", "imap4-backend": "Automatic"})
    desk.bench.applied(both).set_by_hand(POP, parse_spec("PopSettings", {"proxyTargetPort": 9933}))
    spec = parse_spec("ImapSettings", {"proxyTargetPort": 9933})
    kept = {key: found for key, found in both.resources.items() if key != POP}
    desk.save(replace(both, resources={**kept, IMAP: resource(IMAP, spec)}))
    desk.age(POP, updated_at=BEFORE)
    assert len(desk.admit().plan.changes) == 1
    desk.age(POP, updated_at=AFTER)
    with pytest.raises(SavedPlanError, match=r"PopSettings/ex01 proxyTargetPort: 127.0.0.1:9933 belongs to"):
        desk.admit()
