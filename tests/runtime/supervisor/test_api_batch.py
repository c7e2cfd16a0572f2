"""Writing many resources at once, renaming, protection, and reading without specs, through the control API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.v1.codec import digest_spec, parse_spec
from tests.runtime.supervisor.process import Answer, Json, Supervisor, running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One supervisor for this module: each test writes resources of its own."""
    with running(tmp_path_factory.mktemp("api") / "state") as started:
        yield started


def domain(name: str) -> Json:
    """A domain of its own for each resource."""
    return {"domainName": f"{name}.contoso.example"}


def put(name: str, *, expect: int | None = None, **more: object) -> Json:
    return {
        "op": "put",
        "kind": "AcceptedDomain",
        "name": name,
        "expect": expect,
        "spec": domain(name),
        **more,
    }


def batch(api: Supervisor, *items: Json) -> list[Json]:
    answer = api.call("POST", "/v1/batch", {"items": items}, X_Actor="alice", X_Apply_Id="a1")
    assert answer.status == 200, answer
    results: list[Json] = answer.body["results"]
    return results


def get(api: Supervisor, name: str, kind: str = "AcceptedDomain") -> Answer:
    return api.call("GET", f"/v1/resources/{kind}/{name}")


def mailbox(api: Supervisor, name: str, password: str) -> Json:
    spec = {"database": "db01", "primarySmtpAddress": f"{name}@contoso.example"}
    return api.create("Mailbox", name, spec, password=password)


def test_a_batch_writes_in_order_and_tells_each_revision(api: Supervisor) -> None:
    first, second = batch(api, put("one"), put("two"))
    assert first["revision"] < second["revision"]
    found = get(api, "two").body
    assert (found["revision"], found["updatedBy"], found["applyId"]) == (second["revision"], "alice", "a1")


def test_a_batch_stops_at_a_conflict_and_keeps_what_was_before_it(api: Supervisor) -> None:
    there = api.create("AcceptedDomain", "taken", domain("taken"))
    results = batch(api, put("before"), put("taken"), put("after"))
    assert [one["status"] for one in results] == [200, 412]
    assert results[1]["current"]["revision"] == there["revision"]
    assert get(api, "before").status == 200
    assert get(api, "after").status == 404


def test_a_batch_stops_at_what_the_models_refuse(api: Supervisor) -> None:
    results = batch(api, put("good"), put("bad", spec={"domainType": "Mine"}), put("late"))
    assert [one["status"] for one in results] == [200, 422]
    assert results[1]["problems"]
    assert get(api, "late").status == 404


def test_a_conflict_before_a_refusal_is_what_is_told(api: Supervisor) -> None:
    api.create("AcceptedDomain", "earlier", domain("earlier"))
    results = batch(api, put("earlier"), put("bad", spec={}))
    assert [one["status"] for one in results] == [412]


def test_a_batch_hashes_secrets(api: Supervisor) -> None:
    spec = {"database": "db01", "primarySmtpAddress": "carol@contoso.example"}
    item = {"op": "put", "kind": "Mailbox", "name": "carol", "expect": None, "spec": spec}
    batch(api, {**item, "secrets": {"password": "correct horse"}})
    assert list(get(api, "carol", "Mailbox").body["secrets"]) == ["password"]


def test_a_batch_restores_and_deletes(api: Supervisor) -> None:
    old = api.create("AcceptedDomain", "back", domain("back"))
    new = api.update("AcceptedDomain", "back", matchSubDomains=True)
    gone = api.create("AcceptedDomain", "gone", domain("gone"))
    restore = {"op": "restore", "kind": "AcceptedDomain", "name": "back", "expect": new["revision"]}
    delete = {"op": "delete", "kind": "AcceptedDomain", "name": "gone", "expect": gone["revision"]}
    batch(api, {**restore, "revision": old["revision"]}, delete)
    assert get(api, "back").body["spec"] == old["spec"]
    assert get(api, "gone").status == 404


