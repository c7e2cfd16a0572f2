"""Who can read an encrypted secret: the list of public keys that lies in git beside the files.

The list of a secret is the nearest one on the way up from its directory: `recipients.txt` beside it or in `secrets/`,
or `.reconcile-recipients`. The search ends at the root of the git repository. A line is one key, `#` begins a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.age import AgeError, parse_recipient

NAMES = ("recipients.txt", "secrets/recipients.txt", ".reconcile-recipients")


@dataclass(frozen=True, slots=True)
class Recipients:
    """A list of public keys, each with the comment behind it or the line above it, and the file it was read from."""

    file: Path
    keys: tuple[str, ...]
    comments: tuple[str, ...]


def recipients_for(secret: Path) -> Recipients:
    """The nearest list for a secret file, which need not exist yet. Raises AgeError."""
    for directory in _upwards(secret.absolute().parent):
        for name in NAMES:
            if (file := directory / name).is_file():
                return read_recipients(file)
    raise AgeError(
        f"{secret}: there is no list of who may read it; make a key with `reconcile secret keygen` and put the public "
        "one into secrets/recipients.txt"
    )


def read_recipients(file: Path) -> Recipients:
    """Every key of the file, checked. Raises AgeError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AgeError(f"{file} cannot be read: {error}") from error
    rows = [_row(line) for line in lines]
    found: list[tuple[str, str]] = []
    above = ""
    for number, (key, comment) in enumerate(rows, start=1):
        if key:
            _check(key, file, number)
            found.append((key, comment or above))
        above = "" if key else comment
    if not found:
        raise AgeError(f"{file} names nobody; write a public key into it, one a line")
    return Recipients(file, tuple(key for key, _ in found), tuple(comment for _, comment in found))


def _row(line: str) -> tuple[str, str]:
    """The key and the comment of a line; the comment of an SSH key is its third word."""
    key, _, comment = (part.strip() for part in line.partition("#"))
    words = key.split()
    if len(words) > 2 and words[0].startswith("ssh-"):
        return " ".join(words[:2]), comment or " ".join(words[2:])
    return key, comment


def _check(key: str, file: Path, number: int) -> None:
    try:
        parse_recipient(key)
    except AgeError as error:
        raise AgeError(f"{file}:{number}: {error}") from error


def _upwards(directory: Path) -> Iterator[Path]:
    for place in (directory, *directory.parents):
        yield place
        if (place / ".git").exists():
            return
