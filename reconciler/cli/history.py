"""`reconcile history`: what was applied, by whom, and what became of it."""

from __future__ import annotations

import sys
from itertools import islice

import click

from reconciler.applying.history import entries, entry
from reconciler.cli.common import (
    DONE,
    format_option,
    print_json,
    print_text,
    state_directory,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.rendering.history_text import (
    entry_json,
    history_json,
    render_entry_text,
    render_history_text,
)


@click.group(invoke_without_command=True)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="At most so many, newest first.",
)
@format_option
@click.pass_context
@tells_errors
def history(ctx: click.Context, limit: int, output: str) -> int:
    """List what was applied: number, time, who, outcome, git commit, and how many changes came to what.

    The history is append-only and lies in the state directory as history.jsonl.

    \b
      reconcile history
      reconcile history show 3
      reconcile rollback --to 3
    """
    if ctx.invoked_subcommand is not None:
        return DONE
    newest = islice(reversed(tuple(entries(state_directory(ctx).history))), limit)
    if output == "json":
        print_json(history_json(newest))
    else:
        print_text(render_history_text(newest, columns=_columns()))
    return DONE


@history.command()
@click.argument("number", type=click.IntRange(min=1))
@format_option
@click.pass_context
@tells_errors
def show(ctx: click.Context, number: int, output: str) -> int:
    """Show one apply: its plan's digest, its commit, and the result of each change and service."""
    found = entry(state_directory(ctx).history, number)
    if output == "json":
        print_json(entry_json(found))
    else:
        print_text(render_entry_text(found, colour=uses_colour(), columns=_columns()))
    return DONE


def _columns() -> int | None:
    """None where nothing has to fit: nothing is cut then."""
    return terminal_width() if sys.stdout.isatty() else None
