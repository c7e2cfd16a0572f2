"""`--only`, `--exclude`, `--prune` and `--delete`: which part of the estate a verb is for, and what it may delete.

The options are kept with the command's context, so that a verb takes them by its decorator alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from reconciler.expected import ExpectedError
from reconciler.model import Key, Prune, Selection

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
_PREFIX = "reconciler.selecting."


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    ctx.meta[f"{_PREFIX}{parameter.name}"] = value


def selection_options(command: CommandT) -> CommandT:
    """Adds --only and --exclude."""
    only = click.option(
        "--only",
        multiple=True,
        metavar="GLOB",
        expose_value=False,
        callback=_keep,
        help="Look at these alone: 'ImapSettings/*', 'Mailbox/alice', server=ex01. Repeatable.",
    )
    exclude = click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        expose_value=False,
        callback=_keep,
        help="Leave these out; wins over --only. Repeatable.",
    )
    return only(exclude(command))


def prune_options(command: CommandT) -> CommandT:
    """Adds --prune and --delete."""
    prune = click.option(
        "--prune",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Delete what an apply once made and the files no longer declare.",
    )
    return prune(delete_option(command))


def delete_option(command: CommandT) -> CommandT:
    """Adds --delete."""
    delete = click.option(
        "--delete",
        multiple=True,
        metavar="KIND/NAME",
        expose_value=False,
        callback=_keep,
        help="Delete this undeclared resource; the only way for a mailbox, a database or a server. Repeatable.",
    )
    return delete(command)


def selection_of(ctx: click.Context) -> Selection:
    """What --only and --exclude say."""
    return Selection(ctx.meta.get(f"{_PREFIX}only", ()), ctx.meta.get(f"{_PREFIX}exclude", ()))


def is_everything(ctx: click.Context) -> bool:
    """True when none of the four options is given: the whole estate, and nothing is deleted."""
    return not any(ctx.meta.get(f"{_PREFIX}{name}") for name in ("only", "exclude", "prune", "delete"))


def prune_of(ctx: click.Context) -> Prune:
    """What --prune and --delete say. Raises ExpectedError for what names no resource."""
    named = frozenset(_key(text) for text in ctx.meta.get(f"{_PREFIX}delete", ()))
    return Prune(bool(ctx.meta.get(f"{_PREFIX}prune")), named)


def _key(text: str) -> Key:
    from schemas.v1.kinds import KINDS

    kind, _, name = text.partition("/")
    if kind in KINDS and name:
        return Key(kind, name)
    raise ExpectedError(f"--delete {text}: expected KIND/NAME, such as Mailbox/bob")
