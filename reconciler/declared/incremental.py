"""What the files mean after one of them was saved, in milliseconds: for telling at once, never for writing.

It answers for the common case alone: a file on which nothing else hangs but its own specs, put together with what the
other layer says of them, and with the variables as they were. The documents of the file must be the same ones as before
(kinds, names, labels, servers), and everything that needs a look at all resources must be known not to have changed. In
every other case, and whenever anything looks wrong, the answer is None and the caller
reads everything. A caller that writes reads everything too. Called by the daemon.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reconciler.declared.cache import MemoryCache, content_hash
from reconciler.declared.certificates import resolve_certificates
from reconciler.declared.check import Declaration, check
from reconciler.declared.clashes import clashes
from reconciler.declared.digest import configuration_digest
from reconciler.declared.files import read_file
from reconciler.declared.item import Item, Name, Record, name_of
from reconciler.declared.layout import OVERLAYS
from reconciler.declared.load import Loaded
from reconciler.declared.overlays import combine
from reconciler.declared.positions import Positions
from reconciler.declared.reader import read
from reconciler.declared.resolve import Broken, Resolver
from reconciler.declared.secrets import missing_files
from reconciler.declared.source import Source
from reconciler.declared.variables import MARK, Variables, substitute
from reconciler.model import Desired, Diagnostic, Key, Resource
from schemas.v1.base import Spec
from schemas.v1.document import VARIABLES
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.throttling_policy import ThrottlingPolicy

#: More files than that are read as a whole.
MOST_FILES = 8


@dataclass(frozen=True, slots=True)
class Edited:
    """The estate with the files' new content, and the keys whose declaration was read anew. `desired.digest` differs
    from every other estate's, but it is not the digest that a whole reading gives."""

    desired: Desired
    keys: frozenset[Key]


def edited(
    loaded: Loaded,
    source: Source,
    *,
    before: Mapping[Path, str],
    cache: MemoryCache,
    environment: str | None = None,
) -> Edited | None:
    """`loaded` with the present content of the files of `before` (each with the content hash that it was loaded
    with); None when that takes a whole reading. `environment`: which overlay counts."""
    warned = {one.position.file if one.position else None for one in loaded.diagnostics}
    if loaded.desired is None or not warned.isdisjoint(before) or len(before) > MOST_FILES:
        return None
    saved = _saved(before, source, cache)
    if saved is None:
        return None
    overlay = None if environment is None else source.root / OVERLAYS / environment
    if overlay is None:
        items: Sequence[Item] | None = _plain(saved)
    else:
        items = _layered(saved, loaded.desired, overlay, lambda path: _record(path, source, cache))
    if items is None or (declarations := _declared(items, loaded.variables)) is None:
        return None
    _keep(saved, items, cache)
    resolver = Resolver(declarations, _others(loaded.desired))
    resolver.run()
    return None if resolver.problems else _joined(loaded.desired, resolver.resources, source)


def _saved(before: Mapping[Path, str], source: Source, cache: MemoryCache) -> list[Record] | None:
    """The files as they are now, if they hold the same documents as before."""
    found: list[Record] = []
    for path, old_hash in before.items():
        known, record = cache.get(old_hash, path), _record(path, source, cache)
        if known is None or record is None or _frames(known) != _frames(record):
            return None
        found.append(record)
    return found


def _record(path: Path, source: Source, cache: MemoryCache) -> Record | None:
    file = read_file(path, source.read)
    if isinstance(file, Diagnostic):
        return None
    key = content_hash(file.content)
    if (known := cache.get(key, path)) is not None:
        return known
    documents, unread = read(file.content, path)
    items = [Item(document, ()) for document in documents]
    return None if unread else Record(path, key, MARK.encode() in file.content, items=items)


def _frames(record: Record) -> list[str]:
    """All of its documents but their specs: what others may depend on. Of variables, that is their values too."""
    return [repr(_frame(item.document.value)) for item in record.items]


def _frame(value: object) -> object:
    if not isinstance(value, dict) or value.get("kind") == VARIABLES:
        return value
    spec = value.get("spec")
    return {**value, "spec": spec.get("servers") if isinstance(spec, dict) else spec}


