"""A plan that would leave mail behind is refused: another database of a mailbox, another server of a database, or
a logon name of a live mailbox that stays.

Nothing moves mail yet, so carried out such a change would show an empty mailbox. Pure; called by everything that
applies, before anything is written. The runtime refuses the write as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change, Desired, Diagnostic, Key, LiveState, Plan, Present, Severity
from reconciler.planning.taken import taken_names, taken_problem
from schemas.v1.moves import Move, move_of


def move_problems(plan: Plan, desired: Desired, live: LiveState) -> Iterator[Diagnostic]:
    """One error for each change of the plan that would leave mail behind, at the field that asks for it."""
    for change in plan.changes:
        move = _move(change, desired, live)
        if move is not None:
            message = f"{change.key} {move.path}: {move.refusal}"
            place = next((field.position for field in change.fields if field.path == move.path), None)
            yield Diagnostic("move", Severity.ERROR, message, place or change.position, _hint(move))
    for taken in taken_names(plan, desired, live):
        yield taken_problem(taken, desired)


def refused_moves(plan: Plan, desired: Desired, live: LiveState) -> Iterator[tuple[Key, str]]:
    """The same by resource, for who goes on without them."""
    for change in plan.changes:
        move = _move(change, desired, live)
        if move is not None:
            yield change.key, f"{move.path}: {move.refusal}"
    for taken in taken_names(plan, desired, live):
        yield taken.change.key, f"{taken.path}: {taken.refusal}"


def _move(change: Change, desired: Desired, live: LiveState) -> Move | None:
    observed, declared = live.resources.get(change.live_key), desired.resources.get(change.key)
    if change.action is not Action.UPDATE or declared is None or not isinstance(observed, Present):
        return None
    asks = any(field.path in ("database", "server") for field in change.fields)
    return move_of(observed.spec, declared.spec) if asks else None


def _hint(move: Move) -> str:
    new = "mailbox" if move.path == "database" else "database"
    return f"write {move.path}: {move.old}, or declare a new {new} under another name for {move.new}"
