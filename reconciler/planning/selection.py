"""Which resources a plan is for: `--only` and `--exclude` as one question, asked of every key.

A pattern is a glob on "Kind/name", where `*` matches any text, a kind alone ("ImapSettings"), or "server=NAME" for a
server and all that belongs to it: its settings, connectors, certificates, databases and their mailboxes. A pattern
that matches nothing is a mistake of whoever typed it, and an error with what they may have meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate

from reconciler.expected import ExpectedError
from reconciler.model import Desired, Key, LiveState, Present, Selection
from schemas.v1.base import Spec
from schemas.v1.kinds import KINDS
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase

Selects = Callable[[Key], bool]

_SERVER = "server="


class SelectionError(ExpectedError):
    """What was selected or named does not exist; the text says which and what is close to it."""


def selector(selection: Selection, desired: Desired, live: LiveState) -> Selects:
    """Whether a plan is for a key. Raises SelectionError for a pattern that matches nothing declared or live."""
    if not selection.is_partial:
        return lambda _: True
    only = [_matcher(pattern, desired, live) for pattern in selection.only]
    exclude = [_matcher(pattern, desired, live) for pattern in selection.exclude]
    keys = known_keys(desired, live)
    for pattern, matches in zip((*selection.only, *selection.exclude), (*only, *exclude), strict=True):
        if not any(matches(key) for key in keys):
            raise SelectionError(_nothing(pattern, keys))
    return lambda key: (
        (not only or any(matches(key) for matches in only)) and not any(matches(key) for matches in exclude)
    )


def known_keys(desired: Desired, live: LiveState) -> tuple[Key, ...]:
    """Everything declared or live, sorted, without the runtime's own accounts."""
    return tuple(sorted(key for key in {*desired.resources, *live.resources} if not key.is_probe))


def close_to(word: str, known: Iterable[str]) -> str:
    """ "; did you mean X?", or nothing."""
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[matches[0]]}?" if matches else ""


def _matcher(pattern: str, desired: Desired, live: LiveState) -> Selects:
    if pattern.startswith(_SERVER):
        matches = re.compile(translate(pattern.removeprefix(_SERVER))).match
        return lambda key: any(
            matches(server) is not None for server in servers_of(key, desired=desired, live=live)
        )
    matches = re.compile(translate(pattern if "/" in pattern else f"{pattern}/*")).match
    return lambda key: matches(str(key)) is not None


def servers_of(key: Key, *, desired: Desired, live: LiveState) -> frozenset[str]:
    """The servers that a resource belongs to as declared and as live: a mailbox to that of its database."""
    server = KINDS[key.kind].server_of(key.name) if key.kind in KINDS else None
    if server is not None:
        return frozenset({server})
    return frozenset(
        found for spec in _specs(key, desired, live) for found in _servers_in(spec, desired, live)
    )


def _servers_in(spec: Spec, desired: Desired, live: LiveState) -> frozenset[str]:
    if isinstance(spec, MailboxDatabase):
        return frozenset({spec.server})
    if isinstance(spec, Mailbox):
        return servers_of(Key("MailboxDatabase", spec.database), desired=desired, live=live)
    return frozenset()


def _specs(key: Key, desired: Desired, live: LiveState) -> Iterator[Spec]:
    if (declared := desired.resources.get(key)) is not None:
        yield declared.spec
    if isinstance(observed := live.resources.get(key), Present):
        yield observed.spec


def _nothing(pattern: str, keys: Iterable[Key]) -> str:
    if pattern.startswith(_SERVER):
        servers = [_SERVER + key.name for key in keys if key.kind == "Server"]
        return f"{pattern} selects nothing: no such server is declared or live{close_to(pattern, servers)}"
    known = [*(str(key) for key in keys), *KINDS, *(f"{kind}/*" for kind in KINDS)]
    return f"{pattern} selects nothing that is declared or live{close_to(pattern, known)}"
