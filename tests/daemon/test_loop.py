"""Round after round on a target in memory: what is told, healed and left alone, and that nothing ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.age import IDENTITY_FILE, IDENTITY_KEY, encrypt, generate
from reconciler.applying.lock import apply_lock
from reconciler.daemon import notices
from reconciler.daemon.ledger import ask_release
from reconciler.targets.target import NotRunningError, RejectedError
from tests.applying.builders import IMAP, POP
from tests.daemon.builders import Stage, hold
from tests.declared.pem import certificate_pem, key_pem
from tests.support.estate import write_estate
from tests.support.waiting import eventually


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def running(stage: Stage) -> Iterator[Callable[[], Stage]]:
    thread = Thread(target=stage.loop.run)

    def start() -> Stage:
        thread.start()
        eventually(lambda: stage.bench.imap_limit() == 16, what="the first apply")
        return stage

    yield start
    stage.wish.ask_stop()
    thread.join(30)
    assert not thread.is_alive()


def test_the_first_round_applies(stage: Stage) -> None:
    notice = stage.round()[-1]
    assert isinstance(notice, notices.Applied)
    assert notice.report.is_success
    assert stage.bench.imap_limit() == 16


def test_the_plan_is_told_before_it_is_applied(stage: Stage) -> None:
    assert [type(notice) for notice in stage.round()] == [notices.Applying, notices.Applied]


def test_a_round_without_a_change_says_so(stage: Stage) -> None:
    stage.round()
    assert stage.round() == [notices.Unchanged()]


def test_it_is_said_once_unless_somebody_saved_a_file(stage: Stage) -> None:
    stage.round()
    stage.round()
    assert stage.round(has_news=False) == []


def test_broken_files_leave_what_is_live(stage: Stage) -> None:
    stage.round()
    (stage.directory / "broken.yaml").write_text("kind: Nothing\n")
    notice = stage.round()[0]
    assert isinstance(notice, notices.Broken)
    assert notice.has_last_good
    assert stage.bench.imap_limit() == 16


def test_drift_is_healed_with_the_last_good_configuration_while_the_files_are_broken(stage: Stage) -> None:
    stage.round()
    (stage.directory / "broken.yaml").write_text("kind: Nothing\n")
    stage.change_by_hand(99)
    stage.round()
    assert stage.bench.imap_limit() == 16


def test_broken_files_at_the_start_change_nothing(stage: Stage) -> None:
    (stage.directory / "broken.yaml").write_text("kind: Nothing\n")
    (notice,) = stage.round()
    assert isinstance(notice, notices.Broken)
    assert not notice.has_last_good


def test_a_configuration_that_was_rolled_back_is_not_applied_again(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    assert isinstance(stage.round()[-1], notices.Barred)
    (notice,) = stage.round()
    assert isinstance(notice, notices.LeftAlone)
    assert stage.bench.imap_limit() == 16


def test_nor_after_a_restart_of_the_daemon(stage: Stage, tmp_path: Path) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    stage.round()
    again = Stage(tmp_path, before=stage)
    again.declare(32)
    assert isinstance(again.round()[0], notices.LeftAlone)
    assert stage.bench.imap_limit() == 16


def test_nor_by_one_that_knows_it_from_the_history_alone(stage: Stage, tmp_path: Path) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    stage.round()
    (tmp_path / "state" / "daemon" / "ledger.json").unlink()
    again = Stage(tmp_path, before=stage)
    again.declare(32)
    assert isinstance(again.round()[0], notices.Barred)
    assert stage.bench.imap_limit() == 16


def test_another_configuration_is_applied_then(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    stage.round()
    stage.declare(33)
    stage.round()
    assert stage.bench.imap_limit() == 33


def renew_certificate(stage: Stage) -> None:
    """The same declaration, with another pair in the files that it names."""
    key = ec.generate_private_key(ec.SECP256R1())
    (stage.directory / "mail.crt").write_bytes(certificate_pem(key))
    (stage.directory / "mail.key").write_bytes(key_pem(key))
    (stage.directory / "mail.key").chmod(0o600)


def declare_certificate(stage: Stage) -> None:
    renew_certificate(stage)
    (stage.directory / "mail.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Certificate\nmetadata: {name: mail}\n"
        "spec: {servers: [ex01], services: [IIS], certificateFile: mail.crt, privateKeyFile: mail.key}\n"
    )


def test_nor_is_it_barred_any_more_when_a_certificate_was_renewed(stage: Stage) -> None:
    """Which is no part of its digest: the history knows it as the same one."""
    stage.round()
    declare_certificate(stage)
    stage.declare(32)
    stage.fail_once()
    assert isinstance(stage.round()[-1], notices.Barred)
    renew_certificate(stage)
    stage.fail_once()
    assert isinstance(stage.round()[-1], notices.Barred)
    renew_certificate(stage)
    stage.round()
    assert stage.bench.imap_limit() == 32


def test_or_a_password(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    assert isinstance(stage.round()[-1], notices.Barred)
    (stage.directory / "secrets" / "alice").write_text("another password\n")
    stage.round()
    assert stage.bench.imap_limit() == 32


def test_the_old_certificate_is_still_to_blame(stage: Stage, tmp_path: Path) -> None:
    stage.round()
    declare_certificate(stage)
    files = [stage.directory / name for name in ("mail.crt", "mail.key")]
    before = [file.read_bytes() for file in files]
    stage.declare(32)
    stage.fail_once()
    stage.round()
    renew_certificate(stage)
    stage.held = (hold("*"),)
    stage.round()
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content)
    stage.held = ()
    again = Stage(tmp_path, before=stage)
    again.declare(32)
    assert isinstance(again.round()[0], notices.Barred)
    assert stage.bench.imap_limit() == 16


def test_a_release_applies_it_again(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    stage.round()
    assert stage.ledger.release("all")
    stage.round()
    assert stage.bench.imap_limit() == 32


def test_a_lock_held_by_somebody_is_tried_again_later_each_time(stage: Stage) -> None:
    with apply_lock(stage.bench.applier.state.apply_lock, actor="bob"):
        (first,), (second,) = stage.round(), stage.round()
    assert isinstance(first, notices.Failed)
    assert isinstance(second, notices.Failed)
    assert "bob" in first.error
    assert (first.retry_in, second.retry_in) == (2, 4)


def test_an_error_that_nobody_thought_of_is_told_with_its_trace(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bytes:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(stage.bench.target, "digest_key", broken)
    (notice,) = stage.round()
    assert isinstance(notice, notices.Failed)
    assert notice.trace is not None
    assert "a bug" in notice.trace
    monkeypatch.undo()
    assert isinstance(stage.round()[-1], notices.Applied)


def test_an_apply_that_was_killed_is_settled_first(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.fail_once()
    stage.bench.target.before[f"restore {IMAP}"] = [NotRunningError("no runtime")]
    stage.round()
    assert isinstance(stage.round()[0], notices.Recovered)


def test_drift_is_told_and_healed(stage: Stage) -> None:
    stage.round()
    stage.change_by_hand(99)
    notice = stage.round()[-1]
    assert isinstance(notice, notices.Applied)
    assert notice.drifted == {IMAP}
    assert stage.bench.imap_limit() == 16


def test_a_resource_that_flaps_is_left_alone(stage: Stage) -> None:
    stage.round()
    for _ in range(3):
        stage.change_by_hand(99)
        told = stage.round()
    assert notices.Flapping(IMAP, 3, 10) in told
    why = stage.ledger.why_not(str(IMAP))
    assert why is not None
    assert why.endswith("change the files or run: reconcile daemon --release ImapSettings/ex01")
    stage.change_by_hand(99)
    stage.round()
    assert stage.bench.imap_limit() == 99


def test_one_that_drifts_now_and_then_does_not_flap(stage: Stage) -> None:
    stage.round()
    for _ in range(5):
        stage.now += 400
        stage.change_by_hand(99)
        stage.round()
    assert stage.bench.imap_limit() == 16


def test_a_flapping_resource_does_not_keep_the_others_from_being_healed(stage: Stage) -> None:
    stage.round()
    for _ in range(3):
        stage.change_by_hand(99)
        stage.round()
    stage.change_by_hand(99)
    live = stage.bench.target.read(POP)
    spec = live.spec.model_copy(update={"max_connections_per_user": 99})  # type: ignore[union-attr]
    stage.bench.set_by_hand(POP, spec)
    stage.round()
    assert (stage.bench.imap_limit(), stage.bench.limit(POP)) == (99, 16)


def test_a_flapping_resource_is_healed_again_when_it_is_released(stage: Stage) -> None:
    stage.round()
    for _ in range(3):
        stage.change_by_hand(99)
        stage.round()
    stage.change_by_hand(99)
    assert stage.ledger.release("ImapSettings/*") == (str(IMAP),)
    stage.round()
    assert stage.bench.imap_limit() == 16


def test_a_heal_that_fails_is_tried_again_later(stage: Stage) -> None:
    stage.round()
    stage.change_by_hand(99)
    stage.bench.target.before[str(IMAP)] = [RejectedError(str(IMAP), "not now")]
    assert not any(isinstance(notice, notices.Barred) for notice in stage.round())
    assert isinstance(stage.round()[0], notices.LeftAlone)
    assert stage.bench.imap_limit() == 99
    stage.now += 10
    stage.round()
    assert stage.bench.imap_limit() == 16


def test_what_is_held_is_left_alone(stage: Stage) -> None:
    stage.round()
    stage.change_by_hand(99)
    stage.held = (hold(str(IMAP)),)
    left = next(notice for notice in stage.round() if isinstance(notice, notices.LeftAlone))
    assert left.reasons[str(IMAP)].endswith("by bob: maintenance")
    assert stage.bench.imap_limit() == 99


def test_mail_is_not_left_behind(stage: Stage) -> None:
    """The rest is healed, and nothing is rolled back or barred."""
    stage.round()
    stage.declare(32)
    file = stage.directory / "estate.yaml"
    text = file.read_text().replace("database: db01", "database: db02", 1)
    other = "---\napiVersion: reconciler/v1\nkind: MailboxDatabase\nmetadata: {name: db02}\nspec: {server: ex01}\n"
    file.write_text(text + other)
    told = stage.round()
    left = next(notice for notice in told if isinstance(notice, notices.LeftAlone))
    assert left.reasons["Mailbox/alice"].startswith("database: mail cannot be moved between databases yet")
    applied = next(notice for notice in told if isinstance(notice, notices.Applied))
    assert applied.report.is_success
    assert stage.bench.imap_limit() == 32


def test_only_the_kinds_that_are_switched_on_are_healed(tmp_path: Path) -> None:
    whole = Stage(tmp_path)
    whole.round()
    stage = Stage(tmp_path, kinds=frozenset({"PopSettings"}), before=whole)
    stage.declare(32)
    stage.round()
    assert (stage.bench.imap_limit(), stage.bench.limit(POP)) == (16, 32)


def test_what_refers_to_something_that_is_left_alone_waits_for_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.held = (hold("MailboxDatabase/db01"),)
    left = next(notice for notice in stage.round() if isinstance(notice, notices.LeftAlone))
    assert left.reasons["Mailbox/alice"] == "it refers to MailboxDatabase/db01, which is left alone"


def test_the_mode_report_writes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, heals=False)
    before = sorted((tmp_path / "state").iterdir())
    (notice,) = stage.round()
    assert isinstance(notice, notices.Found)
    assert stage.bench.target.writes == []
    assert sorted((tmp_path / "state").iterdir()) == before


def test_the_mode_report_tells_drift_from_pending_changes(tmp_path: Path) -> None:
    applied = Stage(tmp_path)
    applied.round()
    stage = Stage(tmp_path, heals=False, before=applied)
    stage.round()
    stage.change_by_hand(99)
    stage.declare(32)
    (notice,) = stage.round()
    assert isinstance(notice, notices.Found)
    assert {change.key for change in notice.plan.changes} == {IMAP, POP}
    assert notice.drifted == {IMAP}


def test_the_loop_follows_the_files_until_it_is_stopped(running: Callable[[], Stage]) -> None:
    stage = running()
    stage.declare(32)
    eventually(lambda: stage.bench.imap_limit() == 32, what="the second apply")


def test_the_directory_may_go_and_come_back(running: Callable[[], Stage], tmp_path: Path) -> None:
    stage = running()
    stage.directory.rename(tmp_path / "away")
    eventually(lambda: any(isinstance(one, notices.Broken) for one in stage.told), what="a word about it")
    write_estate(tmp_path / "away", stage.ports, max_connections_per_user=32)
    (tmp_path / "away").rename(stage.directory)
    eventually(lambda: stage.bench.imap_limit() == 32, what="an apply")
    stage.declare(33)
    eventually(lambda: stage.bench.imap_limit() == 33, what="an apply in the new directory")


def test_a_request_to_release_is_carried_out(running: Callable[[], Stage]) -> None:
    stage = running()
    ask_release(stage.bench.applier.state.daemon, "all")
    stage.wish.ask_now()
    eventually(lambda: any(isinstance(one, notices.Released) for one in stage.told), what="the release")


def test_a_secret_file_outside_of_the_directory_is_followed(
    running: Callable[[], Stage], stage: Stage, tmp_path: Path
) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text("first")
    (stage.directory / "carol.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {name: carol}\n"
        "spec: {database: db01, primarySmtpAddress: carol@contoso.example, "
        f"password: {{secretRef: {{file: {secret}}}}}}}\n"
    )
    running()
    eventually(lambda: any(isinstance(one, notices.Applied) for one in stage.told), what="an apply")
    secret.write_text("second")
    eventually(lambda: sum(isinstance(n, notices.Applied) for n in stage.told) == 2, what="another apply")


def test_a_secret_that_nobody_can_open_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(IDENTITY_KEY, raising=False)
    monkeypatch.delenv(IDENTITY_FILE, raising=False)
    stage = Stage(tmp_path, heals=False)
    (tmp_path / "carol.age").write_bytes(encrypt("secret", [generate().public]))
    (stage.directory / "carol.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {name: carol}\n"
        "spec: {database: db01, primarySmtpAddress: carol@contoso.example, "
        f"password: {{secretRef: {{encrypted: {tmp_path / 'carol.age'}}}}}}}\n"
    )
    (warned,) = [one for one in stage.round() if isinstance(one, notices.Warned)]
    assert [one.code for one in warned.diagnostics] == ["locked-secret"]
    assert not [one for one in stage.round() if isinstance(one, notices.Warned)]
