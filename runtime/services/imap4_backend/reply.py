"""What a command's handler gives back, and how it refuses.

A handler returns a `Reply`, or a coroutine of one when it has to wait for the store; only then does the command
cost a task. It raises `RefusedError` for a NO. Called by the handlers and by `session`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from runtime.net.session import Octets
from runtime.store.interface import (
    FolderExistsError,
    FolderNameError,
    NoSuchFolderError,
    OverQuotaError,
    StoreError,
    StoreUnavailableError,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """`data` are the untagged responses, as bytes or in pieces that are made while the client takes them. Then come
    the news of the selected folder (`may_expunge`: also which messages went away), then the tagged line."""

    text: str
    data: bytes | Iterator[Octets] = b""
    code: bytes = b""
    status: str = "OK"
    may_expunge: bool = True


Answer: TypeAlias = Reply | Coroutine[None, None, Reply]


class RefusedError(Exception):
    """The command is understood and not done: NO [code] text."""

    def __init__(self, text: str, *, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


#: RFC 5530 and RFC 3501 response codes of the store's refusals.
_CODES: tuple[tuple[type[StoreError], bytes], ...] = (
    (NoSuchFolderError, b"NONEXISTENT"),
    (FolderExistsError, b"ALREADYEXISTS"),
    (FolderNameError, b"CANNOT"),
    (OverQuotaError, b"OVERQUOTA"),
    (StoreUnavailableError, b"UNAVAILABLE"),
)


def refusal(error: StoreError) -> RefusedError:
    """The store's refusal in the protocol's words."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), b"")
    return RefusedError(str(error), code=code)


def gone(data: Iterator[Octets]) -> Reply:
    """FETCH of messages of which somebody else has removed some (RFC 2180 4.1.2, RFC 5530)."""
    text = "Some of the requested messages no longer exist."
    return Reply(text, data, code=b"EXPUNGEISSUED", status="NO", may_expunge=False)
