"""Where services listen, as declared."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.services.base import Listener
from runtime.services.listeners import ListenerSettings, listeners
from runtime.services.registry import MODULES
from schemas.v1.codec import parse_spec
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.services import SERVICES


def connector(**spec: Any) -> ReceiveConnector:
    found = parse_spec("ReceiveConnector", spec)
    assert isinstance(found, ReceiveConnector)
    return found


def settings(**connectors: ReceiveConnector) -> ListenerSettings:
    imap = parse_spec(
        "ImapSettings",
        {"unencryptedOrTLSBindings": ["127.0.0.1:143", "[::1]:143"], "sslBindings": ["127.0.0.1:993"]},
    )
    assert isinstance(imap, ImapSettings)
    return ListenerSettings(imap, PopSettings(), connectors, internal_port=2525)


def test_client_bindings_are_starttls_or_implicit() -> None:
    assert listeners("imap4", settings()) == (
        Listener("imap4", "127.0.0.1", 143, "starttls"),
        Listener("imap4", "::1", 143, "starttls"),
        Listener("imap4", "127.0.0.1", 993, "implicit"),
    )


def test_a_back_end_listens_on_loopback_only() -> None:
    port = ImapSettings().proxy_target_port
    assert listeners("imap4-backend", settings()) == (
        Listener("imap4-backend", "127.0.0.1", port, "none", purpose="backend"),
    )


def test_connectors_listen_in_the_service_of_their_role() -> None:
    front = connector(transportRole="FrontendTransport", bindings=["127.0.0.1:25"], authMechanism=["Tls"])
    hub = connector(transportRole="HubTransport", bindings=["127.0.0.1:2526"], authMechanism=["None"])
    both = settings(front=front, hub=hub)
    assert listeners("frontend-transport", both) == (
        Listener("frontend-transport", "127.0.0.1", 25, "starttls"),
    )
    assert listeners("transport", both) == (
        Listener("transport", "127.0.0.1", 2525, "none", purpose="internal"),
        Listener("transport", "127.0.0.1", 2526, "none"),
    )


def test_a_disabled_connector_does_not_listen() -> None:
    front = connector(transportRole="FrontendTransport", bindings=["127.0.0.1:25"], enabled=False)
    assert listeners("frontend-transport", settings(front=front)) == ()


def test_an_address_is_listened_on_once() -> None:
    one, two = (connector(transportRole="FrontendTransport", bindings=["127.0.0.1:25"]) for _ in range(2))
    assert len(listeners("frontend-transport", settings(one=one, two=two))) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_listeners_and_a_module(service: str) -> None:
    assert isinstance(listeners(service, settings()), tuple)
    assert service in MODULES