def test_too_many_items_are_refused(api: Supervisor) -> None:
    items = [put(f"many{number}") for number in range(1001)]
    assert api.call("POST", "/v1/batch", {"items": items}).status == 422


def test_digests_stand_for_specs(api: Supervisor) -> None:
    api.create("AcceptedDomain", "digested", domain("digested"))
    listed = api.call("GET", "/v1/resources?view=digests").body["resources"]
    found = next(one for one in listed if one[:2] == ["AcceptedDomain", "digested"])
    assert found[3] == digest_spec(parse_spec("AcceptedDomain", domain("digested")))


def test_many_are_read_at_once_and_absent_ones_left_out(api: Supervisor) -> None:
    there = api.create("AcceptedDomain", "read", domain("read"))
    keys = [["AcceptedDomain", "read"], ["AcceptedDomain", "nobody"]]
    assert api.call("POST", "/v1/read", {"keys": keys}).body["resources"] == [there]


def test_what_was_live_at_an_epoch_is_listed(api: Supervisor) -> None:
    old = api.create("AcceptedDomain", "past", domain("past"))
    api.update("AcceptedDomain", "past", matchSubDomains=True)
    listed = api.call("GET", f"/v1/resources?at={old['revision']}").body["resources"]
    assert next(one for one in listed if one["name"] == "past") == old


def test_a_protected_resource_is_not_deleted(api: Supervisor) -> None:
    body = {"spec": domain("kept"), "protected": True}
    made = api.call("PUT", "/v1/resources/AcceptedDomain/kept", body, If_None_Match="*").body
    assert made["protected"]
    answer = api.call("DELETE", "/v1/resources/AcceptedDomain/kept", If_Match=str(made["revision"]))
    assert answer.status == 409
    assert "is protected" in answer.body["error"]


def test_protection_can_be_taken_away(api: Supervisor) -> None:
    body = {"spec": domain("freed"), "protected": True}
    made = api.call("PUT", "/v1/resources/AcceptedDomain/freed", body, If_None_Match="*").body
    changed = batch(api, put("freed", expect=made["revision"], protected=False))
    delete = {"op": "delete", "kind": "AcceptedDomain", "name": "freed", "expect": changed[0]["revision"]}
    assert batch(api, delete)[0]["status"] == 200


def test_a_renamed_mailbox_keeps_its_secret(api: Supervisor) -> None:
    made = mailbox(api, "dora", "correct horse")
    renamed = api.call("POST", "/v1/rename/Mailbox/dora", {"to": "dorothea"}, If_Match=str(made["revision"]))
    assert renamed.status == 200
    assert (renamed.body["name"], renamed.body["secrets"]) == ("dorothea", made["secrets"])
    assert get(api, "dora", "Mailbox").status == 404


def test_a_batch_renames_and_changes_in_one_step(api: Supervisor) -> None:
    made = mailbox(api, "emil", "correct horse")
    item = put("emilia", expect=made["revision"], kind="Mailbox", op="rename", renamedFrom="emil")
    spec = {"database": "db01", "primarySmtpAddress": "emilia@contoso.example"}
    batch(api, {**item, "spec": spec})
    found = get(api, "emilia", "Mailbox").body
    assert found["spec"]["primarySmtpAddress"] == "emilia@contoso.example"
    assert found["secrets"] == made["secrets"]


@pytest.mark.parametrize(
    ("path", "to"), [("Server/ex01", "ex02"), ("ReceiveConnector/ex01/client", "ex02/client")]
)
def test_what_cannot_be_renamed_is_refused(api: Supervisor, path: str, to: str) -> None:
    answer = api.call("POST", f"/v1/rename/{path}", {"to": to}, If_Match="1")
    assert answer.status == 422
    assert "rename" in answer.body["error"]


