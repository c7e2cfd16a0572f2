"""Listening sockets: bound once, owned by one service, closed only when nobody wants them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from runtime.supervisor.sockets import BindError, ListeningSockets
from schemas.v1.addresses import Binding
from tests.support.ports import free_port


@pytest.fixture
def sockets() -> Iterator[ListeningSockets]:
    found = ListeningSockets()
    yield found
    found.close()


def loopback() -> Binding:
    return Binding("127.0.0.1", free_port())


def is_open(address: Binding) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address.host, address.port)) == 0


def test_a_claimed_address_listens(sockets: ListeningSockets) -> None:
    address = loopback()
    assert set(sockets.claim("ex01/imap4", [address])) == {address}
    assert is_open(address)


def test_claiming_again_gives_the_same_socket(sockets: ListeningSockets) -> None:
    address = loopback()
    first = sockets.claim("ex01/imap4", [address])
    assert sockets.claim("ex01/imap4", [address])[address] is first[address]


def test_settle_closes_what_is_no_longer_wanted(sockets: ListeningSockets) -> None:
    old, new = loopback(), loopback()
    sockets.claim("ex01/imap4", [old, new])
    sockets.settle("ex01/imap4", [new])
    assert (is_open(old), is_open(new)) == (False, True)
    assert sockets.held("ex01/imap4") == {new}


def test_settle_leaves_other_services_alone(sockets: ListeningSockets) -> None:
    address = loopback()
    sockets.claim("ex01/imap4", [address])
    sockets.settle("ex01/pop3", [])
    assert is_open(address)


def test_a_claim_that_fails_binds_nothing(sockets: ListeningSockets) -> None:
    free = loopback()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Binding("127.0.0.1", other.getsockname()[1])
        with pytest.raises(
            BindError, match=f"{taken} cannot be bound for ex01/imap4: Address already in use"
        ):
            sockets.claim("ex01/imap4", [free, taken])
    assert not is_open(free)


def test_a_claim_that_fails_keeps_what_was_held(sockets: ListeningSockets) -> None:
    held = loopback()
    sockets.claim("ex01/imap4", [held])
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(BindError):
        sockets.claim("ex01/imap4", [held, Binding("127.0.0.1", other.getsockname()[1])])
    assert is_open(held)


def test_an_address_of_another_service_is_refused_by_name(sockets: ListeningSockets) -> None:
    address = loopback()
    sockets.claim("ex01/imap4", [address])
    with pytest.raises(BindError, match="for ex01/pop3: ex01/imap4 listens there"):
        sockets.claim("ex01/pop3", [address])


def test_an_address_of_no_interface_is_refused(sockets: ListeningSockets) -> None:
    with pytest.raises(BindError, match="no interface of this machine has that address"):
        sockets.claim("ex01/imap4", [Binding("192.0.2.1", free_port())])


def test_ipv4_and_ipv6_wildcards_share_a_port(sockets: ListeningSockets) -> None:
    port = free_port()
    claimed = sockets.claim("ex01/imap4", [Binding("0.0.0.0", port), Binding("::", port)])
    assert Binding("0.0.0.0", port) in claimed


def test_the_internal_port_refuses_until_it_is_claimed(sockets: ListeningSockets) -> None:
    address = sockets.internal("ex01")
    assert not is_open(address)
    sockets.claim("ex01/transport", [address])
    assert is_open(address)
    assert sockets.internal("ex01") == address


def test_a_stopped_transport_gets_another_internal_port(sockets: ListeningSockets) -> None:
    address = sockets.internal("ex01")
    sockets.claim("ex01/transport", [address])
    sockets.settle("ex01/transport", [])
    assert not is_open(address)
    assert sockets.claim("ex01/transport", [sockets.internal("ex01")])
