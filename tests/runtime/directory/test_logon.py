"""Credentials: the hash, the cache in front of it, and what an attacker can learn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from runtime.directory import logon
from runtime.directory.directory import Directory, HealthMailbox, MailboxEntry
from runtime.directory.logon import Authenticator, BusyError, hasher, verify_hash
from schemas.v1.server import PasswordHashing
from tests.runtime.aio import run
from tests.runtime.directories import CHEAP, SERVER, Resources, cheap_hash, directory, estate

CLIENT = "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _verify(authenticator: Authenticator, name: str, password: bytes) -> MailboxEntry | None:
    return run(authenticator.verify(name, password, address=CLIENT))


def _authenticator(found: Directory | None = None, clock: Clock | None = None) -> Authenticator:
    return Authenticator(found or directory(), clock=clock or Clock())


def test_the_right_password() -> None:
    entry = _verify(_authenticator(), "alice", b"secret")
    assert entry is not None
    assert entry.name == "alice"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", b"wrong"),
        ("alice", b""),
        ("alice", b"x" * 100_000),
        ("nobody", b"secret"),
        ("nobody", b""),
        ("alice\0", b"secret"),
    ],
)
def test_refused(name: str, password: bytes) -> None:
    assert _verify(_authenticator(), name, password) is None


def test_a_mailbox_without_a_password_opens_for_nobody() -> None:
    found = directory(estate().mailbox("carol", password=None))
    assert _verify(_authenticator(found), "carol", b"") is None


@pytest.mark.parametrize(("name", "password"), [("nobody", b"secret"), ("alice", b"wrong"), ("alice", b"")])
def test_every_refusal_costs_one_hash_with_the_declared_parameters(
    name: str, password: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []

    def counting(stored: str, given: bytes) -> bool:
        hashes.append(stored.split("$")[3])
        return verify_hash(stored, given)

    monkeypatch.setattr(logon, "verify_hash", counting)
    _verify(_authenticator(), name, password)
    assert hashes == ["m=8,t=1,p=1"]


def test_nothing_is_cached_before_a_logon() -> None:
    assert _authenticator().verify_cached("alice", b"secret") is None


def test_a_verified_password_is_remembered_under_every_name() -> None:
    authenticator = _authenticator()
    _verify(authenticator, "alice", b"secret")
    assert authenticator.verify_cached("alice@contoso.example", b"secret") is not None
    assert authenticator.verify_cached("alice", b"wrong") is None
    assert authenticator.verify_cached("bob", b"secret") is None


def test_a_remembered_password_expires() -> None:
    clock = Clock()
    authenticator = _authenticator(clock=clock)
    _verify(authenticator, "alice", b"secret")
    clock.now += 300
    assert authenticator.verify_cached("alice", b"secret") is None


def test_a_changed_password_is_not_remembered() -> None:
    resources = estate()
    found = directory(resources)
    authenticator = _authenticator(found)
    _verify(authenticator, "alice", b"secret")
    resources.mailbox("alice", password="other")
    found.refresh()
    assert authenticator.verify_cached("alice", b"secret") is None
    assert _verify(authenticator, "alice", b"other") is not None


def test_a_removed_mailbox_is_not_remembered() -> None:
    resources = estate()
    found = directory(resources)
    authenticator = _authenticator(found)
    _verify(authenticator, "alice", b"secret")
    resources.remove("Mailbox", "alice")
    found.refresh()
    assert authenticator.verify_cached("alice", b"secret") is None


def _with_server(**fields: object) -> Resources:
    return estate().put("Server", "ex01", SERVER.model_copy(update=fields))


def test_the_cache_can_be_switched_off() -> None:
    authenticator = _authenticator(directory(_with_server(credential_cache_time_to_live=timedelta(0))))
    _verify(authenticator, "alice", b"secret")
    assert authenticator.verify_cached("alice", b"secret") is None


def test_the_oldest_entry_makes_room() -> None:
    authenticator = _authenticator(directory(_with_server(credential_cache_size=1)))
    _verify(authenticator, "alice", b"secret")
    _verify(authenticator, "bob", b"secret")
    assert authenticator.verify_cached("alice", b"secret") is None
    assert authenticator.verify_cached("bob", b"secret") is not None


def test_a_full_queue_refuses_at_once() -> None:
    async def scenario() -> int:
        authenticator = Authenticator(directory(), workers=1, queue_limit=3)
        tasks = [authenticator.verify("alice", b"secret", address=f"192.0.2.{host}") for host in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        authenticator.close()
        return sum(isinstance(result, BusyError) for result in results)

    assert run(scenario()) == 3


class Waits:
    """Instead of sleeping: how long each attempt would have waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_guessing_becomes_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch)
    authenticator = _authenticator()
    for number in range(10):
        assert _verify(authenticator, "alice", b"guess %d" % number) is None
    assert waits.seconds == [2, 4, 8, 15, 15, 15]


