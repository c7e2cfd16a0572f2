from __future__ import annotations

from reconciler.model import Action, Change, Key
from reconciler.planning.order import ordered
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS


def _change(kind: str, name: str, action: Action = Action.CREATE) -> Change:
    return Change(Key(kind, name), action, (), None, None)


def _keys(*changes: Change) -> list[str]:
    return [str(change.key) for change in ordered(changes)]


def test_creates_climb_the_ranks() -> None:
    changes = (_change("Mailbox", "a"), _change("ImapSettings", "ex01"), _change("Server", "ex01"))
    assert _keys(*changes) == ["Server/ex01", "ImapSettings/ex01", "Mailbox/a"]


def test_deletes_descend_the_ranks() -> None:
    changes = [_change(kind, "a", Action.DELETE) for kind in ("Server", "Mailbox", "MailboxDatabase")]
    assert _keys(*changes) == ["Mailbox/a", "MailboxDatabase/a", "Server/a"]


def test_deletes_come_last() -> None:
    changes = (_change("Server", "old", Action.DELETE), _change("Mailbox", "a", Action.UPDATE))
    assert _keys(*changes) == ["Mailbox/a", "Server/old"]


def test_ties_are_by_kind_and_name() -> None:
    changes = (_change("PopSettings", "a"), _change("ImapSettings", "b"), _change("ImapSettings", "a"))
    assert _keys(*changes) == ["ImapSettings/a", "ImapSettings/b", "PopSettings/a"]


def test_every_reference_points_to_a_lower_rank() -> None:
    references = [
        (kind, KINDS[fact.reference])
        for kind in KINDS.values()
        for fact in fields(kind.name).values()
        if fact.reference is not None
    ]
    assert references
    assert all(kind.rank > target.rank for kind, target in references)


def test_kinds_for_servers_rank_above_servers() -> None:
    assert all(kind.rank > KINDS["Server"].rank for kind in KINDS.values() if kind.selects_servers)
