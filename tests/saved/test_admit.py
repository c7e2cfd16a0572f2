"""What a saved plan may and may not do, each against the target in memory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.applying.hold import new_hold, parse_until
from reconciler.declared.certificates import thumbprints_in
from reconciler.model import Desired, Key, Lifecycle, LiveState, Present, Prune, Selection, Unreadable
from reconciler.saved.document import SavedPlanError
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution
from schemas.v1.codec import parse_spec
from tests.applying.builders import (
    ALICE,
    IMAP,
    POP,
    SERVER,
    Bench,
    estate,
    imap,
    resource,
    server,
    with_mailbox,
)
from tests.declared.pem import certificate_pem, key_pem
from tests.saved.builders import Desk

CAROL = Attribution("carol")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With limits of 16 live, and databases for mailboxes."""
    found = Desk(tmp_path)
    found.bench.applied(estate())
    found.with_databases()
    return found


def apply(desk: Desk) -> Bench:
    remaining = desk.admit()
    live = desk.bench.target.observe()
    assert desk.bench.applier.apply(remaining.plan, desired=remaining.desired, live=live).is_success
    return desk.bench


def test_a_good_plan_is_carried_out(desk: Desk) -> None:
    desk.save(estate(imap=32))
    bench = apply(desk)
    assert bench.imap_limit() == 32
    assert bench.target.converged == ["ex01/imap4-backend", "ex01/imap4"]


def test_it_needs_no_declaration(desk: Desk) -> None:
    desk.save(estate(imap=32, pop=8))
    assert [str(change.key) for change in desk.admit().plan.changes] == [
        "ImapSettings/ex01",
        "PopSettings/ex01",
    ]


