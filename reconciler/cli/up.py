"""`reconcile up`: the runtime as a child, and its directory kept applied, until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path
from typing import Any

import click

from reconciler.applying.apply import Applier
from reconciler.applying.verify import Verifier
from reconciler.cli.common import (
    DONE,
    ERROR,
    ExpectedError,
    current_author,
    directory_argument,
    print_diagnostics,
    print_text,
    state_directory,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.daemon import loop, process
from reconciler.daemon.loop import Loop, Notice
from reconciler.rendering.plan_text import render_plan_text
from reconciler.rendering.report_text import render_report_text
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Json


@click.command()
@directory_argument
@click.pass_context
@tells_errors
def up(ctx: click.Context, directory: Path) -> int:
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
    return _run(state, directory)


def _run(state: StateDirectory, directory: Path) -> int:
    stop = threading.Event()
    with _until_signal(stop):
        child = process.spawn(state)
        try:
            process.wait_until_up(state, child)
            click.echo(f"The runtime runs; its log is {state.runtime_log}. Ctrl-C ends it.")
            with EmbeddedTarget(state) as target:
                return _keep_applied(state, directory, target=target, child=child, stop=stop)
        finally:
            if child.poll() is None:
                click.echo("Sessions drain, the runtime ends.")
            process.end_child(state, child)


def _keep_applied(
    state: StateDirectory,
    directory: Path,
    *,
    target: EmbeddedTarget,
    child: subprocess.Popen[bytes],
    stop: threading.Event,
) -> int:
    """Run the loop in this thread while another one waits for the child, which must not end by itself."""
    ended = threading.Event()
    threading.Thread(target=_tell_when_gone, args=(child, ended, stop), daemon=True).start()
    applier = Applier(target, state, current_author(directory), Verifier(target), should_stop=stop.is_set)
    Loop(directory, applier, tell=_Teller(target)).run(stop)
    if not ended.is_set():
        return DONE
    click.echo(f"The runtime ended by itself:\n{process.log_tail(state)}", err=True)
    return ERROR


def _tell_when_gone(child: subprocess.Popen[bytes], ended: threading.Event, stop: threading.Event) -> None:
    child.wait()
    if not stop.is_set():
        ended.set()
        stop.set()


@contextmanager
def _until_signal(stop: threading.Event) -> Iterator[None]:
    def ask(_number: int, _frame: object) -> None:
        stop.set()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Teller:
    """Prints what the loop tells; after a first success also where to connect."""

    def __init__(self, target: EmbeddedTarget) -> None:
        self._target = target
        self._has_told_addresses = False

    def __call__(self, notice: Notice) -> None:
        is_good = isinstance(notice, loop.Unchanged) or (
            isinstance(notice, loop.Applied) and notice.report.is_success
        )
        tell(notice)
        if is_good and not self._has_told_addresses:
            self._has_told_addresses = True
            print_text(how_to_connect(self._target.status()))
        if not isinstance(notice, loop.Recovered | loop.Applying | loop.Failed):
            click.echo("Waiting for a change.")


@singledispatch
def tell(notice: object) -> None:
    """Print one notice of the loop; every kind of notice is registered below."""
    raise TypeError(f"a notice of an unknown kind: {notice!r}")


@tell.register
def _(notice: loop.Recovered) -> None:
    click.echo("An apply had been interrupted:")
    print_text(render_report_text(notice.report, colour=uses_colour()))


@tell.register
def _(notice: loop.Broken) -> None:
    print_diagnostics(notice.diagnostics, notice.sources)
    click.echo("The files are broken: the last good configuration stays live.", err=True)


@tell.register
def _(_notice: loop.Unchanged) -> None:
    click.echo("Live is what the files declare.")


@tell.register
def _(notice: loop.Applying) -> None:
    print_text(render_plan_text(notice.plan, colour=uses_colour(), width=terminal_width()))


@tell.register
def _(notice: loop.Applied) -> None:
    print_text(render_report_text(notice.report, colour=uses_colour()), err=not notice.report.is_success)


@tell.register
def _(notice: loop.Failed) -> None:
    again = (
        "Waiting for a change."
        if notice.retry_in is None
        else f"Trying again in {notice.retry_in:g} seconds."
    )
    click.echo(f"Error: {notice.error}\n{again}", err=True)


def how_to_connect(status: Json) -> str:
    """Each listener for clients, and the certificate to trust."""
    servers: Any = status["servers"]
    services = [service for server in servers for service in server["services"]]
    listeners = [_listener(service, at) for service in services for at in _public(service)]
    files = [
        f"  trust {found['file']}"
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
    return f"  {service['id']:28} {at['address']:24} {tls}"
