"""`reconcile schema`: the files that are generated from the schemas, for who works on this project."""

from __future__ import annotations

import click

from reconciler.cli.common import (
    DONE,
    ERROR,
    say,
    tells_errors,
)
from reconciler.expected import ExpectedError
from schemas.v1 import json_schema, reference


@click.command()
@click.option("--write", is_flag=True, help="Write the files that are stale.")
@click.option("--check", is_flag=True, help="Name the files that are stale; exit code 1 when there are some.")
@tells_errors
def schema(write: bool, check: bool) -> int:
    """Write or check the JSON Schemas in schemas/v1/json and the reference pages in docs/reference.

    \b
      reconcile schema --write      after a change of a kind
      reconcile schema --check      in continuous integration
    """
    if write == check:
        raise ExpectedError("say what to do: --write or --check")
    generated = (json_schema.generated(), reference.generated())
    paths = [path for files in generated for path in (files.write() if write else files.stale())]
    for path in paths:
        say(f"{'wrote' if write else 'stale'} {path}")
    return ERROR if check and paths else DONE
