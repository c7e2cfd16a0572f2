"""What the files mean after one of them was saved, in milliseconds: for telling at once, never for writing.

It answers for the common case alone: a file on which nothing else hangs but its own specs. The documents of the file
must be the same ones as before (kinds, names, labels, servers), and everything that needs a look at all resources must
be known not to have changed. In every other case, and whenever anything looks wrong, the answer is None and the caller
reads everything. A caller that writes reads everything too. Called by the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reconciler.declared.cache import MemoryCache, content_hash
from reconciler.declared.certificates import resolve_certificates
from reconciler.declared.check import Declaration, check
from reconciler.declared.clashes import clashes
from reconciler.declared.digest import configuration_digest
from reconciler.declared.files import read_file
from reconciler.declared.load import Loaded
from reconciler.declared.reader import read
from reconciler.declared.resolve import Broken, Resolver
from reconciler.declared.secrets import missing_files
from reconciler.declared.source import Source
from reconciler.model import Desired, Diagnostic, Key, Resource
from schemas.v1.base import Spec
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.throttling_policy import ThrottlingPolicy

#: More files than that are read as a whole.
MOST_FILES = 8
_VARIABLE = b"${"


@dataclass(frozen=True, slots=True)
class Edited:
    """The estate with the files' new content, and the keys whose declaration was read anew. `desired.digest` differs
    from every other estate's, but it is not the digest that a whole reading gives."""

    desired: Desired
    keys: frozenset[Key]


def edited(
    loaded: Loaded, source: Source, *, before: Mapping[Path, str], cache: MemoryCache
) -> Edited | None:
    """`loaded` with the present content of the files of `before` (each with the content hash that it was loaded
    with); None when that takes a whole reading."""
    warned = {one.position.file if one.position else None for one in loaded.diagnostics}
    if loaded.desired is None or not warned.isdisjoint(before) or len(before) > MOST_FILES:
        return None
    new: dict[Key, Resource] = {}
    for path, old_hash in before.items():
        known = cache.get(old_hash, path)
        resources = None if known is None else _reread(path, known, source, loaded.desired, cache)
        if resources is None:
            return None
        new |= resources
    return _joined(loaded.desired, new, source)


def _reread(
    path: Path, known: Sequence[Declaration], source: Source, desired: Desired, cache: MemoryCache
) -> dict[Key, Resource] | None:
    file = read_file(path, source.read)
    if isinstance(file, Diagnostic) or _VARIABLE in file.content:
        return None
    declarations = cache.get(key := content_hash(file.content), path) or _checked(file.content, path)
    if declarations is None or [_frame(one) for one in declarations] != [_frame(one) for one in known]:
        return None
    cache.put(key, declarations)
    resolver = Resolver(declarations, _others(desired))
    resolver.run()
    return None if resolver.problems else resolver.resources


def _checked(content: bytes, path: Path) -> list[Declaration] | None:
    documents, unread = read(content, path)
    checked = [check(document, path) for document in documents]
    found = [declaration for declaration, _ in checked if declaration is not None]
    is_good = not unread and len(found) == len(documents) and not any(problems for _, problems in checked)
    return found if is_good else None


def _frame(declaration: Declaration) -> tuple[object, ...]:
    """All of a document but its spec: what others may depend on."""
    return (declaration.kind.name, declaration.metadata, declaration.servers, declaration.lifecycle)


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
