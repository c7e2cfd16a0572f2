"""Reading and writing resources through the control API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.runtime.supervisor.process import Answer, Json, Supervisor, UnixConnection, running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One supervisor for this module: each test writes resources of its own."""
    with running(tmp_path_factory.mktemp("api") / "state") as started:
        yield started


def domain(name: str) -> Json:
    """A domain of its own for each resource."""
    return {"domainName": f"{name}.contoso.example"}


def mailbox(name: str) -> Json:
    """With an address of its own, too."""
    return {"database": "db01", "primarySmtpAddress": f"{name}@contoso.example"}


def put(api: Supervisor, name: str, body: Json, **headers: str) -> Answer:
    return api.call("PUT", f"/v1/resources/{name}", body, **headers)


def errors(answer: Answer) -> dict[str, str]:
    return {one["path"]: one["message"] for one in answer.body["problems"]}


def test_health_tells_who_answers(api: Supervisor) -> None:
    assert api.process is not None
    health = api.call("GET", "/v1/health").body
    assert health["pid"] == api.process.pid
    assert set(health) == {"version", "instance", "pid"}


def test_a_created_resource_is_answered_with_all_its_fields(api: Supervisor) -> None:
    answer = put(
        api,
        "AcceptedDomain/one",
        {"spec": domain("one")},
        If_None_Match="*",
        X_Actor="alice",
        X_Apply_Id="a1",
    )
    assert answer.status == 200
    assert answer.etag == f'"{answer.body["revision"]}"'
    assert answer.body["spec"]["domainType"] == "Authoritative"
    assert (answer.body["updatedBy"], answer.body["applyId"]) == ("alice", "a1")
    assert api.call("GET", "/v1/resources/AcceptedDomain/one").body == answer.body


def test_resources_are_listed_by_kind(api: Supervisor) -> None:
    api.create("AcceptedDomain", "listed", domain("listed"))
    answer = api.call("GET", "/v1/resources?kind=AcceptedDomain").body
    assert "listed" in [one["name"] for one in answer["resources"]]
    assert {one["kind"] for one in answer["resources"]} == {"AcceptedDomain"}
    assert answer["epoch"] >= 1


@pytest.mark.parametrize("path", ["resources?kind=Mailbx", "resources/AcceptedDomain/nobody", "nonsense"])
def test_what_is_not_there_is_404(api: Supervisor, path: str) -> None:
    answer = api.call("GET", f"/v1/{path}")
    assert answer.status == 404
    assert answer.body["error"]


def test_creating_what_is_there_is_a_conflict_that_shows_it(api: Supervisor) -> None:
    there = api.create("AcceptedDomain", "there", domain("there"))
    answer = put(api, "AcceptedDomain/there", {"spec": domain("there")}, If_None_Match="*")
    assert (answer.status, answer.body["current"]) == (412, there)


def test_updating_an_older_revision_is_a_conflict(api: Supervisor) -> None:
    old = api.create("AcceptedDomain", "moved", domain("moved"))
    new = api.update("AcceptedDomain", "moved", matchSubDomains=True)
    answer = put(api, "AcceptedDomain/moved", {"spec": domain("moved")}, If_Match=f'"{old["revision"]}"')
    assert (answer.status, answer.body["current"]["revision"]) == (412, new["revision"])


def test_updating_what_is_absent_is_a_conflict(api: Supervisor) -> None:
    answer = put(api, "AcceptedDomain/absent", {"spec": domain("absent")}, If_Match='"1"')
    assert (answer.status, answer.body["current"]) == (412, None)


@pytest.mark.parametrize("headers", [{}, {"If_Match": "x"}, {"If_Match": '"1"', "If_None_Match": "*"}])
def test_a_write_says_what_it_expects(api: Supervisor, headers: dict[str, str]) -> None:
    answer = put(api, "AcceptedDomain/vague", {"spec": domain("vague")}, **headers)
    assert answer.status == 428
    assert "If-Match" in answer.body["error"]


