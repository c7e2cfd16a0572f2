"""Base and overlays: what is merged, what is replaced, and where each value stands afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.declared.layout import EnvironmentClashError
from reconciler.declared.load import Loaded, load
from reconciler.model import Ignore, Key
from reconciler.secret import SecretRef
from schemas.v1.codec import dump_spec
from tests.declared.builders import DATABASE, SERVER, codes, desired, document, mailbox, only, together, write

IMAP = document("ImapSettings", "imap", "{servers: [ex01], maxConnectionsPerUser: 32, banner: Hello}")


def layered(
    directory: Path, base: tuple[str, ...], overlay: tuple[str, ...], *, name: str = "test"
) -> Loaded:
    """What `base` with one overlay loads as."""
    write(directory / "base", estate=together(*base))
    write(directory / "overlays" / name, changes=together(*overlay))
    return load(directory, environment=name)


def changed(directory: Path, overlay: str) -> Loaded:
    """IMAP settings of one server with this overlay."""
    return layered(directory, (SERVER, IMAP), (overlay,))


def test_a_partial_document_changes_what_it_says(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imap", "{maxConnectionsPerUser: 8}"))
    spec = dump_spec(only(result, "ImapSettings", "ex01").spec)
    assert (spec["maxConnectionsPerUser"], spec["banner"]) == (8, "Hello")


def test_each_field_stands_where_it_won(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imap", "{maxConnectionsPerUser: 8}"))
    resource = only(result, "ImapSettings", "ex01")
    places = {path: resource.position(path) for path in ("maxConnectionsPerUser", "banner")}
    assert places["maxConnectionsPerUser"].file == tmp_path / "overlays/test/changes.yaml"
    assert (places["maxConnectionsPerUser"].line, places["maxConnectionsPerUser"].column) == (4, 31)
    assert places["banner"].file == tmp_path / "base/estate.yaml"


def test_an_error_points_at_the_file_that_won(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imap", "{maxConnectionsPerUser: many}"))
    assert codes(result) == ["integer"]
    assert str(result.diagnostics[0].position) == f"{tmp_path}/overlays/test/changes.yaml:4:31"


def test_null_goes_back_to_the_default(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imap", "{maxConnectionsPerUser: null}"))
    assert dump_spec(only(result, "ImapSettings", "ex01").spec)["maxConnectionsPerUser"] == 16


def test_null_for_what_the_base_does_not_say_is_an_error(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imap", "{maxConnectionPerUser: null}"))
    assert codes(result) == ["overlay"]
    assert result.diagnostics[0].hint == "did you mean maxConnectionsPerUser?"


def test_lists_are_replaced(tmp_path: Path) -> None:
    base = document(
        "ImapSettings", "imap", '{servers: [ex01], sslBindings: ["127.0.0.1:993", "127.0.0.2:993"]}'
    )
    patch = document("ImapSettings", "imap", '{sslBindings: ["127.0.0.3:993"]}')
    result = layered(tmp_path, (SERVER, base), (patch,))
    assert dump_spec(only(result, "ImapSettings", "ex01").spec)["sslBindings"] == ["127.0.0.3:993"]


def test_groups_are_merged(tmp_path: Path) -> None:
    base = document(
        "Server", "ex01", "{fqdn: a.contoso.example, services: {imap4: {startupType: Automatic}}}"
    )
    patch = document("Server", "ex01", "{services: {pop3: {startupType: Automatic}}}")
    services = dump_spec(only(layered(tmp_path, (base,), (patch,)), "Server", "ex01").spec)["services"]
    assert isinstance(services, dict)
    assert services["imap4"] == services["pop3"] == {"startupType": "Automatic"}


def test_ignored_fields_are_merged_by_path(tmp_path: Path) -> None:
    base = IMAP + "lifecycle: {ignore: [{path: banner, reason: by hand}, {path: loginType, reason: old}]}\n"
    patch = document("ImapSettings", "imap", "{}") + (
        "lifecycle: {ignore: [{path: loginType, reason: new}, {path: maxConnections, reason: tuned}]}\n"
    )
    result = layered(tmp_path, (SERVER, base), (patch,))
    assert only(result, "ImapSettings", "ex01").ignore == (
        Ignore("banner", "by hand"),
        Ignore("loginType", "new"),
        Ignore("maxConnections", "tuned"),
    )


def test_an_item_is_deleted_by_its_key(tmp_path: Path) -> None:
    base = IMAP + "lifecycle: {ignore: [{path: banner, reason: by hand}]}\n"
    patch = document("ImapSettings", "imap", "{}") + "lifecycle: {ignore: [{path: banner, $patch: delete}]}\n"
    assert only(layered(tmp_path, (SERVER, base), (patch,)), "ImapSettings", "ex01").ignore == ()


def test_a_server_selection_is_replaced_whole(tmp_path: Path) -> None:
    patch = document("ImapSettings", "imap", "{servers: {matchLabels: {site: dublin}}}")
    assert Key("ImapSettings", "ex01") in desired(changed(tmp_path, patch)).resources


def test_a_secret_reference_is_replaced_whole_and_found_beside_its_file(tmp_path: Path) -> None:
    alice = mailbox("alice", ", password: {secretRef: {env: ALICE}}")
    patch = document("Mailbox", "alice", "{password: {secretRef: {file: alice}}}")
    (tmp_path / "overlays/test").mkdir(parents=True)
    (tmp_path / "overlays/test/alice").write_text("password")
    result = layered(tmp_path, (SERVER, DATABASE, alice), (patch,))
    place = str(tmp_path / "overlays/test/alice")
    assert only(result, "Mailbox", "alice").secrets == {"password": SecretRef("file", place)}


def test_an_overlay_adds_documents(tmp_path: Path) -> None:
    result = layered(tmp_path, (SERVER, DATABASE), (mailbox("alice"),))
    assert Key("Mailbox", "alice") in desired(result).resources


def test_an_overlay_removes_documents(tmp_path: Path) -> None:
    patch = "apiVersion: reconciler/v1\nkind: ImapSettings\nmetadata: {name: imap}\n$patch: delete\n"
    assert set(desired(changed(tmp_path, patch)).resources) == {Key("Server", "ex01")}


def test_only_delete_is_a_patch(tmp_path: Path) -> None:
    patch = document("ImapSettings", "imap", "{}") + "$patch: replace\n"
    assert codes(changed(tmp_path, patch)) == ["overlay"]


def test_removing_what_is_not_there_names_what_is_close(tmp_path: Path) -> None:
    patch = "apiVersion: reconciler/v1\nkind: ImapSettings\nmetadata: {name: imapp}\n$patch: delete\n"
    result = changed(tmp_path, patch)
    assert "there is no ImapSettings/imapp in the base to delete" in result.diagnostics[0].message
    assert result.diagnostics[0].hint == "did you mean ImapSettings/imap?"


def test_a_partial_document_without_a_base_names_what_is_close(tmp_path: Path) -> None:
    result = changed(tmp_path, document("ImapSettings", "imapp", "{maxConnectionsPerUser: 8}"))
    assert codes(result) == ["overlay", "missing"]
    assert result.diagnostics[0].hint == "did you mean ImapSettings/imap?"
    assert result.desired is None


def test_two_changes_of_one_document_are_an_error(tmp_path: Path) -> None:
    patch = document("ImapSettings", "imap", "{banner: Hi}")
    result = layered(tmp_path, (SERVER, IMAP), (patch, patch))
    assert "is changed by two documents of this overlay" in result.diagnostics[0].message
    first = f"{tmp_path}/overlays/test/changes.yaml:1:1"
    assert result.diagnostics[0].message.endswith(f"; the first is at {first}")
    assert str(result.diagnostics[0].position) != first


def test_an_overlay_as_the_directory_is_never_another_environment(tmp_path: Path) -> None:
    layered(tmp_path, (SERVER, IMAP), (document("ImapSettings", "imap", "{banner: Hi}"),))
    overlay = tmp_path / "overlays" / "test"
    assert desired(load(overlay, environment="test")).resources
    said = r"overlays/test is the environment test, and .* says other;"
    with pytest.raises(EnvironmentClashError, match=said):
        load(overlay, environment="other")


def test_a_change_of_one_of_two_is_an_error(tmp_path: Path) -> None:
    other = IMAP.replace("[ex01]", "[ex02]")
    base = (SERVER, SERVER.replace("ex01", "ex02"), IMAP, other)
    result = layered(tmp_path, base, (document("ImapSettings", "imap", "{banner: Hi}"),))
    assert "stands more than once in the base" in result.diagnostics[0].message


def test_a_base_document_may_be_completed_by_the_overlay(tmp_path: Path) -> None:
    base = "apiVersion: reconciler/v1\nkind: Server\nmetadata: {name: ex01}\nspec: {site: dublin}\n"
    result = layered(tmp_path, (base,), (document("Server", "ex01", "{fqdn: ex01.contoso.example}"),))
    assert dump_spec(only(result, "Server", "ex01").spec)["fqdn"] == "ex01.contoso.example"


def test_an_environment_has_to_be_chosen(tmp_path: Path) -> None:
    layered(tmp_path, (SERVER,), (IMAP,), name="production")
    write(tmp_path / "overlays/staging", none="")
    result = load(tmp_path)
    assert result.desired is None
    assert "there are: production, staging" in result.diagnostics[0].message


def test_an_unknown_environment_names_what_is_close(tmp_path: Path) -> None:
    layered(tmp_path, (SERVER,), (IMAP,), name="production")
    assert load(tmp_path, environment="prodution").diagnostics[0].hint == "did you mean production?"


def test_an_environment_of_a_plain_directory_is_an_error(tmp_path: Path) -> None:
    (problem,) = load(write(tmp_path, server=SERVER), environment="test").diagnostics
    assert problem.code == "environment"
    assert problem.hint is not None
    assert problem.hint.startswith("leave --environment or RECONCILE_ENVIRONMENT out, or create ")


def test_the_overlay_can_be_given_as_the_directory(tmp_path: Path) -> None:
    overlay = document("ImapSettings", "imap", "{banner: Hi}")
    by_name = layered(tmp_path, (SERVER, IMAP), (overlay,), name="production")
    by_directory = load(tmp_path / "overlays/production")
    assert desired(by_directory).digest == desired(by_name).digest


@pytest.mark.parametrize("directory", [".", "../production", "../../overlays/production"])
def test_the_overlay_can_be_where_one_stands(
    directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layered(tmp_path, (SERVER, IMAP), (document("ImapSettings", "imap", "{banner: Hi}"),), name="production")
    monkeypatch.chdir(tmp_path / "overlays/production")
    assert Key("ImapSettings", "ex01") in desired(load(Path(directory))).resources


def test_other_overlays_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "overlays/broken", broken="not: [yaml")
    assert Key("Server", "ex01") in desired(layered(tmp_path, (SERVER,), (IMAP,))).resources


def test_a_file_beside_the_layers_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, stray=DATABASE)
    result = layered(tmp_path, (SERVER,), (IMAP,))
    assert codes(result) == ["not-read"]
    assert result.desired is not None


def test_a_second_run_from_the_cache_is_the_same(tmp_path: Path) -> None:
    base, patch = (
        (SERVER, DATABASE, mailbox("alice"), mailbox("bob")),
        document("Mailbox", "bob", "{alias: rob}"),
    )
    layered(tmp_path, base, (patch,))
    first = load(tmp_path, environment="test", cache=tmp_path / "cache")
    second = load(tmp_path, environment="test", cache=tmp_path / "cache")
    assert desired(first).digest == desired(second).digest
    assert dict(only(first, "Mailbox", "bob").positions) == dict(only(second, "Mailbox", "bob").positions)


@pytest.mark.parametrize("directory", ["base", "base/../base"])
def test_the_base_is_never_read_alone(tmp_path: Path, directory: str) -> None:
    layered(tmp_path, (SERVER, IMAP), (document("ImapSettings", "imap", "{banner: Hi}"),), name="production")
    (problem,) = load(tmp_path / directory).diagnostics
    assert "no environment is chosen; there are: production" in problem.message


def test_the_base_with_an_environment_is_the_estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = document("ImapSettings", "imap", "{banner: Hi}")
    by_name = layered(tmp_path, (SERVER, IMAP), (patch,), name="production")
    by_base = load(tmp_path / "base", environment="production")
    assert desired(by_base).digest == desired(by_name).digest
    monkeypatch.chdir(tmp_path / "base")
    assert desired(load(Path(), environment="production")).digest == desired(by_name).digest


def test_a_directory_named_base_may_be_plain(tmp_path: Path) -> None:
    assert Key("Server", "ex01") in desired(load(write(tmp_path / "base", server=SERVER))).resources


def test_a_layered_estate_further_down_is_named(tmp_path: Path) -> None:
    layered(tmp_path / "estate", (SERVER,), (IMAP,))
    write(tmp_path / "other", stray=DATABASE)
    for environment in (None, "test"):
        (problem,) = load(tmp_path, environment=environment).diagnostics
        assert problem.code == "environment"
        assert problem.hint == f"did you mean {tmp_path}/estate/?"


def test_directories_that_only_sound_layered_are_plain(tmp_path: Path) -> None:
    write(tmp_path / "estate" / "base", server=SERVER)
    write(tmp_path / "estate" / "overlays-old", database=DATABASE)
    assert len(desired(load(tmp_path)).resources) == 2
