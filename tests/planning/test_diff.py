from __future__ import annotations

from reconciler.model import Absent, Action, Key, Present
from reconciler.planning.diff import change_of, deletion_of, spec_to_write
from reconciler.secret import SecretRef
from schemas.v1.codec import dump_spec
from schemas.v1.impact import Impact
from tests.planning.builders import present, resource, server

MAILBOX: dict[str, object] = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
PASSWORD = {"password": SecretRef("env", "ALICE")}


def _live(*args: object, **kwargs: object) -> Present:
    observed = present(resource(*args, **kwargs))  # type: ignore[arg-type]
    assert isinstance(observed, Present)
    return observed


def test_what_is_not_live_is_created() -> None:
    change = change_of(server(), Absent(), {})
    assert change is not None
    assert (change.action, change.revision) == (Action.CREATE, None)
    assert {field.path for field in change.fields} >= {"fqdn", "services.imap4.startupType"}


def test_what_is_live_already_is_no_change() -> None:
    assert change_of(server(), _live("Server", "ex01", {"fqdn": "ex01.contoso.example"}), {}) is None


def test_one_field_differs() -> None:
    declared = resource(
        "ImapSettings", "ex01", {"maxConnectionsPerUser": 32}, lines={"maxConnectionsPerUser": 9}
    )
    change = change_of(declared, _live("ImapSettings", "ex01"), {})
    assert change is not None
    (field,) = change.fields
    assert (field.path, field.old, field.new, field.impact) == (
        "maxConnectionsPerUser",
        16,
        32,
        Impact.RESTART,
    )
    assert field.position is not None
    assert field.position.line == 9


def test_spelling_order_and_case_are_no_difference() -> None:
    one: dict[str, object] = {
        "emailAddresses": ["b@Contoso.example", "c@contoso.example"],
        "maxSendSize": "36 MB",
    }
    other: dict[str, object] = {
        "emailAddresses": ["c@contoso.example", "b@contoso.example"],
        "maxSendSize": 37748736,
    }
    declared = resource("Mailbox", "alice", MAILBOX | one)
    assert change_of(declared, _live("Mailbox", "alice", MAILBOX | other), {}) is None


def test_an_undeclared_field_means_its_default() -> None:
    change = change_of(
        resource("ImapSettings", "ex01"), _live("ImapSettings", "ex01", {"banner": "hello"}), {}
    )
    assert change is not None
    assert [field.path for field in change.fields] == ["banner"]


def test_a_nested_field_is_named_by_its_path() -> None:
    declared = server(services={"imap4": {"startupType": "Automatic"}})
    change = change_of(declared, _live("Server", "ex01", {"fqdn": "ex01.contoso.example"}), {})
    assert change is not None
    assert [(field.path, field.old, field.new) for field in change.fields] == [
        ("services.imap4.startupType", "Manual", "Automatic")
    ]


def test_a_group_that_appears_is_shown_field_by_field() -> None:
    files = {"certificateFile": "/a.crt", "privateKeyFile": "/a.key", "services": ["IMAP"]}
    declared = resource("Certificate", "ex01/mail", {"selfSigned": {}, "services": ["IMAP"]})
    change = change_of(declared, _live("Certificate", "ex01/mail", files), {})
    assert change is not None
    paths = {field.path for field in change.fields}
    assert {"selfSigned.keyType", "selfSigned.validDays", "certificateFile"} <= paths


CERTIFICATE: dict[str, object] = {"thumbprint": "ab" * 32, "services": ["IMAP"]}
FILES: dict[str, object] = {"certificateFile": "/a.crt", "privateKeyFile": "/a.key"}


def test_a_certificate_is_known_by_its_thumbprint_wherever_its_file_lies() -> None:
    declared = resource("Certificate", "ex01/mail", FILES | CERTIFICATE)
    assert change_of(declared, _live("Certificate", "ex01/mail", CERTIFICATE), {}) is None
    created = change_of(declared, Absent(), {})
    assert created is not None
    assert not {field.path for field in created.fields} & FILES.keys()
    assert dump_spec(spec_to_write(declared, Absent())).items() >= FILES.items()


def test_a_renewed_certificate_is_another_thumbprint() -> None:
    declared = resource("Certificate", "ex01/mail", FILES | CERTIFICATE | {"thumbprint": "cd" * 32})
    change = change_of(declared, _live("Certificate", "ex01/mail", CERTIFICATE), {})
    assert change is not None
    assert [(field.path, field.old, field.new, field.impact) for field in change.fields] == [
        ("thumbprint", "ab" * 32, "cd" * 32, Impact.RELOAD)
    ]


def test_a_certificate_that_an_earlier_version_left_in_its_file_is_to_be_stored() -> None:
    declared = resource("Certificate", "ex01/mail", FILES | CERTIFICATE)
    change = change_of(declared, _live("Certificate", "ex01/mail", FILES | CERTIFICATE), {})
    assert change is not None
    assert {field.path: field.new for field in change.fields} == dict.fromkeys(FILES)


def test_an_equal_secret_is_no_change() -> None:
    declared = resource("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    live = _live("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    assert change_of(declared, live, {"password": "old"}) is None


def test_a_changed_secret_shows_only_that_it_changed() -> None:
    declared = resource("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    change = change_of(declared, _live("Mailbox", "alice", MAILBOX, secrets=PASSWORD), {"password": "new"})
    assert change is not None
    (field,) = change.fields
    assert (field.path, field.is_secret, field.old, field.new) == ("password", True, None, None)


def test_a_secret_that_live_lacks_is_a_change() -> None:
    declared = resource("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    change = change_of(declared, _live("Mailbox", "alice", MAILBOX), {"password": "new"})
    assert change is not None
    assert [field.path for field in change.fields] == ["password"]


def test_a_secret_that_is_not_declared_is_left_alone() -> None:
    live = _live("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    assert change_of(resource("Mailbox", "alice", MAILBOX), live, {}) is None


def test_an_ignored_path_takes_the_live_value() -> None:
    declared = resource("ImapSettings", "ex01", {"banner": "ours"}, ignore=["banner"])
    live = _live("ImapSettings", "ex01", {"banner": "theirs"})
    assert change_of(declared, live, {}) is None
    assert dump_spec(spec_to_write(declared, live))["banner"] == "theirs"


def test_an_ignored_nested_path_takes_the_live_value() -> None:
    bare = {"fqdn": "ex01.contoso.example"}
    declared = resource("Server", "ex01", bare, ignore=["services.imap4.startupType"])
    theirs = bare | {"services": {"imap4": {"startupType": "Automatic"}}}
    assert change_of(declared, _live("Server", "ex01", theirs), {}) is None


def test_an_ignored_secret_is_not_compared() -> None:
    declared = resource("Mailbox", "alice", MAILBOX, secrets=PASSWORD, ignore=["password"])
    live = _live("Mailbox", "alice", MAILBOX, secrets=PASSWORD)
    assert change_of(declared, live, {"password": "new"}) is None


def test_a_deletion_says_what_is_lost_and_at_which_revision() -> None:
    change = deletion_of(Key("ImapSettings", "ex01"), _live("ImapSettings", "ex01"))
    assert (change.action, change.revision) == (Action.DELETE, 7)
    assert {field.new for field in change.fields} == {None}