def test_a_rename_onto_a_taken_name_conflicts(api: Supervisor) -> None:
    made, taken = (
        api.create("AcceptedDomain", "from", domain("from")),
        api.create("AcceptedDomain", "onto", domain("onto")),
    )
    answer = api.call(
        "POST", "/v1/rename/AcceptedDomain/from", {"to": "onto"}, If_Match=str(made["revision"])
    )
    assert (answer.status, answer.body["current"]["revision"]) == (412, taken["revision"])


def address(name: str, local: str, *, expect: int | None = None) -> Json:
    spec = {"database": "db01", "primarySmtpAddress": f"{local}@contoso.example"}
    return {"op": "put", "kind": "Mailbox", "name": name, "expect": expect, "spec": spec}


def created(api: Supervisor, *names: str) -> dict[str, int]:
    """Mailboxes with an address that is called as they are; the revision of each."""
    results = batch(api, *(address(name, name) for name in names))
    return {name: one["revision"] for name, one in zip(names, results, strict=True)}


def test_a_batch_may_swap_names(api: Supervisor) -> None:
    made = created(api, "swap-a", "swap-b", "swap-c")
    round_about = (("swap-a", "swap-b"), ("swap-b", "swap-c"), ("swap-c", "swap-a"))
    results = batch(api, *(address(name, to, expect=made[name]) for name, to in round_about))
    assert [one["status"] for one in results] == [200, 200, 200]


def test_a_batch_that_ends_in_a_clash_is_refused_and_keeps_what_holds_by_itself(api: Supervisor) -> None:
    made = created(api, "clash-a", "clash-b", "clash-c")
    results = batch(
        api,
        put("clash-before"),
        address("clash-a", "clash-b", expect=made["clash-a"]),
        address("clash-b", "clash-c", expect=made["clash-b"]),
        put("clash-after"),
    )
    assert [one["status"] for one in results] == [200, 409]
    text = "Mailbox/clash-a primarySmtpAddress: clash-b@contoso.example belongs to Mailbox/clash-b already"
    assert text in results[1]["error"]
    assert get(api, "clash-before").status == 200
    assert get(api, "clash-after").status == 404
    assert get(api, "clash-a", "Mailbox").body["revision"] == made["clash-a"]


def test_a_swap_of_which_half_conflicts_tells_the_conflict(api: Supervisor) -> None:
    made = created(api, "half-a", "half-b")
    moved = api.update("Mailbox", "half-b", popEnabled=False)
    results = batch(
        api,
        address("half-a", "half-b", expect=made["half-a"]),
        address("half-b", "half-a", expect=made["half-b"]),
    )
    assert [(one["status"], one["item"]) for one in results] == [(412, 1)]
    assert results[0]["current"]["revision"] == moved["revision"]
    assert get(api, "half-a", "Mailbox").body["revision"] == made["half-a"]


def test_a_single_write_does_not_take_anothers_name(api: Supervisor) -> None:
    made = created(api, "sole-a", "sole-b")
    body = {"spec": address("", "sole-a")["spec"]}
    answer = api.call("PUT", "/v1/resources/Mailbox/sole-b", body, If_Match=str(made["sole-b"]))
    assert answer.status == 409
    assert "sole-a@contoso.example belongs to Mailbox/sole-a already" in answer.body["error"]


def test_neither_does_a_restore_or_a_rename(api: Supervisor) -> None:
    made = created(api, "past-a", "past-b")
    moved = api.update("Mailbox", "past-a", primarySmtpAddress="past-c@contoso.example")
    taken = api.update("Mailbox", "past-b", primarySmtpAddress="past-a@contoso.example", alias="past-alias")
    body, now = {"revision": made["past-a"]}, str(moved["revision"])
    assert api.call("POST", "/v1/restore/Mailbox/past-a", body, If_Match=now).status == 409
    assert api.call("POST", "/v1/rename/Mailbox/past-a", {"to": "past-alias"}, If_Match=now).status == 409
    assert get(api, "past-b", "Mailbox").body["revision"] == taken["revision"]
