from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared.certificates import not_after, thumbprints_in
from reconciler.declared.files import read_bytes, read_file
from reconciler.declared.load import load
from reconciler.model import Diagnostic, Ignore, Key, Lifecycle, Severity
from reconciler.rendering.diagnostics import render_diagnostics_text
from reconciler.secret import SecretRef
from schemas.v1.certificate import Certificate
from schemas.v1.codec import dump_spec
from tests.declared.builders import (
    DATABASE,
    SERVER,
    codes,
    desired,
    document,
    loaded,
    mailbox,
    only,
    together,
    write,
)
from tests.declared.pem import certificate_pem, key_pem, of_no_version, with_names

IMAP_FOR_ALL = document(
    "ImapSettings", "imap", "{servers: {matchLabels: {site: dublin}}, maxConnectionsPerUser: 32}"
)


def test_files_are_found_below_the_directory_and_hidden_ones_left_out(tmp_path: Path) -> None:
    write(tmp_path / "servers", ex01=SERVER)
    write(tmp_path / ".git", junk="not: [yaml")
    write(tmp_path, **{".hidden": "not: [yaml"})
    (tmp_path / "database.yml").write_text(DATABASE)
    (tmp_path / "README.md").write_text("# not yaml")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "alice").write_text("password")
    assert set(desired(load(tmp_path)).resources) == {Key("Server", "ex01"), Key("MailboxDatabase", "db01")}


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    result = load(tmp_path / "nowhere")
    assert result.desired is None
    assert "there is no such directory" in result.diagnostics[0].message


def test_a_file_instead_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVER)
    assert "a directory is expected" in load(tmp_path / "a.yaml").diagnostics[0].message


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    assert "nothing is declared here" in load(tmp_path).diagnostics[0].message


def test_a_file_beyond_the_size_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.declared.files.MAX_FILE_SIZE", 25)
    assert codes(loaded(tmp_path, SERVER)) == ["file-too-large"]


def test_settings_become_one_resource_a_selected_server(tmp_path: Path) -> None:
    other = SERVER.replace("ex01", "ex02")
    third = SERVER.replace("ex01", "ex03").replace("dublin", "cork")
    names = {
        key
        for key in desired(loaded(tmp_path, SERVER, other, third, IMAP_FOR_ALL)).resources
        if key.kind == "ImapSettings"
    }
    assert names == {Key("ImapSettings", "ex01"), Key("ImapSettings", "ex02")}


def test_named_kinds_are_live_as_server_and_name(tmp_path: Path) -> None:
    connector = document("ReceiveConnector", "client", '{servers: [ex01], bindings: ["127.0.0.1:10587"]}')
    assert Key("ReceiveConnector", "ex01/client") in desired(loaded(tmp_path, SERVER, connector)).resources


def test_a_resource_knows_where_its_fields_stand(tmp_path: Path) -> None:
    resource = only(loaded(tmp_path, SERVER, IMAP_FOR_ALL), "ImapSettings", "ex01")
    position = resource.position("maxConnectionsPerUser")
    assert (position.file, position.line) == (tmp_path / "estate.yaml", 9)
    assert resource.position("banner") == resource.position()


def test_a_secret_is_a_reference_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "alice").write_text("password")
    alice = mailbox("alice", ", password: {secretRef: {file: alice}}")
    resource = only(loaded(tmp_path, SERVER, DATABASE, alice), "Mailbox", "alice")
    assert resource.secrets == {"password": SecretRef("file", str(tmp_path / "alice"))}
    assert (
        resource.spec == only(loaded(tmp_path, SERVER, DATABASE, mailbox("alice")), "Mailbox", "alice").spec
    )


def test_an_environment_secret_is_not_looked_up(tmp_path: Path) -> None:
    alice = mailbox("alice", ", password: {secretRef: {env: NOT_SET_ANYWHERE}}")
    resource = only(loaded(tmp_path, SERVER, DATABASE, alice), "Mailbox", "alice")
    assert resource.secrets == {"password": SecretRef("env", "NOT_SET_ANYWHERE")}


def test_ignored_paths_come_with_their_reason(tmp_path: Path) -> None:
    text = IMAP_FOR_ALL + "lifecycle: {ignore: [{path: banner, reason: set by hand}]}\n"
    assert only(loaded(tmp_path, SERVER, text), "ImapSettings", "ex01").ignore == (
        Ignore("banner", "set by hand"),
    )


