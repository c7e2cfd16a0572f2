"""A live resource as a YAML document in canonical style: defaults left out, secrets as references or not at all.

Text is made directly, line by line, because an estate may have ten thousand mailboxes; that `fmt` would leave it as it
is, and that it loads as the same resource, are properties that tests hold it to. Called by `imported` and `updated`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import JsonValue
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from reconciler.authoring.canonical import MAX_FLOW, flow_width
from reconciler.authoring.spelling import quoted_if_needed
from reconciler.declared.certificates import FILLED_IN
from reconciler.model import Key, Present
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.document import API_VERSION
from schemas.v1.facts import FieldFacts, fields
from schemas.v1.kinds import KINDS

#: What becomes of a live secret, whose value nobody can read back: a reference in a comment, which leaves the live one
#: alone, or a reference to an environment variable, which has to be set from then on.
Secrets = Literal["comment", "env"]

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def document_of(key: Key, live: Present, *, secrets: Secrets) -> str:
    """The document that declares exactly what is live."""
    kind = KINDS[key.kind]
    name = key.name.partition("/")[2] if kind.scope == "server-named" else key.name
    selector: dict[str, JsonValue] = {"servers": [kind.server_of(key.name)]} if kind.selects_servers else {}
    spec = selector | declared_fields(key.kind, live.spec)
    lines = [
        f"apiVersion: {API_VERSION}",
        f"kind: {key.kind}",
        f"metadata: {{name: {scalar(name, in_flow=True)}}}",
        *_entry("spec", spec, 0),
        *(_secret_line(key, path, secrets) for path in sorted(live.secrets)),
    ]
    if live.protected:
        lines.append("lifecycle: {protect: true}")
    return "\n".join(lines) + "\n"


def declared_fields(kind: str, spec: Spec) -> dict[str, JsonValue]:
    """The canonical form without what a declaration need not say."""
    whole = dump_spec(spec)
    if isinstance(spec, Certificate) and spec.certificate_file is not None:
        # Of one that an earlier version left in its file: filled in from there.
        whole = {name: value for name, value in whole.items() if name not in FILLED_IN}
        spec = spec.model_copy(update={"thumbprint": None, "chain": ()})
    short = _without_defaults(whole, "", fields(kind))
    return short if parse_spec(kind, short) == spec else whole


def _without_defaults(
    values: Mapping[str, JsonValue], prefix: str, facts: Mapping[str, FieldFacts]
) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, value in values.items():
        fact = facts.get(prefix + name)
        if isinstance(value, dict):
            group = _without_defaults(value, f"{prefix}{name}.", facts)
            if group or fact is not None:
                found[name] = group
        elif fact is None or fact.is_required or value != fact.default:
            found[name] = value
    return found


def _secret_line(key: Key, path: str, secrets: Secrets) -> str:
    if secrets == "env":
        variable = re.sub(r"[^A-Z0-9]+", "_", f"{key.kind}_{key.name}_{path}".upper())
        return f"  {path}: {{secretRef: {{env: {variable}}}}}"
    file = f"secrets/{key.name.replace('/', '-')}.age"
    return f"  # {path}: {{secretRef: {{encrypted: {file}}}}}"


def _entry(name: str, value: JsonValue, indent: int) -> Iterator[str]:
    """The lines of `name: value`; a group is a block, a list stands in brackets while it fits."""
    head = f"{' ' * indent}{scalar(name)}:"
    if isinstance(value, dict) and value:
        yield head
        for inner, below in value.items():
            yield from _entry(inner, below, indent + 2)
    elif isinstance(value, list) and flow_width(value) > MAX_FLOW:
        yield head
        yield from (f"{' ' * indent}  - {scalar(item)}" for item in value)
    else:
        yield f"{head} {_flow(value)}"


def _flow(value: JsonValue) -> str:
    if isinstance(value, list):
        return f"[{', '.join(scalar(item, in_flow=True) for item in value)}]"
    return "{}" if isinstance(value, dict) else scalar(value)


def scalar(value: Any, *, in_flow: bool = False) -> str:
    """A value that is no group as YAML spells it."""
    if not isinstance(value, str):
        return json.dumps(value)
    spelled = quoted_if_needed(value, in_flow=in_flow)
    if not isinstance(spelled, DoubleQuotedScalarString):
        return value
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
