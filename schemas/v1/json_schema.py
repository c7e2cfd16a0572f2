"""JSON Schemas (2020-12) of the documents, one a kind, one for all and one for overlays, made from the declarations.

They are for editors and for checks without Python. What only Python can check they leave out, so a valid document is
never refused, and name it as x-checked-by-model: `conditions.py`. Beyond the standard keywords a field carries
x-exchange-name, x-unit, x-impact, x-services, x-reference, x-range, x-security and x-not-yet-enforced.

Run as `python -m schemas.v1.json_schema --write` or `--check`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.v1.base import Model, Spec
from schemas.v1.conditions import CONDITIONS, REFERENCE, RULED, VALUES
from schemas.v1.document import (
    API_VERSION,
    LIST_KEYS,
    SELECTOR_SCHEMA,
    VARIABLES,
    IgnoredField,
    Lifecycle,
    Metadata,
)
from schemas.v1.facts import FieldFacts, ValueType, fields, type_of
from schemas.v1.generated import Generated, main
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS, Kind
from schemas.v1.variables import variables_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

OVERLAY = (
    "What an overlay says: it may leave out all but what names it, and null takes back what the base says."
)
PATCH: Schema = {"const": "delete", "description": "Takes away what the base has under this name."}
_NULL: Schema = {"type": "null"}
_NOTES = ("description", "default")


def document_schema(kind: Kind) -> Schema:
    """Return the schema of a document of this kind."""
    return {
        "$schema": _DIALECT,
        "$id": f"urn:reconciler:v1:{kind.name}",
        "title": kind.name,
        "description": kind.description,
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "Version of the contract."},
            "kind": {"const": kind.name, "description": "What is declared."},
            "metadata": _object(Metadata, {}),
            "spec": _spec(kind),
            "lifecycle": _lifecycle(),
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def estate_schema() -> Schema:
    """Return the schema of a document of any kind: it picks that kind's own."""
    return {
        "$schema": _DIALECT,
        "$id": "urn:reconciler:v1",
        "title": "A document of the reconciler",
        "type": "object",
        "properties": {"kind": {"enum": [*KINDS, VARIABLES], "description": "What is declared."}},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "allOf": [_when(kind) for kind in (*KINDS, VARIABLES)],
        "$defs": {name: _without_headers(document_schema(kind)) for name, kind in KINDS.items()}
        | {VARIABLES: _without_headers(variables_document_schema())},
    }


def overlay_schema() -> Schema:
    """Return the schema of a document of an overlay: of any kind, with any part of it, or `$patch: delete`."""
    schema = estate_schema()
    schemas = {name: document_schema(kind) for name, kind in KINDS.items()}
    schemas[VARIABLES] = variables_document_schema()
    return {
        **schema,
        "$id": "urn:reconciler:v1:overlay",
        "title": "A document of an overlay",
        "description": OVERLAY,
        "required": ["kind", "metadata"],
        "$defs": {name: _without_headers(_overlay_document(found)) for name, found in schemas.items()},
    }


def _overlay_document(schema: Schema) -> Schema:
    parts = schema["properties"]
    metadata = {**_partial(parts["metadata"]), "required": ["name"]}
    metadata["properties"] = {**metadata["properties"], "name": parts["metadata"]["properties"]["name"]}
    spec = _partial(parts["spec"])
    if "patternProperties" in spec:  # of variables
        spec["patternProperties"] = {
            pattern: _nullable(one) for pattern, one in spec["patternProperties"].items()
        }
    partial = {"metadata": metadata, "spec": spec}
    if "lifecycle" in parts:
        partial["lifecycle"] = {"anyOf": [_overlay_lifecycle(parts["lifecycle"]), _NULL]}
    properties = {**parts, **partial, "$patch": PATCH}
    return {**schema, "properties": properties, "required": ["kind", "metadata"]}


def _overlay_lifecycle(schema: Schema) -> Schema:
    """The items of a list are told apart by their key, so that one needs nothing else."""
    found = _partial(schema)
    for (group, name), key in LIST_KEYS.items():
        if group == "lifecycle":
            listed = schema["properties"][name]
            item = _partial(listed["items"])
            item |= {"properties": {**item["properties"], "$patch": PATCH}, "required": [key]}
            found["properties"][name] = _nullable({**listed, "items": item})
    return found


