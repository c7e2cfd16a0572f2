"""Existing files brought up to what is live: what is changed, what stays, what is only told."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings

from reconciler.authoring.documents import document_of
from reconciler.authoring.updated import Updated, update
from reconciler.declared.load import load
from reconciler.model import Key, LiveState, Present
from reconciler.planning.plan import make_plan
from reconciler.targets.memory import MemoryTarget
from schemas.v1.codec import parse_spec
from tests.authoring.estates import targets
from tests.authoring.test_imported import written
from tests.declared.builders import DATABASE, SERVER, desired, document, loaded, mailbox, together
from tests.declared.pem import certificate_pem, key_pem

ESTATE = """\
# The first server.
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01}
spec: {fqdn: ex01.contoso.example}
---
# Clients.
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: [ex01]
  # agreed with the service desk
  maxConnectionsPerUser: 32  # was 16
  sslBindings:
    - "127.0.0.1:10993"  # loopback
    - "127.0.0.1:10994"
  banner: "hello: there"
"""


def live_of(directory: Path, **changes: dict[str, object]) -> LiveState:
    """What the files declare as if it were live, with other fields for "Kind/name"."""
    found = load(directory).desired
    assert found is not None
    specs = {key: resource.spec for key, resource in found.resources.items()}
    for name, fields in changes.items():
        kind, _, rest = name.partition("_")
        specs[Key(kind, rest)] = parse_spec(kind, fields)
    return LiveState({key: Present(spec, 1) for key, spec in specs.items()}, {})


def updated(directory: Path, live: LiveState) -> Updated:
    found = load(directory).desired
    assert found is not None
    result = update(directory, found, live, server=None, secrets="comment")
    for path, text in result.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return result


def imap(**fields: object) -> dict[str, object]:
    return {"maxConnectionsPerUser": 32, "sslBindings": ["127.0.0.1:10993", "127.0.0.1:10994"]} | fields


def test_a_changed_value_is_the_only_thing_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE, encoding="utf-8")
    live = live_of(tmp_path, ImapSettings_ex01=imap(maxConnectionsPerUser=64, banner="hello: there"))
    updated(tmp_path, live)
    assert file.read_text(encoding="utf-8") == ESTATE.replace(": 32", ": 64")


def test_items_of_a_list_keep_their_place_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE, encoding="utf-8")
    bindings = ["127.0.0.1:10993", "127.0.0.1:10995"]
    updated(tmp_path, live_of(tmp_path, ImapSettings_ex01=imap(sslBindings=bindings, banner="hello: there")))
    assert file.read_text(encoding="utf-8") == ESTATE.replace("10994", "10995")


def test_a_field_that_was_not_declared_is_added(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE, encoding="utf-8")
    fields = imap(banner="hello: there", protocolLogEnabled=True)
    updated(tmp_path, live_of(tmp_path, ImapSettings_ex01=fields))
    assert file.read_text(encoding="utf-8") == ESTATE + "  protocolLogEnabled: true\n"


def test_what_is_new_is_added_and_what_is_gone_is_told(tmp_path: Path) -> None:
    desired(loaded(tmp_path, SERVER, DATABASE, mailbox("alice")))
    resources = dict(live_of(tmp_path).resources)
    resources[Key("Mailbox", "bob")] = resources.pop(Key("Mailbox", "alice"))
    before = (tmp_path / "estate.yaml").read_text(encoding="utf-8")
    result = updated(tmp_path, LiveState(resources, {}))
    assert result.removed == (Key("Mailbox", "alice"),)
    assert (tmp_path / "estate.yaml").read_text(encoding="utf-8") == before
    assert "name: bob" in (tmp_path / "servers/ex01/mailboxes.yaml").read_text(encoding="utf-8")


def test_servers_that_share_a_document_and_differ_are_told(tmp_path: Path) -> None:
    servers = together(SERVER, SERVER.replace("ex01", "ex02"))
    pop = document("PopSettings", "pop", "{servers: [ex01, ex02]}")
    desired(loaded(tmp_path, servers, pop))
    result = updated(tmp_path, live_of(tmp_path, PopSettings_ex01={"banner": "hello"}))
    assert result.files == {}
    assert result.left == (
        (
            "PopSettings/ex01, PopSettings/ex02",
            "banner is live in different values; one document declares them all",
        ),
    )


def certified(directory: Path) -> None:
    """An estate with a certificate from files."""
    key = ec.generate_private_key(ec.SECP256R1())
    for name, content in (("mail.crt", certificate_pem(key)), ("mail.key", key_pem(key))):
        (directory / name).touch(mode=0o600)
        (directory / name).write_bytes(content)
    files = "certificateFile: mail.crt, privateKeyFile: mail.key"
    desired(
        loaded(
            directory,
            SERVER,
            document("Certificate", "it", f"{{servers: [ex01], {files}, services: [IMAP]}}"),
        )
    )


def test_another_certificate_than_that_of_the_file_is_told(tmp_path: Path) -> None:
    certified(tmp_path)
    other: dict[str, object] = {"thumbprint": "ab" * 32, "services": ["IMAP"]}
    live = live_of(tmp_path, **{"Certificate_ex01/it": other})
    result = updated(tmp_path, live)
    reason = "thumbprint is not written; change it yourself if the live one is right"
    assert (result.files, result.left) == ({}, (("Certificate/ex01/it", reason),))


def test_a_live_self_signed_certificate_takes_the_place_of_the_files(tmp_path: Path) -> None:
    certified(tmp_path)
    made: dict[str, object] = {"selfSigned": {"validDays": 30}, "services": ["IMAP"]}
    live = live_of(tmp_path, **{"Certificate_ex01/it": made})
    updated(tmp_path, live)
    found = desired(load(tmp_path))
    assert make_plan(found, live, digests={}).changes == ()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(targets(), targets())
def test_a_plan_right_after_an_update_is_empty(before: MemoryTarget, now: MemoryTarget) -> None:
    live = now.observe()
    with TemporaryDirectory() as directory:
        written(before.observe(), Path(directory))
        result = updated(Path(directory), live)
        found = load(Path(directory))
    assert found.desired is not None, found.diagnostics
    plan = make_plan(found.desired, live, digests={})
    assert plan.undeclared == ()
    assert {change.key for change in plan.changes} == set(result.removed)


def test_a_document_says_that_its_resource_is_protected() -> None:
    live = Present(parse_spec("Server", {"fqdn": "ex01.contoso.example"}), 1, protected=True)
    assert document_of(Key("Server", "ex01"), live, secrets="comment").endswith(
        "lifecycle: {protect: true}\n"
    )