def _plain(saved: Sequence[Record]) -> list[Item]:
    return [item for record in saved for item in _items(record)]


def _items(record: Record) -> Iterator[Item]:
    """Its documents but those of variables, to be overlaid and checked."""
    for item in record.items:
        if not isinstance(item.document.value, dict) or item.document.value.get("kind") != VARIABLES:
            yield Item(item.document, (record,), declaration=item.declaration)


def _layered(
    saved: Sequence[Record], desired: Desired, overlay: Path, find: Callable[[Path], Record | None]
) -> list[Item] | None:
    """The documents of the saved files, put together with what the other layer says of them."""
    names = {name_of(item.document) for item in _plain(saved)}
    if any(name is None or MARK in name[1] for name in names):
        return None
    places = _places(names, desired)
    others = set[Path]().union(*places.values()) - {record.path for record in saved}
    layers: dict[bool, list[Item]] = {False: [], True: []}
    for record in [*saved, *map(find, others)]:
        if record is None:
            return None
        # What is declared nowhere is deleted by the overlay, and stays so.
        found = (item for item in _items(record) if name_of(item.document) in places)
        layers[record.path.is_relative_to(overlay)].extend(found)
    combined = combine(layers[False], layers[True])
    return None if combined.problems else combined.items


def _places(names: Collection[Name | None], desired: Desired) -> Mapping[Name | None, set[Path]]:
    """The files that each document of these names was put together from."""
    kinds = {name[0] for name in names if name is not None}
    found: dict[Name | None, set[Path]] = defaultdict(set)
    for key, resource in desired.resources.items():
        positions = resource.positions
        if key.kind in kinds and isinstance(positions, Positions):
            name = name_of(positions.document)
            if name in names:
                found[name].update(positions.files)
    return found


def _declared(items: Sequence[Item], variables: Variables) -> list[Declaration] | None:
    """What each declares; None when there is anything wrong with one."""
    for item in items:
        document, is_whole = item.document, True
        if item.has_references:
            document, _, is_whole = substitute(item, variables)
            item.declaration = None
        if item.declaration is None and is_whole:
            item.declaration, _ = check(document, item.file)
    found = [item.declaration for item in items if item.declaration is not None]
    return found if len(found) == len(items) else None


def _keep(saved: Sequence[Record], items: Sequence[Item], cache: MemoryCache) -> None:
    """Let the next reading have the files, and what those documents declare that nothing was put into."""
    found = {id(item.document): item.declaration for item in items if not item.has_references}
    for record in saved:
        kept = [Item(one.document, (), declaration=found.get(id(one.document))) for one in record.items]
        cache.put(Record(record.path, record.key, record.has_references, items=kept))


def _others(desired: Desired) -> Broken:
    """Everything that is declared, as names that may be referred to."""
    servers = {
        key.name: resource.labels for key, resource in desired.resources.items() if key.kind == "Server"
    }
    return Broken(frozenset(desired.resources), servers, is_complete=True)


def _joined(desired: Desired, new: dict[Key, Resource], source: Source) -> Edited | None:
    if not new.keys() <= desired.resources.keys():
        return None
    certificates, problems = resolve_certificates(new, source)
    new |= certificates
    whole = {**desired.resources, **new}
    needs_all = any(_may_clash(desired.resources[key].spec, resource.spec) for key, resource in new.items())
    is_wrong = problems or (needs_all and any(clashes(whole)))
    if is_wrong or (source.holds_secrets and any(missing_files(new.values()))):
        return None
    digest = sha256((desired.digest + configuration_digest(new, {}, root=source.root)).encode()).hexdigest()
    return Edited(Desired(whole, digest), frozenset(new))


def _may_clash(old: Spec, new: Spec) -> bool:
    """True when a change could make two resources want the same address, logon name, port or domain."""
    if isinstance(old, Mailbox) and isinstance(new, Mailbox):
        return _addresses(old) != _addresses(new)
    return not isinstance(new, MailboxDatabase | ThrottlingPolicy) and old != new


def _addresses(mailbox: Mailbox) -> tuple[object, ...]:
    return (
        mailbox.alias,
        mailbox.primary_smtp_address,
        mailbox.user_principal_name,
        mailbox.email_addresses,
    )
