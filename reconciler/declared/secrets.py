"""References to secrets: taken out of the spec, their files located and looked for. No secret is ever read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from reconciler.age import looks_encrypted
from reconciler.declared.files import absolute, as_declared
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Resource
from reconciler.secret import SecretRef
from schemas.v1.base import Spec
from schemas.v1.facts import fields
from schemas.v1.secret_reference import SecretReference

_ENOUGH_TO_TELL = 64  # bytes of a file that show whether it is encrypted


def take_secrets(spec: Spec, declaring: Callable[[str], Path]) -> tuple[Spec, Mapping[str, SecretRef]]:
    """The spec without its secrets, so that it compares with a live one, and their references by YAML path.

    `declaring` tells in which file the field at a YAML path stands."""
    found: dict[str, SecretRef] = {}
    cleared: dict[str, None] = {}
    for path, attribute in _secret_fields(type(spec).__name__):
        reference = getattr(spec, attribute)
        if isinstance(reference, SecretReference):
            found[path] = _located(reference, declaring(path))
            cleared[attribute] = None
    return (spec.model_copy(update=cleared), found) if found else (spec, found)


def missing_files(resources: Iterable[Resource]) -> Iterator[Diagnostic]:
    """A diagnostic for each secret file that is not there or cannot be opened. Variables are looked up at apply."""
    for resource in resources:
        for path, reference in resource.secrets.items():
            if reference.source == "env" or not (reason := _unusable(reference)):
                continue
            position = resource.position(path)
            message = f"{path}: secret file {as_declared(reference.location, position.file)} {reason}"
            yield error("secret-file", message, position, _HINTS[reference.source])


_HINTS = {
    "file": "create it beside this file with the secret as its only text, and chmod 600 it",
    "encrypted": "make it with `reconcile secret encrypt FILE`, which takes the secret from a prompt or a pipe",
}


def _unusable(reference: SecretRef) -> str | None:
    reason = _unreadable(reference.location)
    if reason is not None or reference.source == "file":
        return reason
    with Path(reference.location).open("rb") as stream:
        is_encrypted = looks_encrypted(stream.read(_ENOUGH_TO_TELL))
    return (
        None
        if is_encrypted
        else "is not encrypted, so what it holds is no secret any more once it is committed"
    )


def _unreadable(location: str) -> str | None:
    if not Path(location).exists():
        return "does not exist"
    if not Path(location).is_file():
        return "is no file"
    return None if os.access(location, os.R_OK) else "cannot be read by you"


def _located(reference: SecretReference, declaring: Path) -> SecretRef:
    if reference.source == "env":
        return SecretRef("env", reference.location)
    return SecretRef(reference.source, absolute(reference.location, declaring))


@cache
def _secret_fields(kind: str) -> tuple[tuple[str, str], ...]:
    return tuple((fact.path, fact.attribute) for fact in fields(kind).values() if fact.is_secret)
