"""Between data and specs: read a mapping in YAML names, write the canonical form, digest it.

The canonical form is one for one meaning: every field, defaults included, sorted sets, canonical scalars. Secrets are
not part of it. Two specs are equal exactly when their canonical forms are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from schemas.v1.base import Spec
from schemas.v1.kinds import KINDS


def parse_spec(kind: str, data: Mapping[str, object]) -> Spec:
    """Return the checked spec. Raises pydantic.ValidationError, its locations in YAML names; KeyError: no such kind."""
    return KINDS[kind].spec.model_validate(dict(data), by_alias=True, by_name=False)


def dump_spec(spec: Spec) -> dict[str, JsonValue]:
    """Return the canonical form in YAML names, without secrets; `parse_spec` of it gives an equal spec."""
    dump = spec.model_dump(mode="json", by_alias=True, exclude=set(spec.secret_attributes()))
    return cast("dict[str, JsonValue]", dump)


def digest_spec(spec: Spec) -> str:
    """Return the SHA-256 of the canonical form, in hexadecimal."""
    text = json.dumps(dump_spec(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