def test_a_resource_that_moved_makes_it_stale_and_names_who(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.set_by_hand(IMAP, imap(5), who="bob")
    with pytest.raises(SavedPlanError, match=r"stale.*\n  ImapSettings/ex01 was changed by bob at 20..-"):
        desk.admit()


def test_a_resource_that_is_gone_makes_it_stale(desk: Desk) -> None:
    desk.save(estate(imap=32))
    found = desk.bench.target.observe().resources[IMAP]
    desk.bench.target.restore(IMAP, None, expect=found.revision, by=CAROL)  # type: ignore[union-attr]
    with pytest.raises(SavedPlanError, match="ImapSettings/ex01 is gone"):
        desk.admit()


def test_a_resource_that_appeared_makes_a_create_stale(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.save(estate())
    desk.bench.target.write(SERVER, server({"pop3": "Manual"}), secrets={}, expect=None, by=CAROL)
    with pytest.raises(SavedPlanError, match=r"Server/ex01 was changed by carol .* it was not there"):
        desk.admit()


def test_what_the_plan_does_not_touch_leaves_it_good(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.set_by_hand(POP, parse_spec("PopSettings", {"maxConnectionsPerUser": 5}))
    assert len(desk.admit().plan.changes) == 1


def test_what_is_so_already_is_left_out(desk: Desk) -> None:
    desk.save(estate(imap=32, pop=8))
    desk.bench.set_by_hand(IMAP, imap(32))
    remaining = desk.admit()
    assert remaining.already == (IMAP,)
    assert [change.key for change in remaining.plan.changes] == [POP]


def test_a_service_that_still_waits_for_what_is_so_is_restarted(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.set_by_hand(IMAP, imap(32))
    plan = desk.admit().plan
    assert plan.changes == ()
    assert [impact.service for impact in plan.owed] == ["ex01/imap4", "ex01/imap4-backend"]


def test_what_is_all_so_already_is_nothing_to_do(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.apply(estate(imap=32))
    assert desk.admit().plan.is_empty


def test_what_others_left_waiting_is_not_done_along(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.set_by_hand(POP, parse_spec("PopSettings", {"maxConnectionsPerUser": 5}))
    services = {impact.service for impact in (*desk.admit().plan.impacts, *desk.admit().plan.owed)}
    assert services == {"ex01/imap4", "ex01/imap4-backend"}


def test_a_service_that_was_not_planned_makes_it_stale(tmp_path: Path) -> None:
    off = {"imap4": "Manual", "imap4-backend": "Manual"}
    desk = Desk(tmp_path)
    desk.bench.applied(estate(startup=off))
    desk.save(estate(imap=32, startup=off))
    assert desk.admit().plan.impacts == ()
    desk.bench.applied(estate())
    with pytest.raises(SavedPlanError, match="ex01/imap4 would now have to restart, which was not planned"):
        desk.admit()


def test_a_service_that_stopped_meanwhile_is_less_than_planned(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.bench.applied(estate(startup={"imap4": "Manual"}))
    assert {impact.service for impact in desk.admit().plan.impacts} == {"ex01/imap4-backend"}


def test_an_edited_plan_is_refused(desk: Desk) -> None:
    desk.save(estate(imap=32))
    desk.edit('"maxConnectionsPerUser":32', '"maxConnectionsPerUser":99')
    with pytest.raises(SavedPlanError, match="not as it was made"):
        desk.admit()


def test_a_used_plan_is_refused(desk: Desk) -> None:
    desk.used.use(desk.save(estate(imap=32)).digest, by="bob")
    with pytest.raises(SavedPlanError, match="was used already, by bob at 20"):
        desk.admit()


def test_only_one_of_two_can_use_a_plan(desk: Desk) -> None:
    digest = desk.save(estate(imap=32)).digest
    desk.used.use(digest, by="alice")
    with pytest.raises(SavedPlanError, match="used already, by alice"):
        desk.used.use(digest, by="bob")


def test_a_plan_is_used_although_its_mark_is_empty(desk: Desk, tmp_path: Path) -> None:
    """The power went between making the mark and writing who made it."""
    digest = desk.save(estate(imap=32)).digest
    (tmp_path / "used").mkdir()
    os.close(os.open(tmp_path / "used" / digest, os.O_CREAT, 0o600))
    with pytest.raises(SavedPlanError, match="used already, by somebody"):
        desk.admit()


def test_a_plan_for_another_target_is_refused(desk: Desk) -> None:
    desk.save(estate(imap=32))
    with pytest.raises(SavedPlanError, match="was made for the runtime"):
        desk.admit(target=MemoryTarget())


def test_an_incomplete_plan_is_refused(desk: Desk) -> None:
    live = desk.bench.target.observe()
    desk.save_against(estate(imap=32), LiveState({**live.resources, POP: Unreadable("503")}, live.services))
    with pytest.raises(SavedPlanError, match="incomplete: PopSettings/ex01 could not be read"):
        desk.admit()


def test_what_was_left_out_may_be_unreadable(desk: Desk) -> None:
    live = desk.bench.target.observe()
    unreadable = LiveState({**live.resources, POP: Unreadable("503")}, live.services)
    desk.save_against(estate(imap=32), unreadable, selection=Selection(exclude=("PopSettings",)))
    assert len(desk.admit().plan.changes) == 1


def test_a_resource_that_cannot_be_read_any_more_makes_it_stale(desk: Desk) -> None:
    saved = desk.save(estate(imap=32))
    live = desk.bench.target.observe()

    class Reader(MemoryTarget):
        """The same target, half blind."""

        def observe(self, known: object = None, digests: object = None) -> LiveState:
            return LiveState({**live.resources, IMAP: Unreadable("503")}, live.services)

    blind = Reader()
    blind.__dict__.update(desk.bench.target.__dict__)
    with pytest.raises(SavedPlanError, match="ImapSettings/ex01 cannot be read: 503"):
        desk.admit(saved, target=blind)


def _with_password(tmp_path: Path, text: str) -> Path:
    password = tmp_path / "alice"
    password.write_text(text, encoding="utf-8")
    return password


def test_a_secret_is_resolved_again(desk: Desk, tmp_path: Path) -> None:
    password = _with_password(tmp_path, "correct-horse")
    desk.save(estate(password=password))
    apply(desk)
    assert desk.bench.plan(estate(password=password)).is_empty


def test_another_secret_than_the_planned_one_is_refused(desk: Desk, tmp_path: Path) -> None:
    password = _with_password(tmp_path, "correct-horse")
    desk.save(estate(password=password))
    _with_password(tmp_path, "battery-staple")
    with pytest.raises(SavedPlanError, match=r"Mailbox/alice password: the secret in file .* is not the one"):
        desk.admit()


def test_a_secret_that_is_gone_is_refused(desk: Desk, tmp_path: Path) -> None:
    password = _with_password(tmp_path, "correct-horse")
    desk.save(estate(password=password))
    password.unlink()
    with pytest.raises(SavedPlanError, match=r"Mailbox/alice password: secret file .* cannot be read"):
        desk.admit()


def _certificate(directory: Path, file: Path) -> Desired:
    """The estate with a certificate from files that are written anew."""
    key = ec.generate_private_key(ec.SECP256R1())
    directory.mkdir(exist_ok=True)
    file.write_bytes(certificate_pem(key))
    (directory / "one.key").touch(mode=0o600)
    (directory / "one.key").write_bytes(key_pem(key))
    files = {"certificateFile": str(file), "privateKeyFile": str(directory / "one.key")}
    spec = {**files, "services": ["IMAP"], "thumbprint": thumbprints_in(str(file))[0]}
    found, name = estate(), Key("Certificate", "ex01/one")
    one = resource(name, parse_spec("Certificate", spec))
    return replace(found, resources={**found.resources, name: one})


def test_a_certificate_is_the_one_that_was_planned(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "estate" / "one.crt"
    desk.save(_certificate(file.parent, file))
    assert len(desk.admit().plan.changes) == 1
    _certificate(file.parent, file)
    with pytest.raises(
        SavedPlanError, match=r"stale; .*\n  Certificate/ex01/one: .*/one.crt holds the certificate "
    ):
        desk.admit()
    file.unlink()
    with pytest.raises(
        SavedPlanError, match=r"Certificate/ex01/one certificateFile: .*/one.crt does not exist"
    ):
        desk.admit()


def test_a_certificate_that_is_live_by_now_is_not_read_again(desk: Desk, tmp_path: Path) -> None:
    """The server has its own copy."""
    file = tmp_path / "estate" / "one.crt"
    declared = _certificate(file.parent, file)
    limit = resource(IMAP, imap(32))
    desk.save(replace(declared, resources={**declared.resources, IMAP: limit}))
    certificate = declared.resources[Key("Certificate", "ex01/one")]
    desk.bench.target.write(certificate.key, certificate.spec, secrets={}, expect=None, by=CAROL)
    file.unlink()
    assert [change.key for change in desk.admit().plan.changes] == [IMAP]


def test_a_certificate_with_another_chain_is_not_the_one_that_was_planned(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "estate" / "one.crt"
    desk.save(_certificate(file.parent, file))
    file.write_bytes(file.read_bytes() + certificate_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SavedPlanError, match=r"with 1 after it, and held [0-9a-f]{64}, with 0"):
        desk.admit()


def test_what_is_held_by_now_is_refused(desk: Desk) -> None:
    desk.save(estate(imap=32))
    held = new_hold("ImapSettings/*", until=parse_until("1h"), reason="a migration", by="bob")
    with pytest.raises(SavedPlanError, match=r"ImapSettings/ex01 is held until .* by bob: a migration"):
        desk.admit(holds=[held])
    other = new_hold("PopSettings/*", until=parse_until("1h"), reason="a migration", by="bob")
    assert len(desk.admit(holds=[other]).plan.changes) == 1


def test_mail_is_not_left_behind(desk: Desk) -> None:
    """Such as by a plan of a version that did not refuse to make it."""
    desk.bench.applied(with_mailbox(estate(), ALICE))
    moved = with_mailbox(estate(), ALICE)
    spec = moved.resources[ALICE].spec.model_copy(update={"database": "db02"})
    desk.save(
        replace(moved, resources={**moved.resources, ALICE: replace(moved.resources[ALICE], spec=spec)})
    )
    with pytest.raises(
        SavedPlanError, match="Mailbox/alice database: mail cannot be moved between databases"
    ):
        desk.admit()


def test_a_deletion_is_carried_out(desk: Desk) -> None:
    declared = estate()
    resources = {key: found for key, found in declared.resources.items() if key != POP}
    desk.save(type(declared)(resources, declared.digest), prune=Prune(is_on=True))
    bench = apply(desk)
    assert POP not in bench.target.observe().resources


def test_what_was_deleted_meanwhile_is_so_already(desk: Desk) -> None:
    declared = estate()
    resources = {key: found for key, found in declared.resources.items() if key != POP}
    saved = desk.save(type(declared)(resources, declared.digest), prune=Prune(is_on=True))
    apply(desk)
    assert desk.admit(saved).already == (POP,)


def _renamed(declared: Desired) -> Desired:
    """The estate with alice's mailbox called ally from now on, and protected."""
    found = dict(declared.resources)
    alice = found.pop(ALICE)
    ally = replace(alice, key=Key("Mailbox", "ally"), lifecycle=Lifecycle(protect=True, renamed_from="alice"))
    return Desired({**found, ally.key: ally}, declared.digest)


def test_a_rename_is_carried_out(desk: Desk, tmp_path: Path) -> None:
    declared = estate(password=_with_password(tmp_path, "correct-horse"))
    desk.bench.applied(declared)
    desk.save(_renamed(declared))
    live = apply(desk).target.observe().resources
    ally = live[Key("Mailbox", "ally")]
    assert ALICE not in live
    assert isinstance(ally, Present)
    assert ally.protected
    assert desk.bench.plan(_renamed(declared)).is_empty


def test_a_rename_is_stale_when_the_new_name_is_taken(desk: Desk, tmp_path: Path) -> None:
    declared = estate(password=_with_password(tmp_path, "correct-horse"))
    desk.bench.applied(declared)
    desk.save(_renamed(declared))
    spec = declared.resources[ALICE].spec
    desk.bench.target.write(Key("Mailbox", "ally"), spec, secrets={}, expect=None, by=CAROL)
    with pytest.raises(SavedPlanError, match="Mailbox/ally was changed by carol"):
        desk.admit()


def test_a_rename_that_was_done_is_so_already(desk: Desk, tmp_path: Path) -> None:
    declared = estate(password=_with_password(tmp_path, "correct-horse"))
    desk.bench.applied(declared)
    saved = desk.save(_renamed(declared))
    apply(desk)
    assert desk.admit(saved).plan.is_empty
