"""`reconcile init`: a new repository with an estate that works."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click

from reconciler import git
from reconciler.authoring.scaffold import IDENTITY, ScaffoldError, scaffold
from reconciler.cli.common import (
    DONE,
    say,
    tells_errors,
)
from reconciler.expected import ExpectedError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--environment",
    "environments",
    metavar="NAME",
    multiple=True,
    help="Lay the estate out as a base and an overlay of this name. Repeatable.",
)
@tells_errors
def init(directory: Path, environments: tuple[str, ...]) -> int:
    """Make a repository: an estate of one server, editor schemas, a pre-commit hook, CI for GitHub and GitLab.

    It works as it stands: validate passes, up runs it. The first password is made at random and encrypted; its key is
    in identity.txt, which git ignores. Nothing that is there already is overwritten.

    \b
      reconcile init mail
      reconcile init mail --environment development --environment production
    """
    if bad := [name for name in environments if not _NAME.fullmatch(name)]:
        raise ExpectedError(f"{bad[0]!r} is no name of an environment: use small letters, digits and dashes")
    try:
        files = scaffold(directory, tuple(dict.fromkeys(environments)))
    except ScaffoldError as error:
        raise ExpectedError(str(error)) from error
    except OSError as error:
        raise ExpectedError(f"{error.filename} cannot be written: {error.strerror}") from error
    for file in files:
        say(f"wrote {file}")
    _make_repository(directory)
    say(
        f"Keep {directory / IDENTITY} safe and out of git; {directory / 'README.md'} says how to go on, also with "
        "the pre-commit hook."
    )
    return DONE


def _make_repository(directory: Path) -> None:
    """`git init`, unless the directory is in a repository already or there is no git."""
    if shutil.which("git") is None or git.repository(directory) is not None:
        return
    making = [*git.command(directory), "init", "--quiet", "--initial-branch", "main"]
    subprocess.run(making, env=git.environment(directory), check=True)
    click.echo("made a git repository; commit when you like")
