"""Names that pass from one resource to another: no plan that ends well is refused for the order of its writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.applying import batches, take_back
from reconciler.applying.apply import ApplyLeftError
from reconciler.applying.history import failed_configuration
from reconciler.applying.journal import unfinished
from reconciler.applying.ties import Needs, circles
from reconciler.model import Desired, Key, Lifecycle, Present, Prune, Report
from reconciler.planning.plan import make_plan
from reconciler.targets import requests
from reconciler.targets.target import Attribution, TargetError, Write, Written
from schemas.v1.codec import parse_spec
from schemas.v1.mailbox import Mailbox
from tests.applying.builders import Bench, FaultyTarget, estate, lost, outcomes, resource

SERVERS = ("ex01", "ex02")
ROUND = {"anna": "bert", "bert": "carl", "carl": "anna"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def one_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request as small as it may be."""
    monkeypatch.setattr(batches, "FIRST", 1)
    monkeypatch.setattr(batches, "MOST", 1)
    monkeypatch.setattr(take_back, "TOGETHER", 1)


def mailboxes(addresses: Mapping[str, str], *, imap: int = 16) -> Desired:
    """A mailbox for each name with this address, on two servers by turns."""
    found = dict(estate(imap=imap).resources)
    for number, server in enumerate(SERVERS):
        key = Key("MailboxDatabase", f"db0{number}")
        found[key] = resource(key, parse_spec("MailboxDatabase", {"server": server}))
    found[Key("Server", "ex02")] = replace(found[Key("Server", "ex01")], key=Key("Server", "ex02"))
    for number, (name, address) in enumerate(sorted(addresses.items())):
        spec = {"database": f"db0{number % 2}", "primarySmtpAddress": f"{address}@contoso.example"}
        found[Key("Mailbox", name)] = resource(Key("Mailbox", name), parse_spec("Mailbox", spec))
    return Desired(found, digest="d" * 64)


def as_named(*names: str) -> Desired:
    return mailboxes({name: name for name in names})


def addresses(bench: Bench) -> dict[str, str]:
    found = bench.target.observe().resources
    return {
        key.name: one.spec.primary_smtp_address.partition("@")[0]
        for key, one in found.items()
        if isinstance(one, Present) and isinstance(one.spec, Mailbox)
    }


def applied_deleting(bench: Bench, desired: Desired, *named: Key) -> Report:
    live = bench.target.observe()
    plan = make_plan(desired, live, digests={}, prune=Prune(named=frozenset(named)))
    return bench.applier.apply(plan, desired=desired, live=live)


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("wanted", [{"anna": "bert", "bert": "anna"}, ROUND])
@pytest.mark.usefixtures("one_a_request")
def test_names_go_round(bench: Bench, wanted: dict[str, str], parallelism: int) -> None:
    bench.parallelism = parallelism
    bench.applied(as_named(*wanted))
    assert bench.apply(mailboxes(wanted)).is_success
    assert addresses(bench) == wanted


@pytest.mark.usefixtures("one_a_request")
def test_whoever_gives_a_name_up_is_written_before_whoever_gets_it(bench: Bench) -> None:
    names = [f"m{number:02}" for number in range(40)]
    shifted = dict(zip(names, [*names[1:], "last"], strict=True))
    bench.applied(as_named(*names))
    assert bench.apply(mailboxes(shifted)).is_success
    assert addresses(bench) == shifted
    assert [key.name for key in bench.target.writes] == names[::-1]


@pytest.mark.usefixtures("one_a_request")
def test_a_name_of_what_is_deleted_is_free(bench: Bench) -> None:
    bench.applied(as_named("anna", "bert"))
    report = applied_deleting(bench, mailboxes({"annie": "anna", "bert": "bert"}), Key("Mailbox", "anna"))
    assert report.is_success
    assert addresses(bench) == {"annie": "anna", "bert": "bert"}


