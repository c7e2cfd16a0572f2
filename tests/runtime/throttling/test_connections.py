"""Counting connections."""

from __future__ import annotations

from runtime.throttling.connections import ConnectionCounters, ConnectionTicket, Refused


def _open(counters: ConnectionCounters, ip: str = "192.0.2.1", total: int = 9, per_ip: int = 9) -> object:
    return counters.try_open("imap4", ip, total=total, per_ip=per_ip)


def _ticket(counters: ConnectionCounters) -> ConnectionTicket:
    ticket = _open(counters)
    assert isinstance(ticket, ConnectionTicket)
    return ticket


def test_total_limit() -> None:
    counters = ConnectionCounters()
    assert isinstance(_open(counters, total=1), ConnectionTicket)
    assert _open(counters, total=1) is Refused.MAX_CONNECTIONS


def test_limit_of_one_address() -> None:
    counters = ConnectionCounters()
    _open(counters, per_ip=1)
    assert _open(counters, per_ip=1) is Refused.MAX_CONNECTION_FROM_SINGLE_IP
    assert isinstance(_open(counters, "192.0.2.2", per_ip=1), ConnectionTicket)


def test_unlimited() -> None:
    counters = ConnectionCounters()
    ticket = counters.try_open("imap4", "192.0.2.1", total="Unlimited", per_ip="Unlimited")
    assert isinstance(ticket, ConnectionTicket)


def test_a_closed_ticket_makes_room_once() -> None:
    counters = ConnectionCounters()
    ticket = _ticket(counters)
    _ticket(counters)
    ticket.close()
    ticket.close()
    assert counters.totals["imap4"] == 1


def test_user_limit_is_of_one_scope() -> None:
    counters = ConnectionCounters()
    assert _ticket(counters).try_user("alice", 1)
    assert not _ticket(counters).try_user("alice", 1)
    pop = counters.try_open("pop3", "192.0.2.1", total=9, per_ip=9)
    assert isinstance(pop, ConnectionTicket)
    assert pop.try_user("alice", 1)


def test_a_failed_logon_gives_the_user_back() -> None:
    counters = ConnectionCounters()
    ticket = _ticket(counters)
    ticket.try_user("alice", 1)
    ticket.forget_user()
    assert _ticket(counters).try_user("alice", 1)


def test_nothing_is_kept_of_connections_that_are_gone() -> None:
    counters = ConnectionCounters()
    ticket = _ticket(counters)
    ticket.try_user("alice", 1)
    ticket.close()
    assert not counters.totals
    assert not counters.addresses
    assert not counters.users
