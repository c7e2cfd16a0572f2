"""`reconcile runtime start|stop|status`: the runtime in the background."""

from __future__ import annotations

import click

from reconciler.cli.common import (
    DONE,
    ERROR,
    format_option,
    print_json,
    print_note,
    say,
    state_directory,
    tells_errors,
)
from reconciler.daemon.process import ask_to_stop, failed_services, health_of, spawn, wait_until_up
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedReader


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def runtime() -> None:
    """Start, stop or look at the runtime of this state directory.

    The runtime starts from its own live configuration, without the files: what was applied last is what it serves.

    \b
      reconcile runtime start
      reconcile --state /srv/mail runtime status
      reconcile runtime stop
    """


@runtime.command()
@click.pass_context
@tells_errors
def start(ctx: click.Context) -> int:
    """Start it in the background and return when it answers. What it says goes to runtime/supervisor.log.

    Exit code 0: every service that is to run does; 1: some could not be started, which are named, and the others run.
    """
    state = state_directory(ctx)
    if (health := health_of(state)) is not None:
        say(f"The runtime runs already, as process {health['pid']}.")
    else:
        health = wait_until_up(state, spawn(state))
        say(f"The runtime runs as process {health['pid']}; its state is in {state.path}.")
    return ERROR if _tell_failed(state) else DONE


def _tell_failed(state: StateDirectory) -> int:
    """How many services could not be started; which, why, and how to go on is on standard error."""
    with EmbeddedReader(state) as reader:
        failed = failed_services(reader.status())
    for service, error in failed:
        print_note(f"{service} could not be started: {error}")
    if failed:
        click.echo(
            "When that is mended, `reconcile apply DIR` starts what is missing; the others run.", err=True
        )
    return len(failed)


@runtime.command()
@click.pass_context
@tells_errors
def stop(ctx: click.Context) -> int:
    """Let its sessions drain, end it, and return when it has ended."""
    state = state_directory(ctx)
    if (health := health_of(state)) is None:
        click.echo("The runtime does not run.")
        return DONE
    ask_to_stop(state)
    say(f"The runtime (process {health['pid']}) has ended.")
    return DONE


@runtime.command()
@format_option
@click.pass_context
@tells_errors
def status(ctx: click.Context, output: str) -> int:
    """Say whether it runs. Exit code 0: it does; 1: it does not."""
    state = state_directory(ctx)
    health = health_of(state)
    if output == "json":
        print_json({"state": "running" if health else "stopped", **(health or {})})
    elif health is None:
        say(f"No runtime runs for {state.path}.")
    else:
        say(f"The runtime runs as process {health['pid']}, version {health['version']}.")
    return DONE if health else ERROR