def _partial(schema: Schema) -> Schema:
    """The schema of an object without its rules between fields; whatever is a group of fields is partial too."""
    found = {name: rule for name, rule in schema.items() if name not in ("required", "allOf", "anyOf")}
    if "properties" in schema:
        found["properties"] = {name: _nullable(one) for name, one in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _nullable(schema["additionalProperties"])
    return found


def _is_group(schema: Schema) -> bool:
    """True for what is merged key by key; a reference to a secret is replaced whole."""
    return schema.get("type") == "object" and "secretRef" not in schema.get("properties", {})


def _nullable(schema: Schema) -> Schema:
    notes = {name: rule for name, rule in schema.items() if name in _NOTES or name.startswith("x-")}
    rules = {name: rule for name, rule in schema.items() if name not in notes}
    choices = rules["anyOf"] if rules.keys() == {"anyOf"} else [rules]
    others = [choice for choice in choices if choice != _NULL]
    if all(map(_is_group, others)):
        others = [_partial(choice) for choice in others]
    return {"anyOf": [*others, _NULL], **notes} if rules else schema


def variables_document_schema() -> Schema:
    """Return the schema of a document of variables."""
    return {
        "$schema": _DIALECT,
        "$id": f"urn:reconciler:v1:{VARIABLES}",
        "title": VARIABLES,
        "description": "Values that documents use as ${name}.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "Version of the contract."},
            "kind": {"const": VARIABLES, "description": "What is declared."},
            "metadata": _object(Metadata, {}),
            "spec": variables_schema(),
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def _when(kind: str) -> Schema:
    chosen = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
    return {"if": chosen, "then": {"$ref": f"#/$defs/{kind}"}}


def _without_headers(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("$schema", "$id")}


def _lifecycle() -> Schema:
    ignore = {
        "type": "array",
        "items": _object(IgnoredField, {}),
        "description": "Fields whose live values are left as they are.",
    }
    found = _object(Lifecycle, {})
    return {**found, "properties": {**found["properties"], "ignore": ignore}}


def _spec(kind: Kind) -> Schema:
    schema = _object(kind.spec, fields(kind.name))
    schema["description"] = "The settings."
    if kind.selects_servers:
        choices = [_or_reference(one) if "items" in one else one for one in SELECTOR_SCHEMA["anyOf"]]
        selector = {"anyOf": choices, "description": "The servers that these settings are for."}
        schema["properties"] = {"servers": selector, **schema["properties"]}
        schema["required"] = ["servers", *schema.get("required", [])]
    conditions = [_required_unless(name, others) for name, others in kind.spec.filled_in.items()]
    conditions += CONDITIONS.get(kind.name, ())
    schema |= {"allOf": conditions} if conditions else {}
    return schema | ({"x-checked-by-model": list(RULED[kind.name])} if kind.name in RULED else {})


def _required_unless(name: str, others: Mapping[str, tuple[str, ...]]) -> Schema:
    """A field that others may fill in is required unless one of them does."""
    return {"anyOf": [{"required": [name]}, *(_holds(other, words) for other, words in others.items())]}


def _holds(name: str, words: tuple[str, ...]) -> Schema:
    return {"required": [name], "properties": {name: {"enum": list(words)}}}


def _object(model: type[Model], facts: Mapping[str, FieldFacts], prefix: str = "") -> Schema:
    filled_in = model.filled_in if issubclass(model, Spec) else {}
    names = {model.yaml_name(attribute): field for attribute, field in model.model_fields.items()}
    schema: Schema = {
        "type": "object",
        "properties": {
            name: _property(type_of(field), facts, prefix + name) | _described(field.description)
            for name, field in names.items()
        },
        "required": [name for name, field in names.items() if field.is_required() and name not in filled_in],
        "additionalProperties": False,
    }
    return schema if schema["required"] else {key: schema[key] for key in schema if key != "required"}


def _described(description: str | None) -> Schema:
    return {"description": description} if description else {}


def _property(value_type: ValueType, facts: Mapping[str, FieldFacts], path: str) -> Schema:
    schema: Schema = dict(value_type.json_schema)
    if value_type.group is not None:
        group = _object(value_type.group, facts, f"{path}.")
        schema = {"anyOf": [group, {"type": "null"}]} if value_type.is_nullable else group
    else:
        schema = _or_reference(schema)
    return schema | (_extras(facts[path]) if path in facts else {})


def _or_reference(schema: Schema) -> Schema:
    """The schema, or a text with ${…} in it: a value is put in there before anything is checked."""
    if schema == {"type": "string"}:
        return schema
    if "items" in schema:
        return {**schema, "items": _or_reference(schema["items"])}
    if schema.get("type") == "object":
        return schema
    if "anyOf" not in schema:
        return {"anyOf": [schema, REFERENCE]}
    listed = [_or_reference(choice) if "items" in choice else choice for choice in schema["anyOf"]]
    return {**schema, "anyOf": [*listed, REFERENCE]}


def _extras(field: FieldFacts) -> Schema:
    has_range = field.minimum is not None or field.maximum is not None
    scalar = field.value_type.scalar
    found = {
        "default": field.default if not field.is_required else None,
        "x-exchange-name": field.exchange,
        "x-unit": field.unit,
        "x-range": field.allowed if has_range else None,
        "x-checked-by-model": VALUES.get(scalar.name) if scalar else None,
        "x-reference": field.reference,
        "x-impact": str(field.impact),
        "x-services": list(field.services) if field.impact is not Impact.NONE else None,
        "x-security": field.security,
        "x-not-yet-enforced": None if field.is_enforced else True,
    }
    return {key: value for key, value in found.items() if value is not None}


def generated() -> Generated:
    """Return the files of schemas/v1/json."""
    schemas = {name: document_schema(kind) for name, kind in KINDS.items()}
    schemas |= {
        VARIABLES: variables_document_schema(),
        "reconciler": estate_schema(),
        "overlay": overlay_schema(),
    }
    texts = {f"{name}.schema.json": _text(schema) for name, schema in schemas.items()}
    return Generated(Path(__file__).parent / "json", "*.json", texts)


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(generated()))
