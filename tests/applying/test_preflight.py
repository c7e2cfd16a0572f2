from __future__ import annotations

import socket

from reconciler.applying.preflight import preflight, why_not_bindable
from reconciler.targets.memory import MemoryTarget
from schemas.v1.addresses import Binding
from tests.planning.builders import desired, resource
from tests.support.ports import free_port


def _settings(port: int) -> dict[str, object]:
    free = free_port()
    return {
        "unencryptedOrTLSBindings": [f"127.0.0.1:{port}"],
        "sslBindings": [],
        "proxyTargetPort": free,
    }


def _codes(*resources: object) -> list[str]:
    return [found.code for found in preflight(desired(*resources), MemoryTarget())]  # type: ignore[arg-type]


CERTIFICATE = resource("Certificate", "ex01/mail", {"selfSigned": {}, "services": ["IMAP"]})


def test_a_port_that_something_else_holds_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        imap = resource("ImapSettings", "ex01", _settings(port), lines={"unencryptedOrTLSBindings": 9})
        (found,) = preflight(desired(imap, CERTIFICATE), MemoryTarget())
    assert f"127.0.0.1:{port} cannot be listened on: something else listens there" in found.message


def test_a_free_port_is_fine() -> None:
    assert why_not_bindable(Binding("127.0.0.1", free_port())) is None


def test_an_address_of_another_machine_is_told() -> None:
    assert why_not_bindable(Binding("192.0.2.1", free_port())) is not None


def test_a_protocol_without_a_certificate_is_told() -> None:
    assert _codes(resource("ImapSettings", "ex01", _settings(free_port()))) == ["no-certificate"]
    assert _codes(resource("ImapSettings", "ex01", _settings(free_port())), CERTIFICATE) == []


def test_a_mailbox_in_a_domain_that_nobody_accepts_is_told() -> None:
    mailbox = resource(
        "Mailbox", "alice", {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
    )
    domain = resource("AcceptedDomain", "c", {"domainName": "contoso.example", "domainType": "Authoritative"})
    assert _codes(mailbox) == ["unknown-domain"]
    assert _codes(mailbox, domain) == []