def test_the_digest_is_over_meaning(tmp_path: Path) -> None:
    spelled = mailbox("alice", ', maxSendSize: "36 MB"'), mailbox("alice", ", maxSendSize: 37748736")
    one = desired(loaded(tmp_path / "a", SERVER, DATABASE, spelled[0])).digest
    write(tmp_path / "b", x=together(spelled[1], DATABASE), y="# a comment\n" + SERVER)
    assert desired(load(tmp_path / "b")).digest == one


def test_the_digest_changes_with_a_value(tmp_path: Path) -> None:
    one = desired(loaded(tmp_path / "a", SERVER, DATABASE, mailbox("alice"))).digest
    assert (
        desired(loaded(tmp_path / "b", SERVER, DATABASE, mailbox("alice", ", imapEnabled: false"))).digest
        != one
    )


def test_errors_of_several_files_are_sorted_and_none_hides_another(tmp_path: Path) -> None:
    write(
        tmp_path, b=document("Server", "ex01", "{}"), a="kind: [", c=document("Mailbox", "x", "{database: 7}")
    )
    result = load(tmp_path)
    assert [diagnostic.position.file.name for diagnostic in result.diagnostics if diagnostic.position] == [
        "a.yaml",
        "b.yaml",
        "c.yaml",
        "c.yaml",
    ]


def test_a_broken_document_still_counts_as_declared(tmp_path: Path) -> None:
    broken = DATABASE.replace("{server: ex01}", "{server: ex01, x: 1}")
    assert codes(loaded(tmp_path, SERVER, broken, mailbox("alice"))) == ["unknown-key"]


def test_one_problem_of_many_servers_is_said_once(tmp_path: Path) -> None:
    connector = document(
        "Certificate",
        "mail",
        "{servers: {matchLabels: {site: dublin}}, services: [IMAP], certificateFile: no, privateKeyFile: no}",
    )
    result = loaded(tmp_path, SERVER, SERVER.replace("ex01", "ex02"), connector)
    assert codes(result) == ["certificate", "certificate"]


def test_connectors_share_an_address_when_their_ranges_differ(tmp_path: Path) -> None:
    connectors = [
        document(
            "ReceiveConnector",
            name,
            f'{{servers: [ex01], bindings: ["0.0.0.0:10025"], remoteIPRanges: [{ranges}]}}',
        )
        for name, ranges in (("inside", "192.0.2.0/24"), ("outside", "198.51.100.0/24"))
    ]
    assert codes(loaded(tmp_path, SERVER, *connectors)) == []


def test_connectors_with_equal_ranges_clash(tmp_path: Path) -> None:
    connectors = [
        document("ReceiveConnector", name, '{servers: [ex01], bindings: ["127.0.0.1:10025"]}')
        for name in ("a", "b")
    ]
    assert codes(loaded(tmp_path, SERVER, *connectors)) == ["port-clash"]


def test_services_that_do_not_start_claim_no_port(tmp_path: Path) -> None:
    assert codes(loaded(tmp_path, SERVER, SERVER.replace("ex01", "ex02"))) == []


def test_defaults_of_services_that_start_claim_ports(tmp_path: Path) -> None:
    one = SERVER.replace("}\n", "}\n").replace(
        "fqdn: ex01.contoso.example",
        "fqdn: ex01.contoso.example, services: {imap4: {startupType: Automatic}}",
    )
    assert set(codes(loaded(tmp_path, one, one.replace("ex01", "ex02")))) == {"port-clash"}


def _starting(name: str) -> str:
    services = "{imap4: {startupType: Automatic}, imap4-backend: {startupType: Automatic}}"
    return document("Server", name, f"{{fqdn: {name}.contoso.example, services: {services}}}")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (document("ImapSettings", "imap", "{servers: [ex03]}"), "unknown-reference"),
        (document("ImapSettings", "imap", "{servers: {matchLabels: {site: cork}}}"), "empty-selector"),
        (document("ImapSetting", "imap", "{servers: [ex02]}"), "unknown-kind"),
        ("kind: [", "yaml-syntax"),
    ],
)
def test_defaults_claim_no_port_while_settings_may_be_among_what_is_broken(
    tmp_path: Path, settings: str, expected: str
) -> None:
    write(tmp_path, servers=together(_starting("ex01"), _starting("ex02")), settings=settings)
    assert codes(load(tmp_path)) == [expected]


