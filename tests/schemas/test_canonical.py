from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from schemas.v1.canonical import digest_canonical, parse_canonical
from schemas.v1.codec import digest_spec, dump_spec, parse_spec

MAILBOX: dict[str, object] = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("Server", {"fqdn": "ex01.contoso.example", "services": {"imap4": {"startupType": "Automatic"}}}),
        ("Certificate", {"services": ["IMAP", "POP"], "selfSigned": {"validDays": 30}}),
        ("AcceptedDomain", {"domainName": "*.contoso.example"}),
        ("ThrottlingPolicy", {"popMaxConcurrency": 5}),
        ("MailboxDatabase", {"server": "ex01", "deletedItemRetention": "20d"}),
        ("ImapSettings", {"sslBindings": ["[::1]:993", "127.0.0.1:993"], "loginType": "PlainTextLogin"}),
        ("PopSettings", {}),
        (
            "ReceiveConnector",
            {"usage": "Client", "bindings": ["127.0.0.1:587"], "remoteIPRanges": ["192.0.2.0/24"]},
        ),
        (
            "Mailbox",
            MAILBOX | {"emailAddresses": ["a@contoso.example"], "maxSendSize": "36MB", "popEnabled": False},
        ),
    ],
)
def test_it_gives_the_spec_that_was_dumped(kind: str, declared: Mapping[str, object]) -> None:
    spec = parse_spec(kind, declared)
    assert parse_canonical(kind, dump_spec(spec)) == spec
    assert dump_spec(parse_canonical(kind, dump_spec(spec))) == dump_spec(spec)
    assert digest_canonical(spec) == digest_spec(spec)


def test_a_value_of_the_wrong_type_is_refused_as_ever() -> None:
    dump = dump_spec(parse_spec("Mailbox", MAILBOX))
    with pytest.raises(ValidationError):
        parse_canonical("Mailbox", dump | {"imapEnabled": 1})


def test_a_missing_field_takes_its_default() -> None:
    dump = dump_spec(parse_spec("Mailbox", MAILBOX))
    del dump["imapEnabled"]
    assert parse_canonical("Mailbox", dump) == parse_spec("Mailbox", MAILBOX)


def test_an_unknown_field_is_refused() -> None:
    dump = dump_spec(parse_spec("Mailbox", MAILBOX))
    del dump["imapEnabled"]
    with pytest.raises(ValidationError):
        parse_canonical("Mailbox", dump | {"imapEnabld": True})
