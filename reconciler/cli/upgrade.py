"""`reconcile upgrade`: files of an older version of the contract, shown in the newest, or rewritten."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.authoring.upgrading import upgraded
from reconciler.cli.common import tells_errors
from reconciler.cli.rewriting import rewrite


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
    return rewrite(upgraded(paths), check=check, write=write, fault="of an older version", result="upgraded")
