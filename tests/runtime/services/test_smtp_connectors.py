"""Which connector serves a client, and what it offers."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.services.base import Listener
from runtime.services.smtp_connectors import ConnectorView, build_views, choose_connector, per_source_limit
from schemas.v1.receive_connector import TransportRole
from tests.runtime.services.smtp_estate import make_connector, make_snapshot

LISTENER = Listener("frontend-transport", "127.0.0.1", 25, "starttls")


def views(*, has_certificate: bool = True, **connectors: Any) -> tuple[ConnectorView, ...]:
    specs = {
        name: make_connector(25, {"transportRole": "FrontendTransport", **one})
        for name, one in connectors.items()
    }
    snapshot = make_snapshot(specs, {}, has_certificate=has_certificate)
    return build_views(snapshot, TransportRole.FRONTEND_TRANSPORT)


def chosen(address: str, found: tuple[ConnectorView, ...], listener: Listener = LISTENER) -> str | None:
    view = choose_connector(found, listener, address)
    return view.name if view else None


NESTED: dict[str, Any] = {
    "everybody": {"usage": "Internet"},
    "office": {"usage": "Custom", "remoteIPRanges": ["192.168.1.0-192.168.1.255", "2001:db8::/64"]},
    "printer": {"usage": "Custom", "remoteIPRanges": ["192.168.1.75"]},
}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.168.1.75", "printer"),
        ("192.168.1.76", "office"),
        ("2001:db8::7", "office"),
        ("10.0.0.1", "everybody"),
        ("fe80::1%eth0", "everybody"),
    ],
)
def test_the_most_specific_range_wins(address: str, name: str) -> None:
    assert chosen(address, views(**NESTED)) == name


def test_no_range_no_connector() -> None:
    assert chosen("10.0.0.1", views(office=NESTED["office"])) is None


def test_another_listener_is_another_matter() -> None:
    other = Listener("frontend-transport", "127.0.0.1", 587, "starttls")
    assert chosen("10.0.0.1", views(**NESTED), other) is None


def test_disabled_connectors_and_those_of_the_other_role_do_not_serve() -> None:
    off = {"usage": "Internet", "enabled": False}
    hub = {"usage": "Internet", "transportRole": "HubTransport"}
    assert views(off=off, hub=hub) == ()


BASIC = {"usage": "Custom", "authMechanism": ["BasicAuth"]}
BASIC_TLS = {"usage": "Custom", "authMechanism": ["Tls", "BasicAuth", "BasicAuthRequireTLS"]}


@pytest.mark.parametrize(
    ("fields", "is_tls", "mechanisms"),
    [
        (BASIC, False, ("LOGIN", "PLAIN")),
        (BASIC_TLS, False, ()),
        (BASIC_TLS, True, ("LOGIN", "PLAIN")),
        ({"usage": "Internet"}, True, ()),
    ],
)
def test_when_a_password_may_be_given(
    fields: dict[str, Any], is_tls: bool, mechanisms: tuple[str, ...]
) -> None:
    (view,) = views(one=fields)
    assert view.offer(is_tls=is_tls, is_logged_on=False).mechanisms == mechanisms


@pytest.mark.parametrize(
    ("fields", "has_certificate", "is_offered"),
    [({"usage": "Internet"}, True, True), ({"usage": "Internet"}, False, False), (BASIC, True, False)],
)
def test_starttls_needs_tls_and_a_certificate(
    fields: dict[str, Any], has_certificate: bool, is_offered: bool
) -> None:
    (view,) = views(one=fields, has_certificate=has_certificate)
    assert view.offer(is_tls=False, is_logged_on=False).has_starttls is is_offered


@pytest.mark.parametrize(
    ("fields", "open_now", "limit"),
    [
        ({"maxInboundConnectionPerSource": 25}, 0, 25),
        ({"maxInboundConnectionPerSource": "Unlimited"}, 0, 100),
        ({"maxInboundConnectionPerSource": "Unlimited", "maxInboundConnection": 25}, 0, 1),
        ({"maxInboundConnectionPerSource": "Unlimited"}, 4000, 20),
    ],
)
def test_connections_of_one_source(fields: dict[str, Any], open_now: int, limit: int) -> None:
    (view,) = views(one={"usage": "Internet", **fields})
    assert per_source_limit(view.settings, open_now) == limit
