"""`reconcile up`: the runtime as a child, and its directory kept applied, until Ctrl-C."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import click

from reconciler.applying.apply import Applier
from reconciler.applying.history import Author
from reconciler.applying.hold import active
from reconciler.applying.verify import Verifier
from reconciler.cli.common import (
    DONE,
    ERROR,
    current_user,
    directory_argument,
    print_diagnostics,
    print_note,
    print_text,
    say,
    state_directory,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.cli.daemon import judged, on_signals
from reconciler.cli.guarded import origin_of
from reconciler.cli.guardrails import guardrail_options
from reconciler.cli.inputs import inputs_of, inputs_options
from reconciler.daemon import notices, process, service
from reconciler.daemon.events import event_of
from reconciler.daemon.feed import DirectoryFeed
from reconciler.daemon.follow import following
from reconciler.daemon.lease import Lease
from reconciler.daemon.ledger import Ledger, Patience
from reconciler.daemon.loop import Outside, Wish
from reconciler.daemon.notices import Notice
from reconciler.daemon.rounds import Healing
from reconciler.declared.layout import Inputs, locate
from reconciler.expected import ExpectedError
from reconciler.guardrails.guard import Guard
from reconciler.rendering.plan_text import render_plan_text
from reconciler.rendering.report_text import render_report_text
from reconciler.rendering.text import printable
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Json


@click.command()
@directory_argument
@inputs_options
@guardrail_options
@click.pass_context
@tells_errors
def up(ctx: click.Context, directory: Path, guard: Guard) -> int:
    """Run the mail servers that DIR declares, here, until Ctrl-C; apply DIR again whenever its files change.

    Broken files keep the last good configuration and are told. At the end the sessions drain and the runtime stops;
    mail and live configuration stay in the state directory.

    \b
      reconcile up examples/quickstart
      reconcile --state /tmp/try up examples/quickstart
    """
    state = state_directory(ctx)
    if (health := process.health_of(state)) is not None:
        raise ExpectedError(
            f"a runtime runs already for {state.path}, as process {health['pid']}; "
            f"use `reconcile apply {directory}`, or `reconcile runtime stop` first"
        )
    root, environment = locate(directory, inputs_of(ctx).environment)
    inputs = replace(inputs_of(ctx), environment=environment)
    return _run(_Stage(state, root, inputs, replace(guard, environment=environment)))


def _run(stage: _Stage) -> int:
    state = stage.state
    wish, lease = Wish(), Lease(state.daemon)
    try:
        service.take_lease(lease, wish=wish, tell=_silently, waits=False, beat=_nothing)
    except service.HeldError as error:
        raise ExpectedError(str(error)) from error
    with on_signals(wish):
        child = process.spawn(state)
        try:
            process.wait_until_up(state, child)
            say(f"The runtime runs; its log is {state.runtime_log}. Ctrl-C ends it.")
            with EmbeddedTarget(state) as target:
                ended = _tell_when_gone(child, wish)
                is_well = _keep_applied(stage, target=target, lease=lease, wish=wish)
        finally:
            if child.poll() is None:
                click.echo("Sessions drain, the runtime ends.")
            process.end_child(state, child)
    if not ended.is_set():
        return DONE if is_well else ERROR
    print_note("The runtime ended by itself:")
    for line in process.log_tail(state).splitlines():
        print_note(line)
    return ERROR


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is kept applied, where, and what it is held against."""

    state: StateDirectory
    directory: Path
    inputs: Inputs
    guard: Guard


def _keep_applied(stage: _Stage, *, target: EmbeddedTarget, lease: Lease, wish: Wish) -> bool:
    """The daemon's loop, which heals what files change; whoever starts it wants another try of what failed before.
    False when it could not go on."""
    state, tell = stage.state, _Teller(target)
    feed = DirectoryFeed(stage.directory, state=state.path)
    ledger = Ledger(state.daemon / "ledger.json", Patience())
    ledger.release("all")
    guard = stage.guard
    healing = Healing(
        ledger,
        judge=lambda planned: judged(planned, feed, guard, history=state.history),
        origin=origin_of(guard, stage.directory),
    )
    loop = following(
        feed,
        Applier(target, state, Author(current_user()), Verifier(target)),
        stage.inputs,
        holds=lambda: active(state.holds),
        healing=healing,
        tell=tell,
        outside=Outside(wish, check=lease.check),
    )
    return service.serve(loop, lease, tell=tell)