def test_a_guess_that_is_right_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch)
    authenticator = _authenticator()
    for number in range(4):
        _verify(authenticator, "alice", b"guess %d" % number)
    assert _verify(authenticator, "alice", b"secret") is not None
    assert waits.seconds == [2]


def test_the_same_wrong_password_again_and_again_is_no_guessing(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch)
    authenticator = _authenticator()
    for _ in range(10):
        _verify(authenticator, "alice", b"old")
    assert waits.seconds == []


def test_the_health_mailbox_is_never_made_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch)
    health = HealthMailbox("health", "health@contoso.example", "ex01", cheap_hash("random"))
    authenticator = _authenticator(directory(health=health))
    for number in range(8):
        run(authenticator.verify("alice", b"guess %d" % number, address="127.0.0.1"))
    waits.seconds.clear()
    assert run(authenticator.verify("health@contoso.example", b"random", address="127.0.0.1")) is not None
    assert waits.seconds == []


def test_the_health_mailbox_has_a_place_in_a_full_queue() -> None:
    health = HealthMailbox("health", "health@contoso.example", "ex01", cheap_hash("random"))

    async def scenario() -> list[object]:
        authenticator = Authenticator(directory(health=health), workers=1, queue_limit=4)
        others = [authenticator.verify("alice", b"x", address=f"192.0.2.{host}") for host in range(5)]
        probe = authenticator.verify("health", b"random", address="::1")
        results = await asyncio.gather(*others, probe, return_exceptions=True)
        authenticator.close()
        return list(results)

    *others, probe = run(scenario())
    assert sum(isinstance(result, BusyError) for result in others) == 2
    assert isinstance(probe, MailboxEntry)


def test_one_address_cannot_fill_the_queue() -> None:
    async def scenario() -> tuple[int, object]:
        authenticator = Authenticator(directory(), workers=1, queue_limit=8)
        flood = [authenticator.verify("alice", b"secret", address=CLIENT) for _ in range(20)]
        results = await asyncio.gather(
            *flood, authenticator.verify("bob", b"secret", address="192.0.2.8"), return_exceptions=True
        )
        authenticator.close()
        return sum(isinstance(result, BusyError) for result in results), results[-1]

    busy, other = run(scenario())
    assert busy == 16
    assert isinstance(other, MailboxEntry)


def test_a_cancelled_logon_gives_its_place_back_and_counts() -> None:
    async def scenario() -> tuple[int, float]:
        authenticator = Authenticator(directory(), workers=1)
        for number in range(4):
            attempt = asyncio.ensure_future(
                authenticator.verify("alice", b"guess %d" % number, address=CLIENT)
            )
            await asyncio.sleep(0)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        authenticator.close()
        return authenticator._waiting, authenticator._penalty.delay("192.0.2.7/32")

    assert run(scenario()) == (0, 2.0)


def _cost(authenticator: Authenticator, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a failed logon hashed with."""
    costs: list[str] = []

    def noting(stored: str, given: bytes) -> bool:
        costs.append(stored.split("$")[3])
        return verify_hash(stored, given)

    monkeypatch.setattr(logon, "verify_hash", noting)
    assert _verify(authenticator, name, b"") is None
    return costs[0]


def _mixed() -> Resources:
    """alice has an older, cheaper hash than the server declares now, bob a dearer one."""
    resources = estate().put("Server", "ex01", SERVER.model_copy(update={"password_hashing": DECLARED}))
    bob = resources.mailbox("bob").changes_since(0).present[-1]
    dear = hasher(DEAR).hash("secret")
    return resources.put("Mailbox", "bob", bob.spec, {"password": dear})


DECLARED = PasswordHashing(memory_cost=16, time_cost=2, parallelism=1)
DEAR = PasswordHashing(memory_cost=8, time_cost=3, parallelism=1)


def test_an_unknown_name_costs_what_some_stored_hash_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(directory(_mixed()), key=b"k" * 32)
    Waits(monkeypatch)
    names = [f"nobody{number}" for number in range(30)]
    first = [_cost(authenticator, name, monkeypatch) for name in names]
    assert set(first) == {"m=8,t=1,p=1", "m=8,t=3,p=1"}
    again = Authenticator(directory(_mixed()), key=b"k" * 32)
    assert [_cost(again, name, monkeypatch) for name in names] == first


@pytest.mark.parametrize("name", ["bob", "bob@contoso.example", "elsewhere\\bob"])
def test_a_known_name_costs_its_own_hash_without_a_password_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _cost(_authenticator(directory(_mixed())), name, monkeypatch) == "m=8,t=3,p=1"


def test_hashes_follow_the_declared_parameters() -> None:
    stored = hasher(CHEAP).hash("secret")
    assert "$m=8,t=1,p=1$" in stored
    assert verify_hash(stored, b"secret")


def test_an_unreadable_hash_matches_nothing() -> None:
    assert not verify_hash("plain", b"plain")
