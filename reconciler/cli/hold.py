"""`reconcile hold`: leave resources as they are for a while."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import Any

import click

from reconciler.applying import hold as holds
from reconciler.applying.hold import active, new_hold, parse_until
from reconciler.cli.common import (
    DONE,
    current_user,
    format_option,
    open_reader,
    print_json,
    print_note,
    print_text,
    say,
    state_directory,
    tells_errors,
    terminal_width,
)
from reconciler.declared.suggest import did_you_mean
from reconciler.rendering.hold_text import hold_json, render_holds_text
from reconciler.targets.target import NotRunningError
from schemas.v1.kinds import KINDS


class _HoldGroup(click.Group):
    """`hold KIND/NAME` is `hold add KIND/NAME`: no verb has a slash in it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What has a slash is what to hold."""
        if args and "/" in args[0]:
            return "add", self.commands["add"], args
        return super().resolve_command(ctx, args)


@click.group(cls=_HoldGroup)
def hold() -> None:
    """Leave resources as they are, whatever the files say, until a time; then the hold ends by itself.

    Plan, apply, rollback and the daemon leave out what is held and say so; status shows it.

    \b
      reconcile hold ImapSettings/ex01 --until 2h --reason "a test of the limits"
      reconcile hold 'Mailbox/*' --until 18:00 --reason "a migration"
      reconcile hold list
      reconcile hold release ImapSettings/ex01
    """


@hold.command(hidden=True)
@click.argument("resource", metavar="KIND/NAME")
@click.option("--until", required=True, metavar="TIME", help="2h, 1d12h, 18:00 or 2030-01-31T18:00.")
@click.option("--reason", required=True, help="Why; it is shown to everybody who plans.")
@click.pass_context
@tells_errors
def add(ctx: click.Context, resource: str, until: str, reason: str) -> int:
    """Hold KIND/NAME ("*" matches any text) until TIME."""
    _check_kind(resource)
    if not reason.strip():
        raise holds.HoldError("say why, with --reason: whoever meets the hold will want to know")
    state = state_directory(ctx)
    state.make()
    made = new_hold(resource, until=parse_until(until), reason=reason.strip(), by=current_user())
    holds.add(state.holds, made)
    say(f"{made.pattern} is held until {made.until}.")
    _tell_what_is_not_there(ctx, resource)
    return DONE


@hold.command(name="list")
@format_option
@click.pass_context
@tells_errors
def list_(ctx: click.Context, output: str) -> int:
    """Show what is held now, until when, by whom and why."""
    found = active(state_directory(ctx).holds)
    if output == "json":
        shown: list[Any] = [hold_json(one) for one in found]
        print_json({"holds": shown})
    else:
        columns = terminal_width() if sys.stdout.isatty() else None
        print_text(render_holds_text(found, columns=columns) or "Nothing is held.")
    return DONE


@hold.command()
@click.argument("resource", metavar="KIND/NAME")
@click.pass_context
@tells_errors
def release(ctx: click.Context, resource: str) -> int:
    """End a hold now."""
    ended = holds.release(state_directory(ctx).holds, resource)
    say(f"{ended.pattern} is not held any more; it was to be until {ended.until}.")
    return DONE


def _tell_what_is_not_there(ctx: click.Context, resource: str) -> None:
    """A hold may be of what is declared and not live yet; a misspelt one would hold nothing."""
    try:
        with open_reader(ctx) as reader:
            live = [str(key) for key in reader.stamps().resources]
    except NotRunningError:
        return
    if not any(fnmatchcase(key, resource) for key in live):
        guess = (
            did_you_mean(resource, live)
            or "`reconcile live get` lists what is; settings are named after their server"
        )
        print_note(f"warning: nothing that is live is called {resource}; {guess}")


def _check_kind(resource: str) -> None:
    kind, _, name = resource.partition("/")
    if not name or (kind not in KINDS and "*" not in kind):
        raise holds.HoldError(f"{resource} names no resource; write KIND/NAME with one of {', '.join(KINDS)}")
