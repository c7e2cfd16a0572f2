"""Documents of v1alpha1: read as v1, told in the words and at the places of v1alpha1."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.declared.load import Loaded, load
from reconciler.secret import SecretRef
from schemas.v1.codec import dump_spec
from tests.declared.builders import DATABASE, SERVER, codes, desired, document, loaded, only, write


def old(kind: str, name: str, spec: str) -> str:
    """A document of v1alpha1; `spec` is an indented block."""
    return document(kind, name, spec).replace("reconciler/v1", "reconciler/v1alpha1")


OLD_SERVER = old(
    "Server", "ex01", "\n  fqdn: ex01.contoso.example\n  services:\n    - {name: pop3, startup: Automatic}"
)
OLD_IMAP = old(
    "ImapSettings", "imap", "\n  server: ex01\n  limits:\n    perUser: 32\n  timeouts: {authenticated: 20m}"
)
OLD_ALICE = old(
    "Mailbox",
    "alice",
    "\n  database: db01\n  addresses: {primary: alice@contoso.example}\n  password: {env: ALICE}",
)


def errors(result: Loaded) -> list[tuple[str, str]]:
    """Message and place of each error."""
    return [
        (found.message, str(found.position).rpartition("/")[2])
        for found in result.diagnostics
        if found.severity == "error"
    ]


def test_an_old_estate_means_the_same_as_its_new_form(tmp_path: Path) -> None:
    before = loaded(tmp_path / "old", OLD_SERVER, DATABASE, OLD_IMAP, OLD_ALICE)
    after = loaded(
        tmp_path / "new",
        document(
            "Server", "ex01", "{fqdn: ex01.contoso.example, services: {pop3: {startupType: Automatic}}}"
        ),
        DATABASE,
        document(
            "ImapSettings",
            "imap",
            "{servers: [ex01], maxConnectionsPerUser: 32, authenticatedConnectionTimeout: 20m}",
        ),
        document(
            "Mailbox",
            "alice",
            "{database: db01, primarySmtpAddress: alice@contoso.example, password: {secretRef: {env: ALICE}}}",
        ),
    )
    assert desired(before).digest == desired(after).digest
    assert only(before, "Mailbox", "alice").secrets == {"password": SecretRef("env", "ALICE")}


def test_old_documents_are_a_warning_a_file(tmp_path: Path) -> None:
    result = loaded(tmp_path, OLD_SERVER, OLD_IMAP)
    assert codes(result) == ["old-version"]
    assert result.diagnostics[0].message == "2 documents of reconciler/v1alpha1, read as reconciler/v1"


def test_a_field_stands_where_the_old_file_says_it(tmp_path: Path) -> None:
    resource = only(loaded(tmp_path, SERVER, OLD_IMAP), "ImapSettings", "ex01")
    position = resource.position("maxConnectionsPerUser")
    assert (position.line, position.column) == (12, 14)
    assert resource.position("servers[0]").line == 10


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("perUser: 0", "limits.perUser: expected a whole number, at least 1", "estate.yaml:12:14"),
        ("perUsr: 3", 'unknown field "perUsr" of limits', "estate.yaml:12:5"),
        ("perUser: [3]", "limits.perUser: expected a whole number", "estate.yaml:12:14"),
    ],
)
def test_what_was_wrong_then_is_told_in_its_words(
    text: str, message: str, place: str, tmp_path: Path
) -> None:
    ((found, where),) = errors(loaded(tmp_path, SERVER, OLD_IMAP.replace("perUser: 32", text)))
    assert found.startswith(message)
    assert where == place


def test_the_new_words_are_unknown_in_the_old_version(tmp_path: Path) -> None:
    text = OLD_IMAP.replace("server: ex01", "server: ex01\n  maxConnectionsPerUser: 3")
    assert errors(loaded(tmp_path, SERVER, text)) == [
        ('unknown field "maxConnectionsPerUser" of ImapSettings', "estate.yaml:11:3")
    ]


def test_what_only_models_know_points_at_the_old_place(tmp_path: Path) -> None:
    text = OLD_IMAP.replace("server: ex01", "server: ex09")
    assert errors(loaded(tmp_path, SERVER, text)) == [('there is no Server "ex09"', "estate.yaml:10:11")]


def test_a_secret_in_clear_is_not_shown(tmp_path: Path) -> None:
    text = OLD_ALICE.replace("{env: ALICE}", "hunter2")
    result = loaded(tmp_path, SERVER, DATABASE, text)
    assert "secret-in-clear" in codes(result)
    assert "hunter2" not in repr(result.diagnostics) + repr(result.sources)


def test_an_unknown_version_is_an_error(tmp_path: Path) -> None:
    assert codes(loaded(tmp_path, SERVER.replace("reconciler/v1", "reconciler/v0"))) == ["unknown-version"]


def test_an_old_overlay_changes_a_new_base(tmp_path: Path) -> None:
    base = document("ImapSettings", "imap", "{servers: [ex01], maxConnectionsPerUser: 8}")
    write(tmp_path / "base", estate=f"{SERVER}---\n{base}")
    patch = old("ImapSettings", "imap", "\n  limits: {perUser: 4}")
    write(tmp_path / "overlays/test", patch=patch)
    spec = dump_spec(only(load(tmp_path, environment="test"), "ImapSettings", "ex01").spec)
    assert spec["maxConnectionsPerUser"] == 4


def test_old_documents_may_use_variables(tmp_path: Path) -> None:
    variables = document("Variables", "all", "{limit: {type: integer, default: 4}}")
    text = OLD_IMAP.replace("32", "${limit}")
    result = loaded(tmp_path, SERVER, variables, text)
    assert dump_spec(only(result, "ImapSettings", "ex01").spec)["maxConnectionsPerUser"] == 4