def test_defaults_claim_ports_whatever_else_is_broken(tmp_path: Path) -> None:
    broken = document("PopSettings", "pop", "{servers: [ex01], maxConnections: many}")
    assert "port-clash" in codes(loaded(tmp_path, _starting("ex01"), _starting("ex02"), broken))


def test_wildcards_of_the_other_family_do_not_clash(tmp_path: Path) -> None:
    connectors = [
        document("ReceiveConnector", name, f'{{servers: [ex01], bindings: ["{binding}"]}}')
        for name, binding in (("a", "127.0.0.1:10025"), ("b", "[::]:10025"))
    ]
    assert codes(loaded(tmp_path, SERVER, *connectors)) == []


def test_a_certificate_from_files_is_resolved(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "mail.crt").write_bytes(certificate_pem(key))
    (tmp_path / "mail.key").write_bytes(key_pem(key))
    (tmp_path / "mail.key").chmod(0o600)
    text = document(
        "Certificate",
        "mail",
        "{servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key}",
    )
    found = only(loaded(tmp_path, SERVER, text), "Certificate", "ex01/mail")
    spec = found.spec
    assert found.position("thumbprint") == found.positions["certificateFile"]
    assert isinstance(spec, Certificate)
    assert spec.certificate_file == str(tmp_path / "mail.crt")
    assert spec.private_key_file == str(tmp_path / "mail.key")
    assert len(str(dump_spec(spec)["thumbprint"])) == 64
    ends = not_after(str(tmp_path / "mail.crt"))
    assert found.note("thumbprint") == f"ex01.contoso.example, ends {ends:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda key: with_names(key, b"garbage"), "extensions"),
        (lambda key: of_no_version(certificate_pem(key)), "a version"),
    ],
)
def test_a_certificate_that_cannot_be_read_is_an_error_at_its_file(
    tmp_path: Path, spoilt: Callable[[ec.EllipticCurvePrivateKey], bytes], said: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "mail.crt").write_bytes(spoilt(key))
    (tmp_path / "mail.key").touch(mode=0o600)
    (tmp_path / "mail.key").write_bytes(key_pem(key))
    files = "servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key"
    result = loaded(tmp_path, SERVER, document("Certificate", "mail", f"{{{files}}}"))
    (found,) = result.diagnostics
    assert result.desired is None
    assert found.message.startswith(f"certificateFile: mail.crt has {said} that cannot be read: ")
    assert found.position is not None
    assert found.position.column > 1
    assert found.hint == "ask for a new certificate; clients may refuse this one"


@pytest.mark.parametrize("name", ["mail.crt", "mail.key"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "mail.crt").write_bytes(certificate_pem(key))
    (tmp_path / "mail.key").write_bytes(key_pem(key))
    (tmp_path / "mail.key").chmod(0o600)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name, 0o600)
    files = "servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key"
    (found,) = loaded(tmp_path, SERVER, document("Certificate", "mail", f"{{{files}}}")).diagnostics
    assert found.message.endswith(f"{name} cannot be read: it is no regular file")
    assert found.hint == "name a PEM file"


