"""`reconcile import`: what is live, as files to start from; or existing files brought up to it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from reconciler.authoring.documents import Secrets
from reconciler.authoring.imported import import_clashes, import_live
from reconciler.authoring.replacing import create_file, replace_file
from reconciler.authoring.updated import update
from reconciler.cli.common import (
    DONE,
    ERROR,
    open_reader,
    print_diagnostics,
    print_note,
    say,
    tells_errors,
)
from reconciler.cli.inputs import inputs_of, inputs_options, load_estate
from reconciler.declared.layout import OVERLAYS, locate
from reconciler.expected import ExpectedError
from reconciler.model import LiveState

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command("import")
@click.option("--out", type=_DIRECTORY, help="Directory for new files; none of them may be there yet.")
@click.option("--update", "existing", type=_DIRECTORY, help="Directory of files to bring up to what is live.")
@inputs_options
@click.option("--server", metavar="NAME", help="Only this server, what belongs to it, and what all share.")
@click.option(
    "--secrets",
    type=click.Choice(["comment", "env"]),
    default="comment",
    show_default=True,
    help="A live secret becomes a comment, and stays as it is; or a reference to a variable that has to be set.",
)
@click.pass_context
@tells_errors
def import_(
    ctx: click.Context, out: Path | None, existing: Path | None, server: str | None, secrets: str
) -> int:
    """Write the live estate as YAML: one directory a server, sorted, without defaults, without any secret.

    A plan right after it is empty. With --update, comments and order of existing files stay; live values replace
    declared ones, new resources are added, and what is declared but not live is told. With overlays, --environment (or
    DIR/overlays/NAME) says which one is live: only its files are changed, and what base/ declares otherwise is told.

    \b
      reconcile import --out estate
      reconcile import --update estate
      reconcile import --update estate --environment production

    Exit code 1 when something could not be read or brought up to date. Nothing is written where two live resources have
    what only one can be declared with, such as an address.
    """
    if (out is None) == (existing is None):
        raise ExpectedError("say where to: --out DIR for new files, or --update DIR for existing ones")
    inputs_of(ctx)  # refuses two environments
    with open_reader(ctx) as reader:
        live = reader.observe()
    if server is not None and not any(key == ("Server", server) for key in live.resources):
        raise ExpectedError(f"no server {server} is live")
    if clashes := import_clashes(live, server=server):
        raise ExpectedError(
            "what is live clashes, so that no files could declare it, and nothing was written:",
            *(f"  {clash}" for clash in clashes),
            "take it away from one of the two first, such as with reconcile live set KIND/NAME FIELD=VALUE",
        )
    how = cast("Secrets", secrets)
    if existing is not None:
        return _update(ctx, existing, live, server=server, secrets=how)
    return _write(Path(out or "."), live, server=server, secrets=how)


def _write(out: Path, live: LiveState, *, server: str | None, secrets: Secrets) -> int:
    found = import_live(live, server=server, secrets=secrets)
    if not found.files:
        raise ExpectedError("nothing is live; there is nothing to import")
    if taken := [name for name in found.files if (out / name).exists()]:
        raise ExpectedError(f"{out / taken[0]} is there already; choose another directory, or --update {out}")
    for name, text in found.files.items():
        create_file(out / name, text.encode())
        say(f"wrote {out / name}")
    for key, error in found.unreadable:
        print_note(f"{key} could not be read and is not there: {error}")
    return ERROR if found.unreadable else DONE


def _update(
    ctx: click.Context, directory: Path, live: LiveState, *, server: str | None, secrets: Secrets
) -> int:
    loaded = load_estate(ctx, directory)
    print_diagnostics(loaded.diagnostics, loaded.sources)
    if loaded.desired is None:
        return ERROR
    root, environment = locate(directory, inputs_of(ctx).environment)
    home = directory if environment is None else root / OVERLAYS / environment
    found = update(home, loaded.desired, live, server=server, secrets=secrets)
    for path, text in found.files.items():
        replace_file(path, text.encode())
        say(f"updated {path}")
    for key in found.removed:
        where = loaded.desired.resources[key].position()
        print_note(f"{key} is declared at {where} and not live; it is left there")
    for subject, reason in found.left:
        print_note(f"{subject}: {reason}")
    return ERROR if found.left else DONE
