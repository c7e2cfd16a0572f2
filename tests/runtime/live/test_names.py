"""A name that one resource only may have is not given to a second one, and may change hands within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.live import Author, Draft, LiveStore, NameTakenError
from runtime.live.resource import Row
from schemas.v1.codec import parse_spec

NOBODY = Author()
APPLY = Author("alice", "a1")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStore]:
    with closing(LiveStore(tmp_path / "live.sqlite")) as store:
        yield store


def mailbox(address: str, **fields: object) -> Draft:
    spec = {"database": "db01", "primarySmtpAddress": f"{address}@contoso.example", **fields}
    return Draft(parse_spec("Mailbox", spec))


def domain(name: str) -> Draft:
    return Draft(parse_spec("AcceptedDomain", {"domainName": name}))


def write(live: LiveStore, name: str, draft: Draft, *, author: Author = NOBODY, kind: str = "Mailbox") -> Row:
    row = live.row(kind, name)
    return live.write((kind, name), draft, expect=row.revision if row else None, author=author)


def addresses(live: LiveStore) -> dict[str, str]:
    return {
        row.name: row.spec.partition('"primarySmtpAddress":"')[2].partition("@")[0] for row in live.rows()
    }


def made_to_clash(live: LiveStore, tmp_path: Path) -> None:
    """anna and bert with the same address, as a version that did not look may have left them."""
    write(live, "anna", mailbox("x"))
    write(live, "bert", mailbox("bert"))
    live.close()
    with closing(sqlite3.connect(tmp_path / "live.sqlite")) as file, file:
        file.execute("UPDATE resources SET spec = replace(spec, 'bert@', 'x@') WHERE name = 'bert'")


@pytest.mark.parametrize(
    ("name", "draft", "taken"),
    [
        ("bert", mailbox("Anna"), "anna@contoso.example"),
        ("bert", mailbox("bert", emailAddresses=["anna@contoso.example"]), "anna@contoso.example"),
        ("bert", mailbox("bert", userPrincipalName="second@contoso.example"), "second@contoso.example"),
        ("bert", mailbox("bert", alias="annie"), "annie"),
        ("Annie", mailbox("bert"), "annie"),
    ],
)
def test_a_second_mailbox_is_refused(live: LiveStore, name: str, draft: Draft, taken: str) -> None:
    write(live, "anna", mailbox("anna", alias="annie", emailAddresses=["second@contoso.example"]))
    with pytest.raises(NameTakenError, match=f"Mailbox/{name} .*: {taken} belongs to Mailbox/anna already"):
        write(live, name, draft)
    assert live.row("Mailbox", name) is None


def test_a_second_domain_is_refused(live: LiveStore) -> None:
    write(live, "one", domain("contoso.example"), kind="AcceptedDomain")
    with pytest.raises(NameTakenError, match=r"domainName: contoso.example belongs to AcceptedDomain/one"):
        write(live, "two", domain("Contoso.example"), kind="AcceptedDomain")
    write(live, "wide", domain("*.contoso.example"), kind="AcceptedDomain")


def test_it_is_known_after_a_start_too(live: LiveStore, tmp_path: Path) -> None:
    write(live, "anna", mailbox("anna", emailAddresses=["second@contoso.example"]))
    live.close()
    with closing(LiveStore(tmp_path / "live.sqlite")) as again:
        for taken in ("anna", "second"):
            with pytest.raises(NameTakenError, match=f"{taken}@contoso.example belongs to Mailbox/anna"):
                write(again, "bert", mailbox(taken))


def test_what_was_given_up_is_free(live: LiveStore) -> None:
    write(live, "anna", mailbox("anna"))
    write(live, "anna", mailbox("ann"))
    write(live, "bert", mailbox("anna"))


def test_what_was_deleted_is_free(live: LiveStore) -> None:
    live.delete(("Mailbox", "anna"), expect=write(live, "anna", mailbox("anna")).revision, author=NOBODY)
    write(live, "bert", mailbox("anna"))


def test_a_refused_write_leaves_the_names_as_they_were(live: LiveStore) -> None:
    write(live, "anna", mailbox("anna"))
    write(live, "bert", mailbox("bert"))
    with pytest.raises(NameTakenError):
        write(live, "bert", mailbox("anna"))
    with pytest.raises(NameTakenError, match=r"bert@contoso.example belongs to Mailbox/bert"):
        write(live, "carl", mailbox("bert"))


def test_names_go_round_within_a_transaction(live: LiveStore) -> None:
    for name in "abc":
        write(live, f"m-{name}", mailbox(name))
    with live.transaction():
        for name, address in zip("abc", "bca", strict=True):
            write(live, f"m-{name}", mailbox(address))
    assert addresses(live) == {"m-a": "b", "m-b": "c", "m-c": "a"}


def test_of_two_that_ask_for_one_name_the_second_is_refused(live: LiveStore) -> None:
    def both() -> None:
        with live.transaction():
            write(live, "anna", mailbox("x"))
            write(live, "bert", mailbox("x"))

    with pytest.raises(NameTakenError, match=r"Mailbox/bert .* belongs to Mailbox/anna"):
        both()
    assert live.epoch == 0


def test_a_renamed_mailbox_keeps_its_names(live: LiveStore) -> None:
    made = write(live, "anna", mailbox("anna"))
    live.rename(("Mailbox", "anna"), "annie", expect=made.revision, author=NOBODY)
    with pytest.raises(NameTakenError, match=r"belongs to Mailbox/annie"):
        write(live, "bert", mailbox("anna"))
    write(live, "anna", mailbox("other"))


def test_whoever_gets_the_name_of_a_renamed_one_does_not_get_its_address(live: LiveStore) -> None:
    made = write(live, "anna", mailbox("x"))

    def both() -> None:
        with live.transaction():
            live.rename(("Mailbox", "anna"), "annie", expect=made.revision, author=NOBODY)
            write(live, "anna", mailbox("x"))

    with pytest.raises(NameTakenError, match=r"Mailbox/anna .* belongs to Mailbox/annie"):
        both()


def test_what_is_asked_for_before_a_rename_is_asked_for_after_it(live: LiveStore) -> None:
    write(live, "anna", mailbox("x"))
    write(live, "bert", mailbox("bert"))

    def both() -> None:
        with live.transaction():
            made = write(live, "bert", mailbox("x"))
            live.rename(("Mailbox", "bert"), "berta", expect=made.revision, author=NOBODY)

    with pytest.raises(NameTakenError, match=r"Mailbox/berta .* belongs to Mailbox/anna"):
        both()


def test_a_restored_version_does_not_take_a_name_back(live: LiveStore) -> None:
    first = write(live, "anna", mailbox("x"))
    second = write(live, "anna", mailbox("anna"))
    write(live, "bert", mailbox("x"))
    with pytest.raises(NameTakenError, match=r"Mailbox/anna .* belongs to Mailbox/bert"):
        live.restore(("Mailbox", "anna"), first.revision, expect=second.revision, author=NOBODY)


def test_not_even_when_an_apply_takes_back_its_own(live: LiveStore) -> None:
    first = write(live, "anna", mailbox("x"))
    second = write(live, "anna", mailbox("anna"), author=APPLY)
    write(live, "bert", mailbox("x"))
    with pytest.raises(NameTakenError, match=r"Mailbox/anna .* belongs to Mailbox/bert"):
        live.restore(("Mailbox", "anna"), first.revision, expect=second.revision, author=APPLY)


def test_an_older_clash_stands_in_nobodys_way(live: LiveStore, tmp_path: Path) -> None:
    made_to_clash(live, tmp_path)
    with closing(LiveStore(tmp_path / "live.sqlite")) as again:
        write(again, "anna", mailbox("x", popEnabled=False))
        write(again, "anna", mailbox("anna"))


def test_an_apply_that_ended_a_clash_can_be_taken_back(live: LiveStore, tmp_path: Path) -> None:
    made_to_clash(live, tmp_path)
    with closing(LiveStore(tmp_path / "live.sqlite")) as again:
        first = again.row("Mailbox", "anna")
        assert first is not None
        ended = write(again, "anna", mailbox("anna"), author=APPLY)
        with pytest.raises(NameTakenError):
            again.restore(("Mailbox", "anna"), first.revision, expect=ended.revision, author=NOBODY)
        again.restore(("Mailbox", "anna"), first.revision, expect=ended.revision, author=APPLY)
        assert addresses(again) == {"anna": "x", "bert": "x"}
