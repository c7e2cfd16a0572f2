"""`reconcile validate`: read and check the files; no runtime is asked."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.common import (
    DONE,
    ERROR,
    directory_argument,
    format_option,
    print_diagnostics,
    print_json,
    state_directory,
    tells_errors,
)
from reconciler.declared.load import load
from reconciler.pipeline import has_errors
from reconciler.rendering.diagnostics import diagnostics_json


@click.command()
@directory_argument
@format_option
@click.pass_context
@tells_errors
def validate(ctx: click.Context, directory: Path, output: str) -> int:
    """Check every YAML file of DIR and name all errors at once, each with its file, line and column.

    Secrets are not read and nothing is asked of a runtime, so this runs anywhere, such as before a commit.

    \b
      reconcile validate examples/quickstart
      reconcile validate --format json estate/ | jq '.diagnostics[].message'
    """
    loaded = load(directory, cache=state_directory(ctx).cache)
    is_bad = loaded.desired is None or has_errors(loaded.diagnostics)
    if output == "json":
        print_json(diagnostics_json(loaded.diagnostics))
        return ERROR if is_bad else DONE
    print_diagnostics(loaded.diagnostics, loaded.sources)
    if loaded.desired is None or is_bad:
        return ERROR
    click.echo(f"{directory}: {len(loaded.desired.resources)} resources, no errors.")
    return DONE
