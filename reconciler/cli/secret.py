"""`reconcile secret keygen|encrypt|edit|rotate|list`: secrets that lie in git, encrypted with age.

No verb here prints a secret or asks a runtime anything.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler.age import generate
from reconciler.authoring.recipients import Recipients
from reconciler.authoring.replacing import create_file
from reconciler.authoring.secret_files import SecretFile, edit_secret, list_secrets, rotate, write_secret
from reconciler.cli.common import (
    DONE,
    ERROR,
    directory_argument,
    format_option,
    print_diagnostics,
    print_json,
    say,
    tells_errors,
)
from reconciler.cli.inputs import inputs_of, inputs_options, load_estate
from reconciler.declared.layout import OVERLAYS, environments, locate
from reconciler.declared.load import Loaded
from reconciler.declared.source import DirectorySource
from reconciler.expected import ExpectedError

file_argument = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def secret() -> None:
    """Keep secrets in git, encrypted with age to the keys in secrets/recipients.txt.

    A declaration refers to the file, and whoever applies it needs an identity (a private key): --identity FILE before
    the verb, RECONCILE_AGE_IDENTITY with its path, or RECONCILE_AGE_IDENTITY_KEY with the key itself.

    \b
      reconcile secret keygen --output ~/identity.txt >> estate/secrets/recipients.txt
      reconcile secret encrypt estate/secrets/alice.age
      password: {secretRef: {encrypted: secrets/alice.age}}       in the mailbox
      reconcile --identity ~/identity.txt apply estate
    """


@secret.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of the new identity.",
)
@tells_errors
def keygen(output: Path) -> int:
    """Make an identity, readable by its owner alone, and print its public key for the list of recipients.

    The file is never overwritten, and it never belongs in git.
    """
    pair = generate()
    made = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"# created: {made}\n# public key: {pair.public}\n{pair.private}\n"
    try:
        create_file(output, text.encode(), mode=0o600)
    except FileExistsError:
        raise ExpectedError(f"{output} is there already; an identity is never overwritten") from None
    except OSError as error:
        raise ExpectedError(f"{output} cannot be written: {error.strerror}") from error
    say(pair.public)
    return DONE


@secret.command()
@file_argument
@tells_errors
def encrypt(file: Path) -> int:
    """Encrypt a secret into FILE: from standard input, or from a prompt that shows nothing.

    One line end at the end does not count, as in any secret file; everything else is kept as it is.

    \b
      reconcile secret encrypt estate/secrets/alice.age
      pwgen 20 1 | reconcile secret encrypt estate/secrets/alice.age
    """
    if sys.stdin.isatty():
        text = click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = _standard_input()
    say(f"{file}: encrypted to {_keys(write_secret(file, text))}.")
    return DONE


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise ExpectedError("a secret is text in UTF-8; what came in is not") from None


@secret.command()
@file_argument
@tells_errors
def edit(file: Path) -> int:
    """Open the secret of FILE in $VISUAL or $EDITOR and encrypt what is saved; a new FILE begins empty.

    Meanwhile it lies in a private directory, in memory where possible, which is removed whatever happens.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise ExpectedError("set EDITOR to the program to edit with; `reconcile secret encrypt` needs none")
    with _signals_as_exits():
        is_changed = edit_secret(file, editor=editor)
    say(f"{file}: {'encrypted' if is_changed else 'left as it was'}.")
    return DONE


@contextmanager
def _signals_as_exits() -> Iterator[None]:
    """A signal must not leave the decrypted text behind: as an exception it passes every clean-up."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@secret.command("rotate")
@directory_argument
@tells_errors
def rotate_all(directory: Path) -> int:
    """Encrypt every *.age file below DIR to the recipients of now, after one joined or left.

    Who left has read the secrets: change those too, with `reconcile secret edit`.
    """
    files = rotate(directory)
    for file in files:
        say(f"{file}: encrypted anew.")
    return DONE


@secret.command("list")
@directory_argument
@inputs_options
@format_option
@click.pass_context
@tells_errors
def list_all(ctx: click.Context, directory: Path, output: str) -> int:
    """Show which encrypted file each declaration uses and who can read it. Needs no identity and shows no secret.

    Of an estate with overlays all environments are looked at, unless one is chosen.

    Exit code 1 when a file is missing or the declarations are broken.
    """
    estates = _estates(ctx, directory)
    for loaded in estates.values():
        print_diagnostics(loaded.diagnostics, loaded.sources)
    declared = [(name, loaded.desired) for name, loaded in estates.items()]
    found = list_secrets(directory, *((name, desired) for name, desired in declared if desired is not None))
    if output == "json":
        print_json({"secrets": [_json(row) for row in found]})
    else:
        _print_list(found, directory)
    is_bad = any(desired is None for _, desired in declared) or any(row.held_for is None for row in found)
    return ERROR if is_bad else DONE


def _estates(ctx: click.Context, directory: Path) -> dict[str | None, Loaded]:
    """What is declared: for the environment that is chosen, or for each there is."""
    root, chosen = locate(directory, inputs_of(ctx).environment)
    names = environments(DirectorySource(root)) if chosen is None else ()
    if not names:
        return {None: load_estate(ctx, directory)}
    return {name: load_estate(ctx, root / OVERLAYS / name) for name in names}


def _print_list(found: tuple[SecretFile, ...], directory: Path) -> None:
    lists = {row.recipients.file: row.recipients for row in found if row.recipients is not None}
    for recipients in lists.values():
        say(f"{_shown(recipients.file)}:")
        for key, comment in zip(recipients.keys, recipients.comments, strict=True):
            say(f"  {key}{f'  {comment}' if comment else ''}")
    for row in found:
        say(f"{_shown(row.file)}: {_state(row, directory)}")
        say(f"  {', '.join(row.used_by) or 'no declaration uses it'}")
    if not found:
        click.echo("No secret is encrypted here.")


def _state(row: SecretFile, directory: Path) -> str:
    if row.held_for is None:
        return "there is no such file"
    if row.recipients is None:
        return f"encrypted to {row.held_for}, but there is no list of recipients"
    place = directory if row.file.is_relative_to(directory.absolute()) else _shown(row.file.parent)
    hint = f", but the list has {len(row.recipients.keys)}: run `reconcile secret rotate {place}`"
    note = hint if row.is_stale else ""
    return f"encrypted to {row.held_for} key{'' if row.held_for == 1 else 's'}{note}"


def _json(row: SecretFile) -> dict[str, Any]:
    return {
        "file": str(row.file),
        "encryptedTo": row.held_for,
        "recipients": list(row.recipients.keys) if row.recipients else [],
        "needsRotation": row.is_stale,
        "usedBy": list(row.used_by),
    }


def _keys(recipients: Recipients) -> str:
    return (
        f"{len(recipients.keys)} key{'' if len(recipients.keys) == 1 else 's'} of {_shown(recipients.file)}"
    )


def _shown(file: Path) -> str:
    """Relative to here where it lies below."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