@pytest.mark.parametrize("special", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_only_regular_files_are_read(tmp_path: Path, special: Callable[[Path], None]) -> None:
    special(tmp_path / "special.yaml")
    found = read_file(tmp_path / "special.yaml")
    assert isinstance(found, Diagnostic)
    assert (found.code, found.message) == (
        "unreadable-file",
        "the file cannot be read: it is no regular file",
    )


def test_a_link_is_followed_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == b"x" * 10_000


def test_the_certificates_after_the_first_are_its_chain(tmp_path: Path) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    (tmp_path / "mail.crt").write_bytes(b"".join(map(certificate_pem, keys)))
    (tmp_path / "mail.key").touch(mode=0o600)
    (tmp_path / "mail.key").write_bytes(key_pem(keys[0]))
    files = "servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key"
    text = document("Certificate", "mail", f"{{{files}}}")
    found = dump_spec(only(loaded(tmp_path, SERVER, text), "Certificate", "ex01/mail").spec)
    assert [found["thumbprint"], *cast("list[str]", found["chain"])] == list(
        thumbprints_in(str(tmp_path / "mail.crt"))
    )
    other = document("Certificate", "mail", f"{{{files}, chain: ['{'ab' * 32}']}}")
    result = loaded(tmp_path, SERVER, other)
    assert [diagnostic.message.partition(" has ")[0] for diagnostic in result.diagnostics] == [
        "chain: after its certificate the file"
    ]


def test_a_certificate_may_be_named_by_its_thumbprint_alone(tmp_path: Path) -> None:
    text = document("Certificate", "mail", f"{{servers: [ex01], services: [IMAP], thumbprint: {'ab' * 32}}}")
    spec = only(loaded(tmp_path, SERVER, text), "Certificate", "ex01/mail").spec
    assert (dump_spec(spec)["thumbprint"], dump_spec(spec)["certificateFile"]) == ("ab" * 32, None)


def _certified(directory: Path, more: str = "") -> str:
    """The digest of an estate with a certificate from a file that is made anew."""
    directory.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    (directory / "mail.crt").write_bytes(certificate_pem(key))
    (directory / "mail.key").write_bytes(key_pem(key))
    (directory / "mail.key").chmod(0o600)
    spec = f"{{servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key{more}}}"
    return desired(loaded(directory, SERVER, document("Certificate", "mail", spec))).digest


def test_the_digest_does_not_depend_on_what_a_certificate_file_holds(tmp_path: Path) -> None:
    assert _certified(tmp_path / "here") == _certified(tmp_path / "there")


def test_an_expired_certificate_is_a_warning(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "mail.crt").write_bytes(certificate_pem(key, days=-1))
    (tmp_path / "mail.key").write_bytes(key_pem(key))
    (tmp_path / "mail.key").chmod(0o600)
    text = document(
        "Certificate",
        "mail",
        "{servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key}",
    )
    result = loaded(tmp_path, SERVER, text)
    assert [diagnostic.severity for diagnostic in result.diagnostics] == [Severity.WARNING]
    assert len(desired(result).digest) == 64


@pytest.mark.parametrize(
    "place", ["password: hunter2", "password: [hunter2]", "pasword: 'hunter2'", "token: hunter2"]
)
def test_no_clear_secret_is_shown(tmp_path: Path, place: str) -> None:
    result = loaded(tmp_path, SERVER, DATABASE, mailbox("alice", f", {place}"))
    assert result.desired is None
    assert "hunter2" not in render_diagnostics_text(result.diagnostics, result.sources, colour=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, a=SERVER)
    (tmp_path / "a.yaml").chmod(0)
    assert codes(load(tmp_path)) == ["unreadable-file"]


def test_a_document_may_ask_to_be_protected(tmp_path: Path) -> None:
    text = IMAP_FOR_ALL + "lifecycle: {protect: true}\n"
    assert only(loaded(tmp_path, SERVER, text), "ImapSettings", "ex01").lifecycle == Lifecycle(protect=True)


def test_a_document_may_tell_its_former_name(tmp_path: Path) -> None:
    text = mailbox("alice") + "lifecycle: {renamedFrom: alison}\n"
    resource = only(loaded(tmp_path, SERVER, DATABASE, text), "Mailbox", "alice")
    assert resource.lifecycle == Lifecycle(renamed_from="alison")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ((mailbox("alison"),), "Mailbox/alison is still declared, at "),
        ((mailbox("allie") + "lifecycle: {renamedFrom: alison}\n",), "has another new name already, at "),
    ],
)
def test_a_former_name_is_free_and_has_one_successor(
    others: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    text = mailbox("alice") + "lifecycle: {renamedFrom: alison}\n"
    result = loaded(tmp_path, SERVER, DATABASE, text, *others)
    assert codes(result) == ["rename"]
    assert message in result.diagnostics[0].message


def test_a_name_is_no_former_name_of_itself(tmp_path: Path) -> None:
    text = mailbox("alice") + "lifecycle: {renamedFrom: alice}\n"
    assert "its own name is no former one" in loaded(tmp_path, SERVER, DATABASE, text).diagnostics[0].message
