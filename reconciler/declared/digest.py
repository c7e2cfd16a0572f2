"""One digest over the meaning of everything declared: equal for equal meaning, whatever the files look like.

Only what differs from a kind's defaults enters, because everything else follows from the kind. Values enter as their
canonical text, so that no dump of ten thousand whole specs is needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from reconciler.model import Key, Resource
from schemas.v1.base import Spec
from schemas.v1.secret_reference import SecretReference

_UNSET = object()
#: Attributes of a spec that hold absolute paths of the estate's own files.
_FILES = ("certificate_file", "private_key_file")


def configuration_digest(
    resources: Mapping[Key, Resource], meanings: Mapping[Key, str], *, root: Path
) -> str:
    """Hex SHA-256 over all resources, their secret references and what they ignore; the order of files is no part, and
    neither is where the directory `root` lies: paths below it count from there.

    `meanings` are the digests of those specs that are known already."""
    total, here = sha256(), f"{root.absolute()}{os.sep}"
    for key in sorted(resources):
        resource = resources[key]
        spec = meanings.get(key) or meaning(_portable(declared_values(resource.spec), here))
        secrets = sorted(
            (path, reference.source, reference.location.removeprefix(here))
            for path, reference in resource.secrets.items()
        )
        ignored = sorted(ignore.path for ignore in resource.ignore)
        treated = (ignored, resource.lifecycle.protect, resource.lifecycle.renamed_from)
        total.update(repr((key.kind, key.name, spec, secrets, treated)).encode())
    return total.hexdigest()


def _portable(values: dict[str, object], here: str) -> dict[str, object]:
    """With the certificate files that lie below the directory named from there."""
    files = {name: values[name] for name in _FILES if name in values}
    return values | {name: str(file).removeprefix(here) for name, file in files.items()}


def meaning(values: Mapping[str, object]) -> str:
    """Hex SHA-256 of the declared values of one spec; references to secrets are no part of it."""
    found = {name: value for name, value in values.items() if not isinstance(value, SecretReference)}
    return sha256(_ENCODE(found).encode()).hexdigest()


def declared_values(spec: Spec) -> dict[str, object]:
    """The attributes whose values differ from the kind's defaults."""
    defaults, values = _defaults(type(spec)), vars(spec)
    return {  # what nobody set is a default
        name: value
        for name in spec.model_fields_set
        if (value := values[name]) is not (default := defaults.get(name, _UNSET)) and value != default
    }


def _text(value: object) -> object:
    """Durations, bindings and ranges as their text, groups as their canonical form."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_text).encode


@cache
def _defaults(kind: type[Spec]) -> Mapping[str, object]:
    return {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in kind.model_fields.items()
        if not field.is_required()
    }
