"""Encrypted secret files: make one, edit one, encrypt all anew, tell who can read which.

What is decrypted stays in memory, but for the time that it is open in an editor: then it lies in a directory that only
its owner can enter, in memory where the machine has such a place, and goes with everything that the editor left there.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.age import AgeError, decrypt, encrypt
from reconciler.authoring.recipients import Recipients, recipients_for
from reconciler.authoring.replacing import replace_file
from reconciler.model import Desired
from reconciler.secret import without_line_end

SUFFIX = ".age"
_MEMORY = (os.environ.get("XDG_RUNTIME_DIR"), str(Path("/dev", "shm")))
_STANZAS = (b"-> X25519 ", b"-> ssh-")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One encrypted file: for how many keys, how many the list has now, and the fields that refer to it.

    `held_for` is None when there is no such file.
    """

    file: Path
    held_for: int | None
    recipients: Recipients | None
    used_by: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """True when the number of keys is not that of the list; which keys they are cannot be seen from outside."""
        if self.held_for is None or self.recipients is None:
            return False
        return self.held_for != len(self.recipients.keys)


def write_secret(file: Path, text: str) -> Recipients:
    """Encrypt `text` to the recipients of `file`; as in any secret file, one line end at its end will not count.
    Raises AgeError."""
    if not without_line_end(text):
        raise AgeError("the secret is empty; nothing was written")
    recipients = recipients_for(file)
    _replace(file, encrypt(text, recipients.keys))
    return recipients


def edit_secret(file: Path, *, editor: str) -> bool:
    """Open the secret in `editor` (a command line) and encrypt what was saved. False: it was left as it was.

    Raises AgeError; then the file is as it was.
    """
    recipients = recipients_for(file)
    before = _decrypted(file) if file.exists() else ""
    after = _edited(before, editor, file.stem)
    if without_line_end(after) == without_line_end(before):
        return False
    if not without_line_end(after):
        raise AgeError("the secret is empty; the file is as it was")
    _replace(file, encrypt(after, recipients.keys))
    return True


def rotate(directory: Path) -> tuple[Path, ...]:
    """Encrypt every secret below `directory` to its recipients of now; returns the files.

    All are opened before the first is written, so that a missing identity changes nothing. Raises AgeError.
    """
    opened = [(file, _decrypted(file), recipients_for(file)) for file in secret_files(directory)]
    if not opened:
        raise AgeError(f"{directory}: there is no encrypted secret (*{SUFFIX}) below it")
    for file, text, recipients in opened:
        _replace(file, encrypt(text, recipients.keys))
    return tuple(file for file, _, _ in opened)


def list_secrets(directory: Path, *estates: tuple[str | None, Desired]) -> tuple[SecretFile, ...]:
    """Every encrypted file that is below `directory` or declared, sorted. `estates` are what is declared, by
    environment where there are several. No identity is needed."""
    used: dict[Path, list[str]] = {}
    for environment, desired in estates:
        _note_uses(desired, used, "" if environment is None else f"{environment}: ")
    files = {file.absolute() for file in secret_files(directory)} | used.keys()
    return tuple(_described(file, used.get(file, ())) for file in sorted(files))


def secret_files(directory: Path) -> tuple[Path, ...]:
    """The encrypted files below the directory, sorted; what lies in hidden directories is left out."""
    return tuple(sorted(_walk(directory)))


def _walk(directory: Path) -> Iterator[Path]:
    for place, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".")]
        yield from (Path(place, name) for name in files if name.endswith(SUFFIX))


def _described(file: Path, used_by: Iterable[str]) -> SecretFile:
    held_for = count_recipients(file.read_bytes()) if file.is_file() else None
    try:
        recipients = recipients_for(file)
    except AgeError:
        recipients = None
    return SecretFile(file, held_for, recipients, tuple(used_by))


def _note_uses(desired: Desired, found: dict[Path, list[str]], before: str) -> None:
    for key in sorted(desired.resources):
        for path, reference in desired.resources[key].secrets.items():
            if reference.source == "encrypted":
                found.setdefault(Path(reference.location), []).append(f"{before}{key} {path}")


def count_recipients(content: bytes) -> int:
    """To how many keys a file is encrypted, from its header, which is not secret. 0: it is no such file."""
    if content.lstrip().startswith(b"-----"):
        armour = [line for line in content.split(b"\n") if not line.startswith(b"-----")]
        try:
            content = base64.b64decode(b"".join(armour))
        except binascii.Error:
            return 0
    header, _, _ = content.partition(b"\n--- ")
    return sum(line.startswith(_STANZAS) for line in header.split(b"\n"))


def _decrypted(file: Path) -> str:
    try:
        return decrypt(file.read_bytes())
    except AgeError as error:
        raise AgeError(f"{file} {error}") from error
    except OSError as error:
        raise AgeError(f"{file} cannot be read: {error.strerror}") from error


def _replace(file: Path, content: bytes) -> None:
    try:
        replace_file(file, content)
    except OSError as error:
        raise AgeError(f"{file} cannot be written: {error.strerror}") from error


def _edited(text: str, editor: str, name: str) -> str:
    with tempfile.TemporaryDirectory(prefix="reconcile-", dir=_private_memory()) as directory:
        file = Path(directory, name)
        file.touch(mode=0o600)
        # With a line end, which does not count: what shows the file leaves the terminal at the start of a line.
        file.write_text(f"{without_line_end(text)}\n" if text else "", encoding="utf-8")
        code = subprocess.call([*shlex.split(editor), str(file)])
        if code:
            raise AgeError(f"the editor ended with exit code {code}; the file is as it was")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise AgeError("the editor left no text; the file is as it was") from None


def _private_memory() -> str | None:
    """A directory whose content is never on a disk, if the machine has one that we may write to."""
    return next((place for place in _MEMORY if place and os.access(place, os.W_OK | os.X_OK)), None)