def _tell_when_gone(child: subprocess.Popen[bytes], wish: Wish) -> threading.Event:
    """An event that is set when the child ends although nobody asked for it; the loop is then asked to end."""
    ended = threading.Event()

    def wait() -> None:
        child.wait()
        if not wish.stop:
            ended.set()
            wish.ask_stop()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _silently(_: Notice) -> None:
    """There is nothing to say about a lease that is free."""


def _nothing() -> None:
    """Nobody waits for a sign of life."""


_ENDS = notices.Applied | notices.Broken | notices.Unchanged | notices.Blocked


class _Teller:
    """Prints what the loop tells; after a first success also where to connect."""

    def __init__(self, target: EmbeddedTarget) -> None:
        self._target = target
        self._has_told_addresses = False

    def __call__(self, notice: Notice) -> None:
        is_good = isinstance(notice, notices.Unchanged) or (
            isinstance(notice, notices.Applied) and notice.report.is_success
        )
        tell(notice)
        if is_good and not self._has_told_addresses:
            self._has_told_addresses = True
            print_text(how_to_connect(self._target.status()))
        if isinstance(notice, _ENDS):
            click.echo("Waiting for a change.")


@singledispatch
def tell(notice: Notice) -> None:
    """Print one notice of the loop: those below in full, the daemon's others as the line of its log."""
    if isinstance(notice, notices.Flapping | notices.Barred | notices.LeftAlone | notices.LeaseLost):
        event = event_of(notice)
        print_note(event.text if event else "")


@tell.register
def _(notice: notices.Recovered) -> None:
    click.echo("An apply had been left unfinished:")
    print_text(render_report_text(notice.report, colour=uses_colour()))


@tell.register
def _(notice: notices.Broken) -> None:
    print_diagnostics(notice.diagnostics, notice.sources)
    click.echo("The files are broken: the last good configuration stays live.", err=True)


@tell.register
def _(notice: notices.Warned) -> None:
    print_diagnostics(notice.diagnostics, notice.sources)


@tell.register
def _(notice: notices.Blocked) -> None:
    print_diagnostics(notice.diagnostics, notice.sources)
    print_note(f"{notice.why}: nothing was changed.")


@tell.register
def _(notice: notices.Unchanged) -> None:
    event = event_of(notice)
    say(event.text if event else "")


@tell.register
def _(notice: notices.Applying) -> None:
    print_text(render_plan_text(notice.plan, colour=uses_colour(), width=terminal_width()))


@tell.register
def _(notice: notices.Applied) -> None:
    print_text(render_report_text(notice.report, colour=uses_colour()), err=not notice.report.is_success)


@tell.register
def _(notice: notices.Failed) -> None:
    print_note(f"Error: {notice.error}")
    if notice.retry_in is not None:
        print_note(f"Trying again in {notice.retry_in:g} seconds.")
    elif not notice.is_last:
        click.echo("Waiting for a change.", err=True)


def how_to_connect(status: Json) -> str:
    """Each listener for clients, and the certificate to trust."""
    servers: Any = status["servers"]
    services = [service for server in servers for service in server["services"]]
    listeners = [_listener(service, at) for service in services for at in _public(service)]
    files = [
        f"  trust {printable(found['file'])}"
        for server in servers
        for found in server["certificates"]
        if "file" in found
    ]
    if not listeners:
        return "No service listens: every startup type is Manual or Disabled."
    return "\n".join(["Listening:", *listeners, "Log on with a mailbox's address and its password.", *files])


def _public(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [at for at in service.get("listening") or () if at.get("purpose") not in ("backend", "internal")]


def _listener(service: Mapping[str, Any], at: Mapping[str, Any]) -> str:
    tls = {"implicit": "TLS", "starttls": "STARTTLS", "none": "no TLS"}[at["tls"]]
    return printable(f"  {service['id']:28} {at['address']:24} {tls}")
