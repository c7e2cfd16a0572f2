"""Folder names: what is allowed, in which spelling, and which folders every mailbox has.

Names are Unicode text with "/" between levels, in NFC; INBOX has one spelling. They are data: nothing makes a path of
them. Modified UTF-7 is the protocol's business.
"""

from __future__ import annotations

import unicodedata

from runtime.store.interface import FolderNameError

INBOX = "INBOX"
SEPARATOR = "/"
MAX_DEPTH = 32
MAX_PART_LENGTH = 255
MAX_LENGTH = 1000

#: Exchange's names and RFC 6154's attributes of the folders that are made with a mailbox.
STANDARD_FOLDERS: tuple[tuple[str, str | None], ...] = (
    (INBOX, None),
    ("Deleted Items", "\\Trash"),
    ("Drafts", "\\Drafts"),
    ("Junk Email", "\\Junk"),
    ("Sent Items", "\\Sent"),
)

_FORBIDDEN_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))


def folder_key(name: str) -> str:
    """The spelling under which a folder of this name would be found. Any text is accepted."""
    first, separator, rest = unicodedata.normalize("NFC", name).partition(SEPARATOR)
    return (INBOX if first.upper() == INBOX else first) + separator + rest


def checked_name(name: str) -> str:
    """The name as it is stored; one "/" at the end is dropped (RFC 3501 6.3.3). Raises FolderNameError."""
    if len(name) > MAX_LENGTH:
        raise FolderNameError(f"A folder name has at most {MAX_LENGTH} characters.")
    key = folder_key(name.removesuffix(SEPARATOR))
    parts = key.split(SEPARATOR)
    if len(parts) > MAX_DEPTH:
        raise FolderNameError(f"Folders nest at most {MAX_DEPTH} levels deep.")
    if key.startswith("#"):
        raise FolderNameError('A folder name does not begin with "#".')
    for part in parts:
        _check_part(part)
    return key


def parents(name: str) -> tuple[str, ...]:
    """The names above this one, outermost first."""
    parts = name.split(SEPARATOR)
    return tuple(SEPARATOR.join(parts[:count]) for count in range(1, len(parts)))


def _check_part(part: str) -> None:
    if part in {"", ".", ".."}:
        raise FolderNameError('A level of a folder name is not empty, "." or "..".')
    if len(part) > MAX_PART_LENGTH:
        raise FolderNameError(f"A level of a folder name has at most {MAX_PART_LENGTH} characters.")
    if any(mark in part for mark in "*%"):
        raise FolderNameError('A folder name holds no "*" and no "%".')
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in part):
        raise FolderNameError("A folder name holds no control characters and no line separators.")
