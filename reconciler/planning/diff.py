"""One resource as declared against the same one as live → a Change, or None when they mean the same.

Both sides are specs of one model, the declared one as a target would keep it (`Spec.as_live`), so defaults, order in
sets, spelling of sizes and null against empty cannot differ. Equal specs are recognised without a dump; the others are
compared field by field on their canonical dumps. A list stands for one value. A secret is compared by its keyed digest
and shows nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from reconciler.model import Absent, Action, Change, FieldChange, Key, Present, Resource
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.facts import fields
from schemas.v1.impact import Impact

Digests = Mapping[str, str]
#: Where a plan shows that a resource's protection changes; no field of any spec is called so.
PROTECTION = "lifecycle.protect"

Difference = tuple[str, JsonValue, JsonValue]


def change_of(
    resource: Resource, live: Present | Absent, digests: Digests, *, renamed_from: str | None = None
) -> Change | None:
    """What must happen to the live resource. `digests`: keyed digest of each declared secret by its YAML path.
    `renamed_from`: `live` is what goes by this name now."""
    if isinstance(live, Absent):
        return _creation(resource)
    changes = _update(resource, live, digests)
    if not changes and renamed_from is None:
        return None
    position = resource.position()
    return Change(resource.key, Action.UPDATE, changes, live.revision, position, renamed_from=renamed_from)


def _update(resource: Resource, live: Present, digests: Digests) -> tuple[FieldChange, ...]:
    protection = tuple(_protection_change(resource, live))
    if live.spec == resource.spec.as_live() and _secrets_match(resource, live, digests):
        return protection
    spec = spec_to_write(resource, live).as_live()
    changes = (*_field_changes(resource, live.spec, spec), *_secret_changes(resource, live, digests))
    return (*changes, *protection)


def deletion_of(key: Key, live: Present) -> Change:
    """The change that removes a live resource; planning never asks for it by itself."""
    lost = tuple(
        FieldChange(path, old, None, impact=impact_of(key.kind, path))
        for path, old in _leaves(dump_spec(live.spec))
    )
    return Change(key, Action.DELETE, lost, live.revision, None)


def spec_to_write(resource: Resource, live: Present | Absent) -> Spec:
    """The declared spec, files and all, with the live value of every path that `lifecycle.ignore` leaves to others."""
    if isinstance(live, Absent) or not resource.ignore:
        return resource.spec
    merged, theirs = dump_spec(resource.spec), dump_spec(live.spec)
    for ignore in resource.ignore:
        _take(merged, theirs, ignore.path.split("."))
    return parse_spec(resource.key.kind, merged)


def impact_of(kind: str, path: str) -> Impact:
    """What a change of the path costs: its own impact, or the dearest below it when it is a group of fields."""
    facts = fields(kind)
    if path in facts:
        return facts[path].impact
    below = [fact.impact for name, fact in facts.items() if name.startswith(f"{path}.")]
    return max(below, default=Impact.NONE)


def _creation(resource: Resource) -> Change:
    kind = resource.key.kind
    given = tuple(
        FieldChange(
            path,
            None,
            new,
            position=resource.positions.get(path),
            impact=impact_of(kind, path),
            note=resource.note(path),
        )
        for path, new in _leaves(dump_spec(resource.spec.as_live()))
        if new is not None
    )
    secrets = tuple(_secret_change(resource, path) for path in sorted(resource.secrets))
    protection = tuple(_protection_change(resource, None))
    return Change(resource.key, Action.CREATE, given + secrets + protection, None, resource.position())


def _protection_change(resource: Resource, live: Present | None) -> Iterator[FieldChange]:
    """Protection is kept on the live resource too, where it outlives the declaration that asked for it."""
    wanted, now = resource.lifecycle.protect, live.protected if live else False
    if wanted != now:
        yield FieldChange(PROTECTION, now if live else None, wanted)


def _field_changes(resource: Resource, old: Spec, new: Spec) -> Iterator[FieldChange]:
    for path, before, after in _differences(dump_spec(old), dump_spec(new)):
        position = resource.positions.get(path) or resource.position()
        impact, note = impact_of(resource.key.kind, path), resource.note(path)
        yield FieldChange(path, before, after, position=position, impact=impact, note=note)


def _differences(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> list[Difference]:
    """Every path whose value differs; a group of fields is opened, also where one side has none."""
    found: list[Difference] = []
    pending: list[tuple[str, JsonValue, JsonValue]] = [("", dict(old), dict(new))]
    while pending:
        path, before, after = pending.pop()
        if before == after:
            continue
        mine, theirs = _group(after, before), _group(before, after)
        if mine is not None and theirs is not None:
            names = [*mine, *(name for name in theirs if name not in mine)]
            prefix = f"{path}." if path else ""
            pending.extend((prefix + name, theirs.get(name), mine.get(name)) for name in reversed(names))
        else:
            found.append((path, before, after))
    return found


def _group(value: JsonValue, other: JsonValue) -> dict[str, JsonValue] | None:
    """The value as a group of fields: itself, or an empty one where nothing stands against a group that has fields."""
    if value is None and isinstance(other, dict) and any(member is not None for member in other.values()):
        return {}
    return value if isinstance(value, dict) else None


def _leaves(dump: Mapping[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    """Every field of a dump by its path, all groups opened."""
    found: list[tuple[str, JsonValue]] = []
    pending: list[tuple[str, JsonValue]] = list(reversed(list(dump.items())))
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending.extend((f"{path}.{name}", below) for name, below in reversed(list(value.items())))
        else:
            found.append((path, value))
    return found


def _secrets_match(resource: Resource, live: Present, digests: Digests) -> bool:
    return all(_is_same_secret(path, live, digests) for path in resource.secrets)


def _is_same_secret(path: str, live: Present, digests: Digests) -> bool:
    return path in live.secrets and digests.get(path, live.secrets[path]) == live.secrets[path]


def _secret_changes(resource: Resource, live: Present, digests: Digests) -> Iterator[FieldChange]:
    ignored = {ignore.path for ignore in resource.ignore}
    for path in sorted(resource.secrets.keys() - ignored):
        if not _is_same_secret(path, live, digests):
            yield _secret_change(resource, path)


def _secret_change(resource: Resource, path: str) -> FieldChange:
    position = resource.positions.get(path)
    return FieldChange(
        path, None, None, is_secret=True, position=position, impact=impact_of(resource.key.kind, path)
    )


def _take(merged: dict[str, JsonValue], theirs: Mapping[str, JsonValue], path: list[str]) -> None:
    *groups, last = path
    mine: JsonValue = merged
    other: JsonValue = dict(theirs)
    for group in groups:
        mine = mine.get(group) if isinstance(mine, dict) else None
        other = other.get(group) if isinstance(other, dict) else None
    if isinstance(mine, dict) and isinstance(other, dict) and last in other:
        mine[last] = other[last]
