"""`reconcile status`: what runs, as the runtime tells it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from reconciler.applying.hold import active
from reconciler.cli.common import (
    DONE,
    format_option,
    open_reader,
    print_json,
    print_text,
    state_directory,
    tell_interrupted,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.rendering.hold_text import hold_json, render_holds_text
from reconciler.rendering.status_text import render_status_text


@click.command()
@format_option
@click.pass_context
@tells_errors
def status(ctx: click.Context, output: str) -> int:
    """Show servers, services with their state, generation, process and addresses, sessions, certificates, and pending
    restarts.

    \b
      reconcile status
      reconcile status --format json | jq .pendingRestarts
    """
    with open_reader(ctx) as runtime:
        found = runtime.status()
    tell_interrupted(ctx)
    held = active(state_directory(ctx).holds)
    if output == "json":
        print_json({**found, "holds": [hold_json(hold) for hold in held]})
        return DONE
    width = terminal_width() if sys.stdout.isatty() else None
    now = datetime.now(UTC)
    print_text(render_status_text(found, now=now, colour=uses_colour(), width=width))
    if held:
        print_text("\n" + render_holds_text(held, columns=width))
    return DONE
