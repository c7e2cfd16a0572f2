"""`reconcile`: the table of verbs. A verb's module is imported when it is run, so that help is quick.

This package is the only place that prints. Exit codes: 0 nothing to do or done, 2 changes or drift found, 1 error,
usage errors included.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click

from reconciler.age import IDENTITY_FILE


class Verb(NamedTuple):
    """Where a verb lives (`module:attribute` under this package) and its line in the help."""

    target: str
    help: str


VERBS = {
    "validate": Verb("validate:validate", "Check the files of a directory; needs no runtime."),
    "plan": Verb("plan:plan", "Show what apply would change and restart."),
    "apply": Verb("apply:apply", "Make the live mail servers what the files say."),
    "review": Verb("review:review", "Say what a pull request changes, as a comment; needs no runtime."),
    "drift": Verb("drift:drift", "Show where the live values differ from the files."),
    "history": Verb("history:history", "List what was applied, and what became of it."),
    "rollback": Verb("rollback:rollback", "Go back to what was live after an entry of the history."),
    "hold": Verb("hold:hold", "Leave resources as they are for a while."),
    "status": Verb("status:status", "Show servers, services, sessions and pending restarts."),
    "explain": Verb("explain:explain", "Say what a kind or a field means."),
    "live": Verb("live:live", "Look at live values, or change one by hand."),
    "up": Verb("up:up", "Run the runtime here, apply a directory, and apply again on change."),
    "daemon": Verb("daemon:daemon", "Watch a directory or a git reference; tell drift, or heal it."),
    "fmt": Verb("fmt:fmt", "Give YAML files one style, with comments and order kept."),
    "import": Verb("import_:import_", "Write what is live as YAML, or update files from it."),
    "init": Verb("init:init", "Make a repository that works: estate, hooks, continuous integration."),
    "secret": Verb("secret:secret", "Keep secrets in git, encrypted: keygen, encrypt, edit, rotate, list."),
    "policy": Verb("policy:policy", "List, test and try the guardrails that a plan is held against."),
    "runtime": Verb("runtime:runtime", "Start, stop or look at the runtime in the background."),
    "upgrade": Verb("upgrade:upgrade", "Rewrite files of an older apiVersion, comments kept."),
    "schema": Verb("schema:schema", "Write or check the generated JSON Schemas and reference."),
}

HELP = """Mail servers declared in YAML: validate, plan, apply, and restart exactly what needs it.

\b
  reconcile up examples/quickstart        run and keep it as declared
  reconcile runtime start                 or: run in the background,
  reconcile plan examples/quickstart      look,
  reconcile apply examples/quickstart     and apply

Exit codes: 0 nothing to do or done, 2 changes or drift found, 1 error.
"""


class LazyGroup(click.Group):
    """A group that knows its verbs by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: the order of work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb."""
        if (verb := VERBS.get(cmd_name)) is None:
            return None
        module, _, attribute = verb.target.partition(":")
        command: click.Command = getattr(import_module(f"reconciler.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table alone, so that no verb is imported."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


@click.command(cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state",
    metavar="DIR",
    envvar="RECONCILE_STATE",
    default=".reconcile",
    show_default=True,
    help="Directory of the runtime's and the reconciler's state; RECONCILE_STATE sets it too.",
)
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="File with the age or SSH key that opens encrypted secrets; RECONCILE_AGE_IDENTITY sets it too.",
)
@click.version_option(package_name="reconciler", message="%(prog)s %(version)s", help="Show the version.")
@click.pass_context
def reconcile(ctx: click.Context, state: str, identity: str | None) -> None:
    """The root of all verbs; keeps where the state is, and hands on whose key opens secrets."""
    ctx.obj = state
    if identity is not None:
        ctx.with_resource(_identity(identity))


@contextmanager
def _identity(file: str) -> Iterator[None]:
    """The option is the variable: whoever resolves a secret looks there."""
    before = os.environ.get(IDENTITY_FILE)
    os.environ[IDENTITY_FILE] = str(Path(file).absolute())
    try:
        yield
    finally:
        os.environ.pop(IDENTITY_FILE)
        if before is not None:
            os.environ[IDENTITY_FILE] = before


_BEFORE_THE_VERB = ("--state", "--identity")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    try:
        code = reconcile.main(args=arguments, prog_name="reconcile", standalone_mode=False)
    except click.NoSuchOption as error:
        error.show()
        if error.option_name in _BEFORE_THE_VERB:
            from reconciler.cli.common import print_note

            verb = error.ctx.info_name if error.ctx else "VERB"
            print_note(f"It goes before the verb: reconcile {error.option_name} … {verb} …")
        return 1
    except click.ClickException as error:
        error.show()
        return 1
    except click.Abort:
        click.echo("Stopped.", err=True)
        return 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
