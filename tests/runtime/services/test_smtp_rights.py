"""Rights granted beside the permission groups, as clients meet them on real sockets.

fabrikam.example is no accepted domain. bob has an address in it, so that mail relayed to it has somewhere to go.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.aio import run
from tests.runtime.directories import Resources
from tests.runtime.directories import estate as resources
from tests.runtime.services.smtp_estate import ANONYMOUS, CLIENT, MESSAGE, Estate, Raw, estate, using

RELAY = "ms-Exch-SMTP-Accept-Any-Recipient"
AS_OURS = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
SUBMIT = "ms-Exch-SMTP-Submit"
ANY_SENDER = "ms-Exch-SMTP-Accept-Any-Sender"
ANY_SIZE = "ms-Exch-Bypass-Message-Size-Limit"
ROUTING = "ms-Exch-Accept-Headers-Routing"
FOREST = "ms-Exch-Accept-Headers-Forest"

OUTSIDE = b"MAIL FROM:<carol@fabrikam.example>"
OURS = b"MAIL FROM:<alice@contoso.example>"
RECIPIENT = b"RCPT TO:<alice@contoso.example>"
RELAYED = b"RCPT TO:<bob@fabrikam.example>"


def people() -> Resources:
    """The usual ones; bob has an address outside of the accepted domains."""
    return resources().mailbox("bob", email_addresses=("smtp:bob@fabrikam.example",))


def meeting(path: Path, test: Callable[[Raw], None], **fields: Any) -> None:
    """Run `test` on a connection to an anonymous connector with these fields."""

    def connected(running: Estate) -> None:
        with running.raw() as client:
            test(client.hello())

    async def story() -> None:
        async with estate(path, {"anonymous": {**ANONYMOUS, **fields}}, found=people()) as running:
            await using(lambda: connected(running))

    run(story())


def granted(*rights: str) -> dict[str, Any]:
    """The field with these rights for clients that have not logged on."""
    return {"extendedRights": {"anonymousLogon": list(rights)}}


def alone(*rights: str) -> dict[str, Any]:
    """These rights, and no permission group."""
    return {"usage": "Custom", "permissionGroups": ["None"], **granted(*rights)}


def answers(path: Path, *lines: bytes, **fields: Any) -> bytes:
    """The answer to the last of the lines."""
    found: list[bytes] = []
    meeting(path, lambda client: found.extend(client.replies(*lines)), **fields)
    return found[-1]


@pytest.mark.parametrize(
    ("fields", "recipient", "expected"),
    [
        ({}, RELAYED, b"550 5.7.1 Unable to relay\r\n"),
        (granted(AS_OURS), RELAYED, b"550 5.7.1 Unable to relay\r\n"),
        ({"extendedRights": {"authenticatedUsers": [RELAY]}}, RELAYED, b"550 5.7.1 Unable to relay\r\n"),
        (granted(RELAY), RELAYED, b"250 2.1.5 Recipient OK\r\n"),
        # The right lets it through; where it would go is another question.
        (
            granted(RELAY),
            b"RCPT TO:<carol@adatum.example>",
            b"550 5.4.4 No Send connector leads to this domain\r\n",
        ),
        (granted(RELAY), b"RCPT TO:<nobody@contoso.example>", b"550 5.1.1 User unknown\r\n"),
    ],
)
def test_whom_an_anonymous_client_may_send_to(
    tmp_path: Path, fields: dict[str, Any], recipient: bytes, expected: bytes
) -> None:
    assert answers(tmp_path, OUTSIDE, recipient, **fields) == expected


def test_the_right_holds_on_its_connector_alone(tmp_path: Path) -> None:
    connectors = {"relay": {**ANONYMOUS, **granted(RELAY)}, "anonymous": ANONYMOUS}

    def replies(running: Estate, connector: str) -> bytes:
        with running.raw(connector) as client:
            return client.hello().replies(OUTSIDE, RELAYED)[-1]

    async def story() -> None:
        async with estate(tmp_path, connectors, found=people()) as running:
            assert (await using(lambda: replies(running, "relay"))).startswith(b"250 ")
            assert (await using(lambda: replies(running, "anonymous"))).startswith(b"550 5.7.1 ")

    run(story())


def test_relayed_mail_arrives(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(
            tmp_path, {"anonymous": {**ANONYMOUS, **granted(RELAY)}}, found=people()
        ) as running:

            def send() -> None:
                with running.raw() as client:
                    reply = client.hello().submit(MESSAGE + b".\r\n", recipient=b"bob@fabrikam.example")
                    assert reply.startswith(b"250 2.6.0 ")

            await using(send)
            (content,) = await running.inbox("bob")
            assert content.endswith(b"\r\n\r\nbody\r\n")

    run(story())


_NOT_OURS = b"550 5.7.1 Anonymous client does not have permissions to send as this sender\r\n"


@pytest.mark.parametrize(
    ("rights", "sender", "expected"),
    [
        ((), OUTSIDE, b"530 5.7.1 Client was not authenticated\r\n"),
        ((SUBMIT,), OUTSIDE, _NOT_OURS),
        ((SUBMIT, ANY_SENDER), OUTSIDE, b"250 2.1.0 Sender OK\r\n"),
        ((SUBMIT, ANY_SENDER), OURS, _NOT_OURS),
        ((SUBMIT, AS_OURS), OURS, b"250 2.1.0 Sender OK\r\n"),
    ],
)
def test_whom_an_anonymous_client_may_send_as(
    tmp_path: Path, rights: tuple[str, ...], sender: bytes, expected: bytes
) -> None:
    assert answers(tmp_path, sender, **alone(*rights)) == expected


LARGE = b"Subject: x\r\n\r\n" + b"a" * 70_000 + b"\r\n.\r\n"


@pytest.mark.parametrize(("rights", "expected"), [((), b"552 5.3.4 "), ((ANY_SIZE,), b"250 2.6.0 ")])
def test_the_size_limit_and_who_is_exempt(tmp_path: Path, rights: tuple[str, ...], expected: bytes) -> None:
    def test(client: Raw) -> None:
        assert client.submit(LARGE).startswith(expected)

    meeting(tmp_path, test, maxMessageSize="64KB", **granted(*rights))


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        ({"anonymousLogon": [ANY_SIZE]}, b"552 5.3.4 "),
        ({"authenticatedUsers": [ANY_SIZE]}, b"250 2.6.0 "),
    ],
)
def test_a_logon_changes_who_is_exempt(tmp_path: Path, rights: dict[str, Any], expected: bytes) -> None:
    """The rights of a user are those of users, not what was held before the logon."""
    fields = {"authMechanism": ["Tls", "BasicAuth"], "maxMessageSize": "64KB", "extendedRights": rights}

    def test(running: Estate) -> None:
        with running.raw("client") as client:
            token = base64.b64encode(b"\0alice\0secret")
            assert client.hello().ask(b"AUTH PLAIN " + token).startswith(b"235 ")
            assert client.replies(OURS, RECIPIENT, b"DATA")[-1].startswith(b"354 ")
            client.send(LARGE)
            assert client.reply().startswith(expected)

    async def story() -> None:
        async with estate(tmp_path, {"client": {**CLIENT, **fields}}) as running:
            await using(lambda: test(running))

    run(story())


def test_a_user_with_a_right_to_send_as_ours(tmp_path: Path) -> None:
    fields = {"authMechanism": ["Tls", "BasicAuth"], "extendedRights": {"authenticatedUsers": [AS_OURS]}}

    def test(running: Estate) -> None:
        with running.raw("client") as client:
            client.hello().ask(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0secret"))
            assert client.ask(b"MAIL FROM:<bob@contoso.example>").startswith(b"250 ")
            assert client.ask(b"RSET").startswith(b"250 ")
            assert client.ask(OUTSIDE).startswith(b"550 5.7.1 ")

    async def story() -> None:
        async with estate(tmp_path, {"client": {**CLIENT, **fields}}) as running:
            await using(lambda: test(running))

    run(story())


@pytest.mark.parametrize(
    ("rights", "kept"),
    [((), ()), ((ROUTING,), (b"Resent-To",)), ((FOREST,), (b"X-MS-Exchange-Forest-A",))],
)
def test_the_headers_that_stay(tmp_path: Path, rights: tuple[str, ...], kept: tuple[bytes, ...]) -> None:
    fields = alone(SUBMIT, ANY_SENDER, *rights)
    content = b"Resent-To: a@b.example\r\nX-MS-Exchange-Forest-A: b\r\n\r\nbody\r\n.\r\n"

    async def story() -> None:
        async with estate(tmp_path, {"anonymous": {**ANONYMOUS, **fields}}) as running:

            def send() -> None:
                with running.raw() as client:
                    assert client.hello().submit(content).startswith(b"250 2.6.0 ")

            await using(send)
            (found,) = await running.inbox()
            names = {name for name in (b"Resent-To", b"X-MS-Exchange-Forest-A") if name + b":" in found}
            assert names == set(kept)

    run(story())
