"""Whether live is what is declared, told by digests alone: the plan that most runs make, without reading a value.

The files are compared with an outline that a former run left (`declared.outline`), live resources with its digests,
secrets by reading them anew. Anything that differs, waits, is new, or cannot be told sends the caller to `pipeline`,
which decides; here nothing is ever planned but nothing. Like `pipeline` it can only look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from reconciler.declared.layout import Inputs
from reconciler.declared.outline import Outline, Outlined, OutlineFile
from reconciler.model import Plan
from reconciler.secret import SecretError, resolve
from reconciler.targets.target import Digested, DigestReader


def outline_file(cache: Path, directory: Path, inputs: Inputs) -> OutlineFile | None:
    """Where the directory's outline lies; None when its files cannot be read, which a whole reading tells about."""
    try:
        return OutlineFile(cache, directory, inputs)
    except OSError:
        return None


def settled(file: OutlineFile, reader: DigestReader, *, now: datetime | None = None) -> Outline | None:
    """What is declared, when all of it is live, nothing else is, and no service waits. Raises TargetError."""
    outline = file.find(now=now or datetime.now(UTC))
    return outline if outline is not None and _is_live(outline, reader) else None


def empty_plan(outline: Outline) -> Plan:
    """The plan that changes nothing."""
    return Plan(outline.configuration_digest, (), (), {}, environment=outline.environment)


def _is_live(outline: Outline, reader: DigestReader) -> bool:
    live = reader.digests()
    if any(service.pending for service in live.services.values()):
        return False
    there = {key: found for key, found in live.resources.items() if not key.is_probe}
    if there.keys() != outline.resources.keys():
        return False
    key = reader.digest_key()
    return all(_is_same(declared, there[name], key) for name, declared in outline.resources.items())


def _is_same(declared: Outlined, live: Digested, key: bytes) -> bool:
    if (declared.digest, declared.protected) != (live.digest, live.protected):
        return False
    return not declared.secrets or _are_same_secrets(declared, live.secrets, key)


def _are_same_secrets(declared: Outlined, live: Mapping[str, str], key: bytes) -> bool:
    try:
        return all(resolve(place).digest(key) == live.get(path) for path, place in declared.secrets.items())
    except SecretError:
        return False