@pytest.mark.usefixtures("one_a_request")
def test_a_domain_passes_to_another_resource(bench: Bench) -> None:
    old, new = Key("AcceptedDomain", "one"), Key("AcceptedDomain", "contoso")
    spec = parse_spec("AcceptedDomain", {"domainName": "contoso.example"})
    base = estate()
    bench.applied(replace(base, resources={**base.resources, old: resource(old, spec)}))
    wanted = replace(base, resources={**base.resources, new: resource(new, spec)})
    assert applied_deleting(bench, wanted, old).is_success
    assert isinstance(bench.target.read(new), Present)


@pytest.mark.usefixtures("one_a_request")
def test_a_renamed_mailbox_gives_its_name_to_another(bench: Bench) -> None:
    bench.applied(as_named("anna", "abel"))
    wanted = mailboxes({"annie": "anna", "abel": "abel"})
    renamed = replace(wanted.resources[Key("Mailbox", "annie")], lifecycle=Lifecycle(renamed_from="anna"))
    alias = {"database": "db01", "primarySmtpAddress": "abel@contoso.example", "alias": "anna"}
    abel = replace(wanted.resources[Key("Mailbox", "abel")], spec=parse_spec("Mailbox", alias))
    changed = {**wanted.resources, renamed.key: renamed, abel.key: abel}
    assert bench.apply(replace(wanted, resources=changed)).is_success
    assert addresses(bench) == {"annie": "anna", "abel": "abel"}


@pytest.mark.usefixtures("one_a_request")
@pytest.mark.parametrize("wanted", [ROUND, {"anna": "bert", "bert": "carl", "carl": "new"}])
def test_what_failed_is_taken_back(bench: Bench, wanted: dict[str, str]) -> None:
    bench.applied(as_named(*wanted))
    before = addresses(bench)
    bench.probes.failing.append("ex01/imap4")
    report = bench.apply(mailboxes(wanted, imap=17))
    assert {outcomes(report)[f"Mailbox/{name}"] for name in wanted} == {"rolled back"}
    assert addresses(bench) == before


@pytest.mark.usefixtures("one_a_request")
def test_what_was_killed_is_taken_back(bench: Bench) -> None:
    bench.applied(as_named(*ROUND, "dora"))
    before = addresses(bench)
    bench.target.before["Mailbox/dora"] = [KeyboardInterrupt()]
    with pytest.raises(ApplyLeftError):
        bench.apply(mailboxes({**ROUND, "dora": "other"}))
    assert addresses(bench) == {**ROUND, "dora": "dora"}
    (report,) = bench.recover()
    assert outcomes(report)["Mailbox/anna"] == "rolled back"
    assert addresses(bench) == before


def test_a_name_that_somebody_took_meanwhile_is_refused(bench: Bench) -> None:
    bench.applied(as_named("anna", "bert"))
    desired = mailboxes({"anna": "new", "bert": "bert"})
    plan, live = bench.plan(desired), bench.target.observe()
    bert = parse_spec("Mailbox", {"database": "db01", "primarySmtpAddress": "new@contoso.example"})
    bench.set_by_hand(Key("Mailbox", "bert"), bert)
    report = bench.applier.apply(plan, desired=desired, live=live)
    text = "Mailbox/anna primarySmtpAddress: new@contoso.example belongs to Mailbox/bert already"
    assert text in (report.error or "")
    assert addresses(bench) == {"anna": "anna", "bert": "new"}
    assert failed_configuration(bench.applier.state.history, desired.digest) is None