def test_every_problem_of_a_spec_is_told_at_its_field(api: Supervisor) -> None:
    spec = {"maxConnectionsPerUser": 0, "loginType": "Loose", "maxConnections": 5}
    answer = put(api, "ImapSettings/ex01", {"spec": spec}, If_None_Match="*")
    assert answer.status == 422
    assert set(errors(answer)) == {"maxConnectionsPerUser", "loginType"}


def test_a_field_inside_a_group_is_named_by_its_path(api: Supervisor) -> None:
    spec = {"fqdn": "ex01.contoso.example", "services": {"imap4": {"startupType": "Sometimes"}}}
    answer = put(api, "Server/ex01", {"spec": spec}, If_None_Match="*")
    assert list(errors(answer)) == ["services.imap4.startupType"]


def test_an_unknown_field_is_refused(api: Supervisor) -> None:
    answer = put(
        api, "AcceptedDomain/extra", {"spec": domain("extra") | {"colour": "red"}}, If_None_Match="*"
    )
    assert list(errors(answer)) == ["colour"]


@pytest.mark.parametrize(
    "name", ["Certificate/alone", "AcceptedDomain/a/b", "Server/..", "Server/%20", "Certificate/a/%2e%2e"]
)
def test_a_name_that_could_leave_its_directory_is_refused(api: Supervisor, name: str) -> None:
    assert put(api, name, {"spec": {}}, If_None_Match="*").status == 422


def test_a_malformed_body_is_refused_without_repeating_it(api: Supervisor) -> None:
    answer = put(api, "Mailbox/alice", {"secrets": {"password": ["hunter2"]}}, If_None_Match="*")
    assert answer.status == 422
    assert "hunter2" not in str(answer.body)


def test_a_secret_that_no_logon_takes_is_refused(api: Supervisor) -> None:
    spec = {"database": "db01", "primarySmtpAddress": "long@contoso.example"}
    body = {"spec": spec, "secrets": {"password": "ü" * 513}}
    answer = put(api, "Mailbox/long", body, If_None_Match="*")
    assert answer.status == 422
    assert errors(answer) == {"password": "a secret has at most 1024 octets"}


def test_a_body_over_the_limit_is_refused(api: Supervisor) -> None:
    answer = put(api, "AcceptedDomain/huge", {"spec": {"domainName": "x" * 1024 * 1024}}, If_None_Match="*")
    assert answer.status == 413


def test_a_body_over_the_limit_is_refused_though_its_length_is_not_announced(api: Supervisor) -> None:
    connection = UnixConnection(api.state / "runtime" / "control.sock")
    with closing(connection):
        pieces = (b"x" * 65536 for _ in range(32))
        headers = {"If-None-Match": "*"}
        connection.request("PUT", "/v1/resources/AcceptedDomain/huge", pieces, headers, encode_chunked=True)
        assert connection.getresponse().status == 413


def test_a_deleted_resource_is_gone(api: Supervisor) -> None:
    made = api.create("AcceptedDomain", "gone", domain("gone"))
    answer = api.call("DELETE", "/v1/resources/AcceptedDomain/gone", If_Match=str(made["revision"]))
    assert answer.body["revision"] > made["revision"]
    assert api.call("GET", "/v1/resources/AcceptedDomain/gone").status == 404


def test_restore_brings_an_earlier_version_back(api: Supervisor) -> None:
    old = api.create("AcceptedDomain", "back", domain("back"))
    new = api.update("AcceptedDomain", "back", matchSubDomains=True)
    answer = api.call(
        "POST",
        "/v1/restore/AcceptedDomain/back",
        {"revision": old["revision"]},
        If_Match=str(new["revision"]),
    )
    assert answer.body["spec"] == old["spec"]
    assert answer.body["revision"] > new["revision"]


