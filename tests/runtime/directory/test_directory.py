"""Looking up mailboxes, domains, policies and back ends."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.directory.directory import HealthMailbox
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.throttling_policy import ThrottlingPolicy
from tests.runtime.directories import Resources, directory, estate

NAMES = [
    "alice",
    "ALICE",
    "alice@contoso.example",
    "Alice@Contoso.Example",
    "al@contoso.example",
    "contoso\\alice",
    "CONTOSO\\alice",
    "contoso.example\\alice",
    "contoso/alice",
    "contoso/alice/alice",
    "alice.upn@corp.example",
    "ally",
]

NOT_NAMES = [
    "",
    "nobody",
    "alice\0",
    "alice\r\nbob",
    "fabrikam\\alice",
    "contoso\\bob\\alice",
    "contoso/bob/alice",
    "contoso\\",
    "\\alice",
    "a/b/c/d",
    "a" * 321,
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_open_a_mailbox(name: str) -> None:
    resources = estate()
    resources.mailbox(
        "alice",
        alias="ally",
        user_principal_name="alice.upn@corp.example",
        email_addresses=("smtp:al@contoso.example",),
    )
    entry = directory(resources).find_logon(name)
    assert entry is not None
    assert entry.name == "alice"


@pytest.mark.parametrize("name", NOT_NAMES)
def test_names_that_open_nothing(name: str) -> None:
    assert directory().find_logon(name) is None


def test_an_address_is_found_in_any_case() -> None:
    entry = directory().by_address("BOB@contoso.EXAMPLE")
    assert entry is not None
    assert entry.name == "bob"
    assert entry.addresses == {"bob@contoso.example"}


def test_a_written_mailbox_is_found_after_refresh() -> None:
    resources = estate()
    found = directory(resources)
    resources.mailbox("carol")
    assert found.mailbox("carol") is None
    assert found.refresh()
    assert found.mailbox("carol") is not None


def test_a_removed_mailbox_is_gone_after_refresh() -> None:
    resources = estate()
    found = directory(resources)
    resources.remove("Mailbox", "bob")
    found.refresh()
    assert found.by_address("bob@contoso.example") is None
    assert found.find_logon("bob") is None


def test_refresh_says_when_nothing_changed() -> None:
    assert not directory().refresh()


def test_the_first_by_name_has_a_contested_address() -> None:
    resources = estate().mailbox("zoe", email_addresses=("smtp:bob@contoso.example",))
    entry = directory(resources).by_address("bob@contoso.example")
    assert entry is not None
    assert entry.name == "bob"


def test_the_back_end_is_on_the_server_of_the_database() -> None:
    resources = estate().put("ImapSettings", "ex01", ImapSettings(proxy_target_port=11993))
    found = directory(resources)
    entry = found.mailbox("alice")
    assert entry is not None
    assert found.backend(entry, "imap") == ("127.0.0.1", 11993)
    assert found.backend(entry, "pop") == ("127.0.0.1", 1995)


def test_a_mailbox_without_a_declared_database_has_no_back_end() -> None:
    resources = estate()
    resources.remove("MailboxDatabase", "db01")
    found = directory(resources)
    entry = found.mailbox("alice")
    assert entry is not None
    assert found.backend(entry, "imap") is None


def test_a_moved_database_moves_its_mailboxes() -> None:
    resources = estate()
    found = directory(resources)
    resources.put("MailboxDatabase", "db01", MailboxDatabase(server="ex02"))
    found.refresh()
    entry = found.mailbox("alice")
    assert entry is not None
    assert entry.server == "ex02"


@pytest.mark.parametrize(
    ("domain", "is_accepted"),
    [
        ("contoso.example", True),
        ("CONTOSO.example.", True),
        ("sub.contoso.example", False),
        ("fabrikam.example", True),
        ("a.b.fabrikam.example", True),
        ("example", False),
    ],
)
def test_accepted_domains(domain: str, is_accepted: bool) -> None:
    resources = estate()
    resources.put("AcceptedDomain", "contoso", AcceptedDomain(domain_name="contoso.example"))
    resources.put(
        "AcceptedDomain", "fabrikam", AcceptedDomain(domain_name="fabrikam.example", match_sub_domains=True)
    )
    assert (directory(resources).accepted_domain(domain) is not None) is is_accepted


def _policy(scope: str, pop: int) -> ThrottlingPolicy:
    return ThrottlingPolicy.model_validate({"throttling_policy_scope": scope, "pop_max_concurrency": pop})


def test_policy_regular_before_organization_before_global() -> None:
    resources = estate().mailbox("alice", throttling_policy="vip")
    resources.put("ThrottlingPolicy", "all", _policy("Global", 1))
    resources.put("ThrottlingPolicy", "ours", _policy("Organization", 2))
    resources.put("ThrottlingPolicy", "vip", _policy("Regular", 3))
    found = directory(resources)
    alice, bob = found.mailbox("alice"), found.mailbox("bob")
    assert alice is not None
    assert bob is not None
    assert found.policy_for(alice).pop_max_concurrency == 3
    assert found.policy_for(bob).pop_max_concurrency == 2


def test_policy_defaults() -> None:
    found = directory()
    alice = found.mailbox("alice")
    assert alice is not None
    assert found.policy_for(alice) == ThrottlingPolicy()


def test_the_health_mailbox_is_a_mailbox() -> None:
    health = HealthMailbox("HealthMailbox", "health@ex01.contoso.example", "ex01", "$argon2id$")
    entry = directory(health=health).find_logon("health@ex01.contoso.example")
    assert entry is not None
    assert entry.is_health_mailbox


def test_snapshot_holds_what_belongs_to_the_server() -> None:
    connector = ReceiveConnector.model_validate(
        {"bindings": ["127.0.0.1:10025"], "remote_ip_ranges": ["0.0.0.0/0"]}
    )
    resources = estate().put("ReceiveConnector", "ex01/Clients", connector)
    resources.put("ReceiveConnector", "ex02/Clients", connector)
    found = directory(resources).snapshot()
    assert list(found.connectors) == ["Clients"]
    assert found.spec.fqdn == "ex01.contoso.example"
    assert found.imap == ImapSettings()


def test_snapshot_of_an_unknown_server() -> None:
    with pytest.raises(LookupError, match="ex09"):
        directory().snapshot("ex09")


def contested(**bob: Any) -> Resources:
    """alice with the alias "al", and a bob who claims something of hers."""
    resources = estate().mailbox("alice", alias="al", email_addresses=("sales@contoso.example",))
    return resources.mailbox("bob", password="secret", **bob)


@pytest.mark.parametrize(
    ("bob", "name"),
    [
        ({"alias": "AL"}, "al"),
        ({"alias": "alice"}, "Alice"),
        ({"alias": "alice"}, "contoso\\alice"),
        ({"email_addresses": ("Sales@contoso.example",)}, "sales@contoso.example"),
        ({"user_principal_name": "sales@contoso.example"}, "sales@contoso.example"),
    ],
)
def test_a_name_that_two_mailboxes_claim_opens_neither(bob: dict[str, object], name: str) -> None:
    assert directory(contested(**bob)).find_logon(name) is None


def test_a_primary_address_stays_its_owners() -> None:
    found = directory(contested(user_principal_name="alice@contoso.example"))
    entry = found.find_logon("alice@contoso.example")
    assert entry is not None
    assert entry.name == "alice"


def test_mail_goes_to_the_primary_addresss_owner_whatever_others_claim() -> None:
    resources = contested().mailbox("aaron", email_addresses=("bob@contoso.example",))
    entry = directory(resources).by_address("bob@contoso.example")
    assert entry is not None
    assert entry.name == "bob"


def test_a_contested_name_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    resources = contested(alias="al")
    found = directory(resources)
    resources.mailbox("carol")
    found.refresh()
    (record,) = caplog.records
    assert "'al' belongs to several mailboxes ('alice', 'bob')" in record.getMessage()


def test_a_name_opens_again_when_only_one_claims_it() -> None:
    resources = contested(alias="al")
    found = directory(resources)
    resources.mailbox("bob")
    found.refresh()
    entry = found.find_logon("al")
    assert entry is not None
    assert entry.name == "alice"
