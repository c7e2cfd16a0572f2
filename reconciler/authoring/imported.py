"""The live estate as files: one directory a server and one for what all share, sorted.

    servers/<server>/server.yaml          Server, MailboxDatabase, Certificate
    servers/<server>/client-access.yaml   ImapSettings, PopSettings
    servers/<server>/mail-flow.yaml       ReceiveConnector
    servers/<server>/mailboxes.yaml       Mailbox, by the server of its database
    shared/…                              AcceptedDomain, ThrottlingPolicy, and mailboxes of unknown databases

A plan right after it is empty. What cannot be read is told, and not written. Where two live resources clash, as an
older version may have left them, no files can say so: `import_clashes` names them, and nothing is to be written. Labels
and annotations are no part of live configuration, so they are not here; neither is the value of any secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.authoring.documents import Secrets, document_of
from reconciler.declared.clashes import found_clashes
from reconciler.model import Key, LiveState, Position, Present, Resource, Unreadable
from schemas.v1.kinds import KINDS
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase

_FILES = {
    "Server": "server.yaml",
    "MailboxDatabase": "server.yaml",
    "Certificate": "server.yaml",
    "ImapSettings": "client-access.yaml",
    "PopSettings": "client-access.yaml",
    "ReceiveConnector": "mail-flow.yaml",
    "Mailbox": "mailboxes.yaml",
    "AcceptedDomain": "accepted-domains.yaml",
    "ThrottlingPolicy": "throttling-policies.yaml",
}
_NOWHERE = {"": Position(Path(), 0, 0)}
_MAX_DOCUMENTS = 5_000  # a file; larger ones are no pleasure in a review
_NOTE = (
    "# A secret in a comment is set on the live server and stays as it is. To declare it, encrypt it into\n"
    "# that file with `reconcile secret encrypt`, and uncomment the line.\n"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """Text by path relative to the directory of the estate, and what could not be read."""

    files: Mapping[str, str]
    unreadable: tuple[tuple[Key, str], ...]


def import_live(live: LiveState, *, server: str | None, secrets: Secrets) -> Imported:
    """Everything live; with `server` that server, all that belongs to it, and what all share."""
    found = imported_keys(live, server=server)
    grouped: dict[str, list[str]] = {}
    for key in found:
        observed = live.resources[key]
        assert isinstance(observed, Present)
        grouped.setdefault(file_of(key, live), []).append(document_of(key, observed, secrets=secrets))
    files = {name: text for file, documents in grouped.items() for name, text in _split(file, documents)}
    return Imported(files, tuple(_unreadable(live)))


def import_clashes(live: LiveState, *, server: str | None) -> tuple[str, ...]:
    """One sentence for each port, logon name or domain that two have of what would be imported."""
    resources = {
        key: Resource(key, observed.spec, {}, (), _NOWHERE)
        for key in imported_keys(live, server=server)
        if isinstance(observed := live.resources[key], Present)
    }
    unsure = {key.kind for key, observed in live.resources.items() if isinstance(observed, Unreadable)}
    return tuple(
        f"{clash.later} {clash.what} belongs to {clash.earlier} already"
        for clash in found_clashes(resources, unsure=unsure)
    )


def imported_keys(live: LiveState, *, server: str | None) -> list[Key]:
    """What is live and can be read, in the order of the files: by rank, then by name."""
    present = (key for key, observed in live.resources.items() if isinstance(observed, Present))
    chosen = (key for key in present if not key.is_probe and _is_of(key, server, live))
    return sorted(chosen, key=lambda key: (_ORDER[key.kind], key.name))


_ORDER = {kind: number for number, kind in enumerate(_FILES)}


def file_of(key: Key, live: LiveState) -> str:
    """Where a resource is written, relative to the estate."""
    server = _server_of(key, live)
    return f"servers/{server}/{_FILES[key.kind]}" if server else f"shared/{_FILES[key.kind]}"


def _is_of(key: Key, server: str | None, live: LiveState) -> bool:
    owner = _server_of(key, live)
    return server is None or owner is None or owner == server


def _server_of(key: Key, live: LiveState) -> str | None:
    """The server that a resource belongs to; None for what all share."""
    observed = live.resources[key]
    spec = observed.spec if isinstance(observed, Present) else None
    if isinstance(spec, MailboxDatabase):
        return spec.server
    if isinstance(spec, Mailbox):
        database = Key("MailboxDatabase", spec.database)
        return _server_of(database, live) if database in live.resources else None
    return KINDS[key.kind].server_of(key.name)


def _split(file: str, documents: list[str]) -> list[tuple[str, str]]:
    """The file, or several numbered ones when there are very many documents."""
    chunks = [documents[start : start + _MAX_DOCUMENTS] for start in range(0, len(documents), _MAX_DOCUMENTS)]
    names = [file, *(file.replace(".yaml", f"-{number}.yaml") for number in range(2, len(chunks) + 1))]
    return [(name, as_file(chunk)) for name, chunk in zip(names, chunks, strict=True)]


def as_file(documents: list[str]) -> str:
    """Documents as one file; with a note when it leaves secrets to the live side."""
    text = "---\n".join(documents)
    return _NOTE + text if "\n  # " in text else text


def _unreadable(live: LiveState) -> list[tuple[Key, str]]:
    found = ((key, observed) for key, observed in live.resources.items() if isinstance(observed, Unreadable))
    return sorted((key, observed.error) for key, observed in found)