class LateTarget(FaultyTarget):
    """From now on the first request is unheard; it lands when it is repeated, and then something `happens` first."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: Callable[[], None] | None = None
        self.unheard: tuple[Sequence[Write], Attribution] | None = None

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        if self.happens is not None and self.unheard is None:
            self.unheard = writes, by
            raise lost()
        if self.happens is not None and self.unheard is not None:
            late, by_then = self.unheard
            happens, self.happens = self.happens, None
            super().write_many(late, by=by_then)
            happens()
        return super().write_many(writes, by=by)


def test_what_landed_late_and_was_undone_since_does_not_count(tmp_path: Path) -> None:
    """Although what the repetition meets next is this apply's."""
    target, anna, aaron = LateTarget(), Key("Mailbox", "anna"), Key("Mailbox", "aaron")
    bench = Bench(tmp_path, target).applied(as_named("aaron", "bert"))

    def aaron_gets_the_address() -> None:
        made = target.read(anna)
        assert isinstance(made, Present)
        target.delete(anna, expect=made.revision, by=Attribution("bob"))
        bench.set_by_hand(aaron, mailboxes({"aaron": "anna"}).resources[aaron].spec)

    wanted, live = mailboxes({"anna": "anna", "bert": "new"}), target.observe()
    plan = bench.plan(wanted)
    target.happens = aaron_gets_the_address
    assert not bench.applier.apply(plan, desired=wanted, live=live).is_success
    assert addresses(bench) == {"aaron": "anna", "bert": "bert"}


@pytest.mark.parametrize(("changed", "other"), [("anna", "bert"), ("bert", "anna")])
def test_a_circle_that_somebody_broke_meanwhile_names_the_one_that_was_changed(
    bench: Bench, changed: str, other: str
) -> None:
    bench.applied(as_named("anna", "bert"))
    desired = mailboxes({"anna": "bert", "bert": "anna"})
    plan, live = bench.plan(desired), bench.target.observe()
    key = Key("Mailbox", changed)
    bench.set_by_hand(key, as_named("anna", "bert").resources[key].spec)
    report = bench.applier.apply(plan, desired=desired, live=live)
    assert outcomes(report)[f"Mailbox/{changed}"] == "failed"
    assert outcomes(report)[f"Mailbox/{other}"] == "not reached"


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.usefixtures("one_a_request")
def test_a_name_that_two_share_passes_once_both_have_given_it_up(bench: Bench, parallelism: int) -> None:
    bench.parallelism = parallelism
    bench.applied(as_named("aaron", "alice", "bob"))
    shared = mailboxes({"aaron": "aaron", "alice": "zz", "bob": "zz"})
    for name in ("alice", "bob"):
        bench.set_by_hand(Key("Mailbox", name), shared.resources[Key("Mailbox", name)].spec)
    wanted = {"aaron": "zz", "alice": "alice", "bob": "bob"}
    bench.probes.failing.append("ex01/imap4")
    assert not bench.apply(mailboxes(wanted, imap=17)).is_success
    assert addresses(bench) == {"aaron": "aaron", "alice": "zz", "bob": "zz"}
    assert bench.apply(mailboxes(wanted)).is_success
    assert addresses(bench) == wanted


@pytest.mark.parametrize(("limit", "most"), [("MOST_WRITES", 2), ("MOST_BYTES", 4000)])
def test_a_circle_that_no_request_can_hold_is_refused_before_the_first_write(
    bench: Bench, limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.applied(as_named(*ROUND))
    monkeypatch.setattr(requests, limit, most)
    with pytest.raises(TargetError, match=r"names pass in a circle between 3 resources, Mailbox/"):
        bench.apply(mailboxes(ROUND, imap=17))
    assert bench.target.writes == []
    assert unfinished(bench.applier.state.journals) == ()
    assert bench.apply(mailboxes({**ROUND, "carl": "new"}, imap=17)).is_success


@given(st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8)), max_size=9))
def test_everything_comes_after_what_it_needs_or_together_with_it(edges: dict[int, set[int]]) -> None:
    needs: Needs = {**{one: set() for found in edges.values() for one in found}, **edges}
    order = list(circles(needs))
    place = {at: number for number, circle in enumerate(order) for at in circle}
    assert sorted(at for circle in order for at in circle) == sorted(needs)
    for at, before in needs.items():
        for one in before:
            assert place[one] <= place[at]
            assert (place[one] == place[at]) == _reaches(needs, one, at)


def _reaches(needs: Needs, start: int, end: int) -> bool:
    seen, left = set(), [start]
    while left:
        if (at := left.pop()) not in seen:
            seen.add(at)
            left += needs[at]
    return end in seen
