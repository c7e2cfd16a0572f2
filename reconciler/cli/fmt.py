"""`reconcile fmt`: the canonical style of YAML files, shown, checked or written. Needs no runtime."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from reconciler.authoring.formatting import Formatted, formatted
from reconciler.authoring.replacing import replace_file
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
@click.option("--check", is_flag=True, help="Name the files that are not in canonical style.")
@click.option("--write", is_flag=True, help="Rewrite them.")
@tells_errors
def fmt(paths: tuple[Path, ...], check: bool, write: bool) -> int:
    """Give YAML files one style: key order, two spaces, quotes only where they are needed.

    Comments, blank lines and the order of fields stay, and so does the meaning: both are checked before a file is
    written. Without an option it shows the differences.

    \b
      reconcile fmt estate             shows what would change
      reconcile fmt --write estate
      reconcile fmt --check estate     in continuous integration

    Exit code 0: all files are in style, or were written; 2: some are not; 1: some cannot be read.
    """
    if check and write:
        raise ExpectedError("say one thing to do: --check or --write")
    found = list(formatted(paths))
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
        click.echo(f"{file.path}: not in canonical style")
    else:
        click.echo("".join(_difference(file)), nl=False)


def _difference(file: Formatted) -> list[str]:
    before, after = file.before.splitlines(keepends=True), file.after.splitlines(keepends=True)
    return list(difflib.unified_diff(before, after, str(file.path), f"{file.path} in canonical style"))
