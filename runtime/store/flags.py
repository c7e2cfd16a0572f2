"""Flags as text: checked, in one spelling and order, and interned for open folders.

A set of flags is stored as its words joined by spaces, system flags first ("\\Seen $Forwarded"), so equal sets are
equal text. \\Recent and system flags that do not exist are ignored (RFC 3501 6.4.6 allows it); keywords are capped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from runtime.store.interface import FlagChange, StoreError

SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
MAX_KEYWORDS = 64
MAX_KEYWORD_LENGTH = 100

_WELL_KNOWN = (
    "$Forwarded",
    "$Important",
    "$Junk",
    "$MDNSent",
    "$NotJunk",
    "$Phishing",
    "$Submitted",
    "$SubmitPending",
)
_SPELLING = {flag.lower(): flag for flag in SYSTEM_FLAGS + _WELL_KNOWN}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")


class FlagError(StoreError):
    """A keyword is no atom, or there are too many."""


def flag_text(flags: Iterable[str]) -> str:
    """The canonical text of these flags. Raises FlagError."""
    chosen: dict[str, str] = {}
    for flag in flags:
        folded = flag.lower()
        if flag.startswith("\\"):
            if folded in _SPELLING:
                chosen[folded] = _SPELLING[folded]
        else:
            chosen.setdefault(folded, _SPELLING.get(folded) or _checked_keyword(flag))
    system = [flag for flag in SYSTEM_FLAGS if flag.lower() in chosen]
    keywords = [chosen[folded] for folded in sorted(chosen) if not folded.startswith("\\")]
    if len(keywords) > MAX_KEYWORDS:
        raise FlagError(f"A message carries at most {MAX_KEYWORDS} keywords.")
    return " ".join(system + keywords)


def changed_text(text: str, change: FlagChange, operand: str) -> str:
    """`text` after the change by `operand`, both canonical. Raises FlagError."""
    if change == "replace":
        return operand
    if change == "add":
        return flag_text((*text.split(), *operand.split()))
    removed = {flag.lower() for flag in operand.split()}
    return flag_text(flag for flag in text.split() if flag.lower() not in removed)


def is_unseen(text: str) -> bool:
    return "\\Seen" not in text


def _checked_keyword(keyword: str) -> str:
    if len(keyword) > MAX_KEYWORD_LENGTH or not _KEYWORD.fullmatch(keyword):
        raise FlagError(f"A keyword is an IMAP atom of at most {MAX_KEYWORD_LENGTH} characters.")
    return keyword


class FlagTable:
    """The sets of flags that occur in an open folder, each once, by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._sets: list[frozenset[str]] = []
        self._rendered: list[bytes] = []

    def number(self, text: str) -> int:
        """The number of the set with this canonical text."""
        known = self._numbers.get(text)
        if known is not None:
            return known
        self._sets.append(frozenset(text.split()))
        self._rendered.append(text.encode("ascii"))
        return self._numbers.setdefault(text, len(self._sets) - 1)

    def flags(self, number: int) -> frozenset[str]:
        return self._sets[number]

    def rendered(self, number: int) -> bytes:
        return self._rendered[number]

    def keywords(self) -> frozenset[str]:
        return frozenset(flag for flags in self._sets for flag in flags if not flag.startswith("\\"))
