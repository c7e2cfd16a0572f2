"""Who may send what to whom: permission groups, accepted domains, ownership of addresses."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.directory.directory import Directory
from runtime.protocols.smtp.events import Mail
from runtime.services.smtp_policy import Client, complete_address, judge_recipient, judge_sender
from runtime.services.smtp_rights import rights_before_logon, rights_of_users
from schemas.v1.receive_connector import ReceiveConnector
from tests.runtime.directories import directory, estate
from tests.runtime.services.smtp_estate import accepted, make_connector


def view() -> Directory:
    resources = accepted(estate())
    resources.mailbox("dave", email_addresses=("smtp:sales@contoso.example",))
    return directory(resources)


def connector(**fields: Any) -> ReceiveConnector:
    return make_connector(25, {"usage": "Internet", **fields})


def anonymous(settings: ReceiveConnector, *, is_tls: bool = False) -> Client:
    return Client(None, rights_before_logon(settings), is_tls)


def user(settings: ReceiveConnector, name: str = "alice") -> Client:
    return Client(view().mailbox(name), rights_of_users(settings), is_tls=True)


def sender(address: str, client: Client, settings: ReceiveConnector, *, size: int | None = None) -> str:
    mail = Mail(address, size, is_eight_bit=False)
    reply = judge_sender(mail, client=client, settings=settings, directory=view())
    return reply.text if reply else "OK"


def recipient(address: str, client: Client, settings: ReceiveConnector, *, given: int = 0) -> str:
    reply = judge_recipient(address, given=given, client=client, settings=settings, directory=view())
    return reply.text if reply else "OK"


CLIENT = connector(usage="Client", remoteIPRanges=["0.0.0.0/0"])
OPEN = connector()
PARTNER = connector(usage="Partner", remoteIPRanges=["0.0.0.0/0"])


@pytest.mark.parametrize("address", ["", "carol@fabrikam.example", "alice@contoso.example"])
def test_anonymous_users_may_send_as_anybody(address: str) -> None:
    assert sender(address, anonymous(OPEN), OPEN) == "OK"


def test_without_the_right_to_submit() -> None:
    assert (
        sender("carol@fabrikam.example", anonymous(CLIENT), CLIENT)
        == "530 5.7.1 Client was not authenticated"
    )


def test_an_authoritative_sender_needs_a_right() -> None:
    client = Client(
        None,
        rights_before_logon(OPEN) - {r for r in rights_before_logon(OPEN) if "Authoritative" in r.value},
        False,
    )
    expected = "550 5.7.1 Anonymous client does not have permissions to send as this sender"
    assert sender("alice@contoso.example", client, OPEN) == expected
    assert sender("carol@fabrikam.example", client, OPEN) == "OK"


@pytest.mark.parametrize("address", ["", "alice@contoso.example", "ALICE@Contoso.Example"])
def test_a_user_may_send_as_himself(address: str) -> None:
    assert sender(address, user(CLIENT), CLIENT) == "OK"


def test_a_user_may_send_as_his_secondary_address() -> None:
    assert sender("sales@contoso.example", user(CLIENT, "dave"), CLIENT) == "OK"


@pytest.mark.parametrize(
    "address", ["bob@contoso.example", "nobody@contoso.example", "alice@fabrikam.example"]
)
def test_a_user_may_not_send_as_others(address: str) -> None:
    expected = "550 5.7.1 Client does not have permissions to send as this sender"
    assert sender(address, user(CLIENT), CLIENT) == expected


def test_require_tls() -> None:
    settings = connector(requireTLS=True)
    expected = "530 5.7.0 Must issue a STARTTLS command first"
    assert sender("carol@fabrikam.example", anonymous(settings), settings) == expected
    assert sender("carol@fabrikam.example", anonymous(settings, is_tls=True), settings) == "OK"


def test_an_announced_size_beyond_the_limit() -> None:
    settings = connector(maxMessageSize="64KB")
    assert sender("c@d.example", anonymous(settings), settings, size=65536) == "OK"
    expected = "552 5.3.4 Message size exceeds fixed maximum message size"
    assert sender("c@d.example", anonymous(settings), settings, size=65537) == expected


def test_externally_secured_hosts_are_exempt_from_the_size_limit() -> None:
    settings = connector(
        usage="Custom", authMechanism=["ExternalAuthoritative"], permissionGroups=["ExchangeServers"]
    )
    assert sender("alice@contoso.example", anonymous(settings), settings, size=2**40) == "OK"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("alice@contoso.example", "OK"),
        ("Alice@CONTOSO.example", "OK"),
        ("sales@contoso.example", "OK"),
        ("nobody@contoso.example", "550 5.1.1 User unknown"),
        ("carol@fabrikam.example", "550 5.7.1 Unable to relay"),
        ("alice@sub.contoso.example", "550 5.7.1 Unable to relay"),
        ("who@relay.example", "550 5.4.4 No Send connector leads to this domain"),
        ("postmaster", "550 5.7.1 Unable to relay"),
    ],
)
def test_anonymous_recipients(address: str, expected: str) -> None:
    assert recipient(address, anonymous(OPEN), OPEN) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("bob@contoso.example", "OK"),
        ("nobody@contoso.example", "550 5.1.1 User unknown"),
        ("carol@fabrikam.example", "550 5.4.4 No Send connector leads to this domain"),
    ],
)
def test_recipients_of_a_user(address: str, expected: str) -> None:
    assert recipient(address, user(CLIENT), CLIENT) == expected


def test_partners_have_no_right_to_relay() -> None:
    assert recipient("carol@fabrikam.example", anonymous(PARTNER), PARTNER) == "550 5.7.1 Unable to relay"


def test_25_recipients() -> None:
    settings = connector(maxRecipientsPerMessage=25)
    assert recipient("alice@contoso.example", anonymous(settings), settings, given=24) == "OK"
    expected = "452 4.5.3 Too many recipients"
    assert recipient("alice@contoso.example", anonymous(settings), settings, given=25) == expected


@pytest.mark.parametrize(
    ("field", "address", "expected"),
    [
        (
            "rejectReservedTopLevelRecipientDomains",
            "a@b.invalid",
            "550 5.1.4 Recipient address reserved by RFC 2606",
        ),
        (
            "rejectReservedSecondLevelRecipientDomains",
            "a@example.com",
            "550 5.1.5 Recipient address reserved by RFC 2606",
        ),
        (
            "rejectSingleLabelRecipientDomains",
            "a@localhost",
            "550 5.1.6 Recipient addresses in single label domains not accepted",
        ),
    ],
)
def test_reserved_recipient_domains(field: str, address: str, expected: str) -> None:
    settings = connector(**{field: True})
    assert recipient(address, anonymous(settings), settings) == expected


def test_postmaster_gets_the_default_domain() -> None:
    assert (
        complete_address("postmaster", connector(defaultDomain="contoso.example"))
        == "postmaster@contoso.example"
    )
    assert complete_address("postmaster", connector()) == "postmaster"
