"""Declared secrets: digests for planning, values for writing.

A value is read at the moment it is needed and goes nowhere but into `Writer.write`. An unreadable secret is a
diagnostic at the place that refers to it. An encrypted one that nobody here can open is a warning: it has no digest,
so planning cannot compare it and leaves the live one as it is; only what has to be written needs an identity, and a
plan that does says so. However many there are, it is said once for each reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from reconciler.model import (
    Action,
    Change,
    Desired,
    Diagnostic,
    Key,
    LiveState,
    Plan,
    Present,
    Resource,
    Severity,
    Unreadable,
)
from reconciler.planning.rename import renamed_from
from reconciler.secret import LockedSecretError, SecretError, SecretRef, SecretValue, resolve

_NAMED = 3


class _Locked(NamedTuple):
    """A secret that nobody here can open."""

    resource: Resource
    path: str
    error: LockedSecretError


def digests(
    desired: Desired, key: bytes, *, live: LiveState | None = None
) -> tuple[Mapping[Key, Mapping[str, str]], tuple[Diagnostic, ...]]:
    """The keyed digest of every declared secret, and a diagnostic for each that cannot be read. `live`: what is known
    to be live; of what is not there nothing can have changed, and `locked_writes` says what else is to be said."""
    found: dict[Key, dict[str, str]] = {}
    problems: list[Diagnostic] = []
    locked: dict[str, list[_Locked]] = defaultdict(list)
    for resource in desired.resources.values():
        for path, ref in resource.secrets.items():
            try:
                found.setdefault(resource.key, {})[path] = resolve(ref).digest(key)
            except LockedSecretError as error:
                if live is None or _may_be_live(resource, path, desired, live):
                    locked[error.why].append(_Locked(resource, path, error))
            except SecretError as error:
                problems.append(_unreadable(resource, path, error))
    return found, (*map(_not_opened, locked.values()), *problems)


def _may_be_live(resource: Resource, path: str, desired: Desired, live: LiveState) -> bool:
    observed = live.resources.get(renamed_from(resource, desired, live) or resource.key)
    return isinstance(observed, Unreadable) or (isinstance(observed, Present) and path in observed.secrets)


def values(change: Change, resource: Resource) -> Mapping[str, SecretValue | None]:
    """The secrets that this change has to write, None for one that is no longer declared. Raises SecretError, which
    says where it is declared."""
    return {path: _value(resource, path) for path in sorted(_wanted(change, resource.secrets))}


def locked_writes(
    plan: Plan, desired: Desired, digests: Mapping[Key, Mapping[str, str]]
) -> Iterator[Diagnostic]:
    """One warning for all secrets that the plan has to write and that nobody here can open: an apply refuses it.
    `digests` are those of all that could be read."""
    resources = [
        (resource, path)
        for change in plan.changes
        if change.action is not Action.DELETE and (resource := desired.resources.get(change.key))
        for path in sorted(_wanted(change, resource.secrets) & resource.secrets.keys())
        if path not in digests.get(change.key, {})
    ]
    if resources:
        first, path = resources[0]
        what = "an encrypted secret" if len(resources) == 1 else f"{len(resources):,} encrypted secrets"
        message = (
            f"{_names([resource for resource, _ in resources])}: this plan has to write {what} that cannot be opened "
            "here, so apply refuses it"
        )
        hint = "--identity FILE opens what is encrypted; --exclude leaves resources out"
        yield Diagnostic("locked-secret", Severity.WARNING, message, first.position(path), hint)


def _wanted(change: Change, secrets: Mapping[str, SecretRef]) -> Set[str]:
    """The paths that a change has to write: all for a create, else those it names."""
    named = {field.path for field in change.fields if field.is_secret}
    return named | secrets.keys() if change.action is Action.CREATE else named


def _value(resource: Resource, path: str) -> SecretValue | None:
    try:
        return resolve(resource.secrets[path]) if path in resource.secrets else None
    except SecretError as error:
        raise SecretError(f"{resource.position(path)}: {resource.key} {path}: {error}") from error


def _not_opened(locked: Sequence[_Locked]) -> Diagnostic:
    """One warning for all that cannot be opened for the same reason, at the first of them."""
    first = locked[0]
    message = (
        f"{first.resource.key}: {first.error}; whether it changed is unknown, so a live one is left as it is"
    )
    if len(locked) > 1:
        names = _names([one.resource for one in locked])
        message = (
            f"{len(locked):,} encrypted secrets cannot be opened ({names}): each {first.error.why}; "
            "whether they changed is unknown, so live ones are left as they are"
        )
    return Diagnostic("locked-secret", Severity.WARNING, message, first.resource.position(first.path))


def _names(resources: Sequence[Resource]) -> str:
    names = ", ".join(str(one.key) for one in resources[:_NAMED])
    return names + (f" and {len(resources) - _NAMED:,} more" if len(resources) > _NAMED else "")


def _unreadable(resource: Resource, path: str, error: SecretError) -> Diagnostic:
    return Diagnostic(
        code="unreadable-secret",
        severity=Severity.ERROR,
        message=f"{resource.key}: {error}",
        position=resource.position(path),
    )