def test_restore_to_nothing_deletes(api: Supervisor) -> None:
    made = api.create("AcceptedDomain", "never", domain("never"))
    body = {"revision": None}
    assert (
        api.call("POST", "/v1/restore/AcceptedDomain/never", body, If_Match=str(made["revision"])).status
        == 200
    )
    assert api.call("GET", "/v1/resources/AcceptedDomain/never").status == 404


def test_restore_of_an_unknown_revision_is_404(api: Supervisor) -> None:
    made = api.create("AcceptedDomain", "unknown", domain("unknown"))
    body = {"revision": 999_999}
    assert (
        api.call("POST", "/v1/restore/AcceptedDomain/unknown", body, If_Match=str(made["revision"])).status
        == 404
    )


def test_a_secret_goes_in_and_only_its_keyed_digest_comes_out(api: Supervisor) -> None:
    made = api.create("Mailbox", "digest", mailbox("digest"), password="hunter2")
    assert len(made["secrets"]["password"]) == 64
    assert "hunter2" not in str(made)
    assert "argon2" not in str(api.call("GET", "/v1/resources/Mailbox/digest").body)


def test_the_digest_is_made_with_the_digest_key(api: Supervisor) -> None:
    made = api.create("Mailbox", "keyed", mailbox("keyed"), password="hunter2")
    key = bytes.fromhex(api.call("GET", "/v1/digest-key").body["key"])
    assert made["secrets"]["password"] == hmac.new(key, b"hunter2", hashlib.sha256).hexdigest()


def test_an_update_keeps_the_secrets_it_does_not_mention(api: Supervisor) -> None:
    made = api.create("Mailbox", "kept", mailbox("kept"), password="hunter2")
    assert api.update("Mailbox", "kept", popEnabled=False)["secrets"] == made["secrets"]


def test_null_takes_a_secret_away(api: Supervisor) -> None:
    made = api.create("Mailbox", "open", mailbox("open"), password="hunter2")
    body = {"spec": mailbox("open"), "secrets": {"password": None}}
    assert put(api, "Mailbox/open", body, If_Match=str(made["revision"])).body["secrets"] == {}


@pytest.mark.parametrize(("path", "text"), [("pin", "1234"), ("popEnabled", "x"), ("password", "")])
def test_a_secret_that_the_kind_has_not_or_that_is_empty_is_refused(
    api: Supervisor, path: str, text: str
) -> None:
    answer = put(
        api, "Mailbox/refused", {"spec": mailbox("refused"), "secrets": {path: text}}, If_None_Match="*"
    )
    assert (answer.status, list(errors(answer))) == (422, [path])


def test_secrets_are_stored_as_argon2id_at_the_cost_that_the_owning_server_declares(tmp_path: Path) -> None:
    with running(tmp_path / "state") as own:
        cost = {"memoryCost": 64, "timeCost": 3, "parallelism": 1}
        own.create("Server", "ex01", {"fqdn": "ex01.contoso.example", "passwordHashing": cost})
        own.create("MailboxDatabase", "db01", {"server": "ex01"})
        own.create("Mailbox", "alice", mailbox("alice"), password="hunter2")
        stored = b"".join(file.read_bytes() for file in (tmp_path / "state" / "runtime").glob("live.sqlite*"))
    assert b"$argon2id$v=19$m=64,t=3,p=1$" in stored
    assert b"hunter2" not in stored


def test_nothing_secret_is_logged(api: Supervisor) -> None:
    api.create("Mailbox", "quiet", mailbox("quiet"), password="planted-secret")
    assert "planted-secret" not in api.log()
    assert "argon2id" not in api.log()


def test_a_mailbox_is_not_moved_to_another_database(api: Supervisor) -> None:
    revision = api.create("Mailbox", "settled", mailbox("settled"))["revision"]
    answer = put(
        api, "Mailbox/settled", {"spec": {**mailbox("settled"), "database": "db02"}}, If_Match=f'"{revision}"'
    )
    assert answer.status == 422
    assert "mail cannot be moved between databases yet" in errors(answer)["database"]
