"""`reconcile fmt`: the canonical style of YAML files, shown, checked or written. Needs no runtime."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.authoring.formatting import formatted
from reconciler.cli.common import tells_errors
from reconciler.cli.rewriting import rewrite


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
    return rewrite(
        formatted(paths),
        check=check,
        write=write,
        fault="not in canonical style",
        result="in canonical style",
    )
