"""Declared secrets: digests for planning, values for writing.

A value is read at the moment it is needed and goes nowhere but into `Writer.write`. An unreadable secret is a
diagnostic at the place that refers to it. An encrypted one that nobody here can open is a warning: it has no digest,
so planning cannot compare it and leaves the live one as it is; only what has to be written needs an identity. However
many there are, it is said once for each reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciler.model import Action, Change, Desired, Diagnostic, Key, Resource, Severity
from reconciler.secret import LockedSecretError, SecretError, SecretRef, SecretValue, resolve

_NAMED = 3


class _Locked(NamedTuple):
    """A secret that nobody here can open."""

    resource: Resource
    path: str
    error: LockedSecretError


def digests(desired: Desired, key: bytes) -> tuple[Mapping[Key, Mapping[str, str]], tuple[Diagnostic, ...]]:
    """The keyed digest of every declared secret, and a diagnostic for each that cannot be read."""
    found: dict[Key, dict[str, str]] = {}
    problems: list[Diagnostic] = []
    locked: dict[str, list[_Locked]] = defaultdict(list)
    for resource in desired.resources.values():
        for path, ref in resource.secrets.items():
            try:
                found.setdefault(resource.key, {})[path] = resolve(ref).digest(key)
            except LockedSecretError as error:
                locked[error.why].append(_Locked(resource, path, error))
            except SecretError as error:
                problems.append(_unreadable(resource, path, error))
    return found, (*map(_not_opened, locked.values()), *problems)


def values(change: Change, secrets: Mapping[str, SecretRef]) -> Mapping[str, SecretValue | None]:
    """The secrets that this change has to write: all for a create, else those it names; None for one that is no longer
    declared. Raises SecretError."""
    named = {field.path for field in change.fields if field.is_secret}
    wanted = named | secrets.keys() if change.action is Action.CREATE else named
    return {path: resolve(secrets[path]) if path in secrets else None for path in sorted(wanted)}


def _not_opened(locked: Sequence[_Locked]) -> Diagnostic:
    """One warning for all that cannot be opened for the same reason, at the first of them."""
    first = locked[0]
    message = (
        f"{first.resource.key}: {first.error}; whether it changed is unknown, so a live one is left as it is"
    )
    if len(locked) > 1:
        names = ", ".join(str(one.resource.key) for one in locked[:_NAMED])
        more = f" and {len(locked) - _NAMED:,} more" if len(locked) > _NAMED else ""
        message = (
            f"{len(locked):,} encrypted secrets cannot be opened ({names}{more}): each {first.error.why}; "
            "whether they changed is unknown, so live ones are left as they are"
        )
    return Diagnostic("locked-secret", Severity.WARNING, message, first.resource.position(first.path))


def _unreadable(resource: Resource, path: str, error: SecretError) -> Diagnostic:
    return Diagnostic(
        code="unreadable-secret",
        severity=Severity.ERROR,
        message=f"{resource.key}: {error}",
        position=resource.position(path),
    )
