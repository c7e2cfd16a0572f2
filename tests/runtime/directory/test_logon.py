"""Credentials: the hash, the cache in front of it, and what an attacker can learn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from runtime.directory import logon
from runtime.directory.directory import Directory, MailboxEntry
from runtime.directory.logon import Authenticator, BusyError, hasher, verify_hash
from tests.runtime.aio import run
from tests.runtime.directories import CHEAP, SERVER, Resources, directory, estate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _verify(authenticator: Authenticator, name: str, password: bytes) -> MailboxEntry | None:
    return run(authenticator.verify(name, password))


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
        authenticator = Authenticator(directory(), workers=1, queue_limit=2)
        tasks = [authenticator.verify("alice", b"secret") for _ in range(5)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        authenticator.close()
        return sum(isinstance(result, BusyError) for result in results)

    assert run(scenario()) == 3


def test_hashes_follow_the_declared_parameters() -> None:
    stored = hasher(CHEAP).hash("secret")
    assert "$m=8,t=1,p=1$" in stored
    assert verify_hash(stored, b"secret")


def test_an_unreadable_hash_matches_nothing() -> None:
    assert not verify_hash("plain", b"plain")
