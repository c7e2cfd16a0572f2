"""`reconcile upgrade`: files of an older version of the contract, shown in the newest, or rewritten."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from reconciler.authoring.formatting import Formatted
from reconciler.authoring.replacing import replace_file
from reconciler.authoring.upgrading import upgraded
from reconciler.cli.common import (
    CHANGES,
    DONE,
    ERROR,
    tells_errors,
)
from reconciler.expected import ExpectedError


@click.command()
@click.argument(
    "paths", metavar="DIR...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.option("--check", is_flag=True, help="Name the files of an older version.")
@click.option("--write", is_flag=True, help="Rewrite them.")
@tells_errors
def upgrade(paths: tuple[Path, ...], check: bool, write: bool) -> int:
    """Rewrite YAML files of an older apiVersion in the newest one. Older ones are read as well, so there is no hurry.

    Comments and the order of fields stay. What a file means is compared before it is written. Without an option it
    shows the differences.

    \b
      reconcile upgrade estate             shows what would change
      reconcile upgrade --write estate
      reconcile upgrade --check estate     in continuous integration

    Exit code 0: all files are of the newest version, or were written; 2: some are not; 1: some cannot be rewritten.
    """
    if check and write:
        raise ExpectedError("say one thing to do: --check or --write")
    found = list(upgraded(paths))
    for file in found:
        _tell(file, check=check, write=write)
    if any(file.problem for file in found):
        return ERROR
    return CHANGES if not write and any(file.is_changed for file in found) else DONE


def _tell(file: Formatted, *, check: bool, write: bool) -> None:
    if file.problem:
        click.echo(f"{file.path}: {file.problem}", err=True)
    elif not file.is_changed:
        return
    elif write:
        replace_file(file.path, file.after.encode())
        click.echo(f"{file.path}: rewritten")
    elif check:
        click.echo(f"{file.path}: of an older version")
    else:
        before, after = file.before.splitlines(keepends=True), file.after.splitlines(keepends=True)
        lines = difflib.unified_diff(before, after, str(file.path), f"{file.path} upgraded")
        click.echo("".join(lines), nl=False)
