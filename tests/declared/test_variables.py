"""`${name}`: typed, once, and told where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.declared.load import Loaded, load
from reconciler.model import Severity
from schemas.v1.codec import dump_spec
from tests.declared.builders import DATABASE, SERVER, codes, desired, document, only, together, write


def variables(text: str) -> str:
    """A document of variables; `text` is its spec as a flow mapping."""
    return f"apiVersion: reconciler/v1\nkind: Variables\nmetadata: {{name: estate}}\nspec: {text}\n"


def imap(text: str) -> str:
    """Settings of ex01 with one more line in their spec."""
    return document("ImapSettings", "imap", f"\n  servers: [ex01]\n  {text}")


def loaded(directory: Path, spec: str, line: str, **given: str) -> Loaded:
    """An estate of these variables and one line that may use them."""
    write(directory, estate=together(SERVER, variables(spec), imap(line)))
    return load(directory, variables=given)


def value(result: Loaded, field: str) -> object:
    return dump_spec(only(result, "ImapSettings", "ex01").spec)[field]


def errors(result: Loaded) -> list[str]:
    return [found.message for found in result.diagnostics if found.severity is Severity.ERROR]


LIMIT = "{limit: {type: integer, default: 24}}"
USES_LIMIT = "maxConnectionsPerUser: ${limit}"


def test_a_whole_scalar_keeps_the_type(tmp_path: Path) -> None:
    assert value(loaded(tmp_path, LIMIT, USES_LIMIT), "maxConnectionsPerUser") == 24


def test_inside_a_text_the_value_is_inserted(tmp_path: Path) -> None:
    spec = "{site: {type: string, default: Dublin}, limit: {type: integer, default: 3}}"
    result = loaded(tmp_path, spec, "banner: Mail of ${site}, ${limit} a user")
    assert value(result, "banner") == "Mail of Dublin, 3 a user"


@pytest.mark.parametrize(
    ("spec", "line", "field", "expected"),
    [
        ("{v: {type: boolean, default: true}}", "protocolLogEnabled: ${v}", "protocolLogEnabled", True),
        ("{v: {type: size, default: 3MB}}", "logPerFileSizeQuota: ${v}", "logPerFileSizeQuota", "3MB"),
        (
            "{v: {type: duration, default: 45s}}",
            "preAuthenticatedConnectionTimeout: ${v}",
            "preAuthenticatedConnectionTimeout",
            "00:00:45",
        ),
        ("{v: {type: string, default: Hi}}", 'banner: "${v}"', "banner", "Hi"),
    ],
)
def test_each_type(spec: str, line: str, field: str, expected: object, tmp_path: Path) -> None:
    assert value(loaded(tmp_path, spec, line), field) == expected


def test_two_dollars_stand_for_themselves(tmp_path: Path) -> None:
    result = loaded(tmp_path, "{}", "banner: costs $${limit} and $5")
    assert value(result, "banner") == "costs ${limit} and $5"


def test_a_value_wins_over_the_default(tmp_path: Path) -> None:
    result = loaded(tmp_path, "{limit: {type: integer, default: 24, value: 8}}", USES_LIMIT)
    assert value(result, "maxConnectionsPerUser") == 8


def test_the_command_line_wins_over_all(tmp_path: Path) -> None:
    result = loaded(tmp_path, "{limit: {type: integer, value: 8}}", USES_LIMIT, limit="9")
    assert value(result, "maxConnectionsPerUser") == 9


def test_an_overlay_sets_values(tmp_path: Path) -> None:
    write(tmp_path / "base", estate=together(SERVER, variables(LIMIT), imap(USES_LIMIT)))
    write(tmp_path / "overlays/test", values=variables("{limit: {value: 6}}"))
    assert value(load(tmp_path, environment="test"), "maxConnectionsPerUser") == 6


def test_an_unknown_variable_is_an_error_at_its_place(tmp_path: Path) -> None:
    result = loaded(tmp_path, LIMIT, "maxConnectionsPerUser: ${limt}")
    found = result.diagnostics[-1]
    assert (found.code, found.hint) == ("unknown-variable", "did you mean limit?")
    assert str(found.position) == f"{tmp_path}/estate.yaml:16:26"


def test_an_unset_variable_is_an_error_that_names_its_declaration(tmp_path: Path) -> None:
    assert errors(loaded(tmp_path, "{limit: {type: integer}}", USES_LIMIT)) == [
        f"variable limit is not set; it is declared at {tmp_path}/estate.yaml:9:8"
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{limit: {type: integer, default: many}}", 'limit: expected a whole number, got "many"'),
        ("{limit: {type: size, default: big}}", 'limit: expected a size such as "36MB", got "big"'),
        (
            "{limit: {type: integer, default: '${other}'}}",
            "limit: the value of a variable uses no other variable",
        ),
    ],
)
def test_a_wrong_value_is_an_error_where_it_stands(spec: str, message: str, tmp_path: Path) -> None:
    result = loaded(tmp_path, spec, USES_LIMIT)
    assert message in errors(result)
    assert str(result.diagnostics[0].position).startswith(f"{tmp_path}/estate.yaml:9:")


def test_there_is_no_type_for_secrets(tmp_path: Path) -> None:
    assert codes(loaded(tmp_path, "{key: {type: secret}}", "banner: hi")) == ["enum"]


def test_a_secret_cannot_come_from_a_variable(tmp_path: Path) -> None:
    alice = document(
        "Mailbox", "alice", '{database: db01, primarySmtpAddress: a@b.example, password: "${p}"}'
    )
    spec = variables("{p: {type: string, default: hunter2}}")
    result = load(write(tmp_path, estate=together(SERVER, DATABASE, spec, alice)))
    assert codes(result) == ["secret-in-clear"]
    assert "hunter2" not in result.diagnostics[0].message


def test_an_error_at_a_use_tells_where_the_value_was_set(tmp_path: Path) -> None:
    result = loaded(tmp_path, "{limit: {type: integer, default: -1}}", USES_LIMIT)
    assert errors(result)[0].endswith(f"; ${{limit}} is set at {tmp_path}/estate.yaml:9:40")
    assert str(result.diagnostics[0].position) == f"{tmp_path}/estate.yaml:16:26"


def test_an_error_between_documents_tells_it_too(tmp_path: Path) -> None:
    database = document("MailboxDatabase", "db", '{server: "${home}"}')
    spec = variables("{home: {type: string, default: ex09}}")
    message = errors(load(write(tmp_path, estate=together(SERVER, spec, database))))[0]
    assert message.startswith('there is no Server "ex09"; ${home} is set at ')


def test_an_unused_variable_is_a_warning(tmp_path: Path) -> None:
    result = loaded(tmp_path, LIMIT, "banner: hi")
    assert codes(result) == ["unused-variable"]
    assert result.desired is not None


def test_two_declarations_are_an_error(tmp_path: Path) -> None:
    text = together(SERVER, variables(LIMIT), variables(LIMIT), imap(USES_LIMIT))
    assert codes(load(write(tmp_path, estate=text))) == ["duplicate-variable"]


def test_setting_an_unknown_variable_is_an_error(tmp_path: Path) -> None:
    result = loaded(tmp_path, LIMIT, USES_LIMIT, limt="5")
    assert [found.hint for found in result.diagnostics] == ["did you mean limit?"]


def test_setting_another_type_is_an_error(tmp_path: Path) -> None:
    result = loaded(tmp_path, LIMIT, USES_LIMIT, limit="many")
    assert errors(result) == ['--set limit=…: expected a whole number, got "many"']


def test_an_unclosed_reference_is_an_error(tmp_path: Path) -> None:
    assert codes(loaded(tmp_path, "{}", "banner: Hi ${there")) == ["variable-syntax"]


def test_values_are_not_expanded_again(tmp_path: Path) -> None:
    result = loaded(tmp_path, LIMIT, 'banner: "$${limit} ${limit}"', limit="1")
    assert value(result, "banner") == "${limit} 1"


def test_the_cache_knows_whose_values_it_holds(tmp_path: Path) -> None:
    estate = write(tmp_path / "estate", estate=together(SERVER, variables(LIMIT), imap(USES_LIMIT)))
    found = [
        value(load(estate, cache=tmp_path / "cache", variables=given), "maxConnectionsPerUser")
        for given in ({}, {"limit": "7"}, {"limit": "7"}, {})
    ]
    assert found == [24, 7, 7, 24]


def test_names_may_use_variables(tmp_path: Path) -> None:
    text = together(
        SERVER, variables("{n: {type: string, default: imap}}"), imap(USES_LIMIT.replace("limit", "n"))
    )
    result = load(write(tmp_path, estate=text.replace("name: imap", 'name: "${n}-dublin"')))
    assert result.desired is None
    clean = text.replace("maxConnectionsPerUser: ${n}", "banner: Hi").replace(
        "name: imap", 'name: "${n}-dublin"'
    )
    assert desired(load(write(tmp_path, estate=clean))).resources


def test_a_server_without_settings_clashes_with_nobody_while_a_variable_is_wrong(tmp_path: Path) -> None:
    services = "{imap4: {startupType: Automatic}}"
    servers = [document("Server", n, f"{{fqdn: {n}.contoso.example, services: {services}}}") for n in "ab"]
    settings = document("ImapSettings", "imap", "\n  servers: [a, b]\n  maxConnectionsPerUser: ${limit}")
    write(tmp_path, estate=together(*servers, settings, variables("{limit: {type: integer, default: many}}")))
    assert codes(load(tmp_path)) == ["variable-type"]


def test_a_misspelt_variable_of_an_overlay_names_the_one_of_the_base(tmp_path: Path) -> None:
    write(tmp_path / "base", estate=together(SERVER, variables(LIMIT), imap(USES_LIMIT)))
    write(tmp_path / "overlays/test", variables=variables("{limits: {value: 32}}"))
    (problem,) = load(tmp_path, environment="test").diagnostics
    assert problem.hint == "did you mean limit?"
    assert problem.position is not None
    assert problem.position.file.parent.name == "test"


def test_a_resource_knows_where_the_variables_in_it_were_set(tmp_path: Path) -> None:
    write(
        tmp_path,
        estate=together(
            SERVER, variables(LIMIT), imap(USES_LIMIT + "\n  sslBindings: ['127.0.0.1:9${limit}']")
        ),
    )
    resource = only(load(tmp_path), "ImapSettings", "ex01")
    note = f"${{limit}} is set at {tmp_path}/estate.yaml:9:40"
    assert (resource.note("maxConnectionsPerUser"), resource.note("sslBindings")) == (note, note)
    assert resource.note("banner") == ""
