"""Documents of an older version of the contract → the same in the newest, every value still at its old place.

An older version is its JSON Schema and a pure upgrade function; nothing else of it is left. A document is checked
against that schema first, so that what was wrong then is told in the words of then. Values that variables stand for,
and what is missing in the partial documents of overlays, are left to the check of the newest version. Called by `load`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import schemas
from reconciler.declared.positions import COLUMN_BITS, FILE_BITS, Document, Mark, Trail, index, path_text
from reconciler.declared.sentences import secret_in_clear, show
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position, Severity
from schemas.v1.document import API_VERSION
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from schemas.v1alpha1 import upgrade as v1alpha1

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

_UPGRADES: Mapping[str, Callable[[Mapping[str, Any]], v1alpha1.Upgraded]] = {
    v1alpha1.API_VERSION: v1alpha1.upgrade
}
_REFERENCE = "${"


class Renewed(NamedTuple):
    """A document in the newest form; None when it was wrong in its own."""

    document: Document | None
    problems: tuple[Diagnostic, ...] = ()


def version_of(document: Document) -> str | None:
    """The older version that a document is of; None for the newest, and for what is none at all."""
    version = document.value.get("apiVersion") if isinstance(document.value, dict) else None
    return version if isinstance(version, str) and version in _UPGRADES else None


def upgrade_of(document: Document) -> v1alpha1.Upgraded | None:
    """A document of an older version in the newest one; None when it is there already."""
    version = version_of(document)
    value: Any = document.value
    return None if version is None else _UPGRADES[version](value)


def renew(document: Document, file: Path, *, is_partial: bool) -> Renewed:
    """Check a document of an older version and upgrade it."""
    value: Any = document.value
    version = value["apiVersion"]
    problems = tuple(_problems(document, file, version, is_partial=is_partial))
    if problems:
        return Renewed(None, problems)
    upgraded = _UPGRADES[version](value)
    return Renewed(Document(upgraded.document, _moved(document, upgraded)))


def advice(file: Path, version: str, count: int) -> Diagnostic:
    """A warning for a file that holds documents of an older version."""
    words = "a document" if count == 1 else f"{count} documents"
    message = f"{words} of {version}, read as {API_VERSION}"
    hint = f"`reconcile upgrade --write {file}` rewrites the file, comments kept"
    return Diagnostic("old-version", Severity.WARNING, message, Position(file, 1, 1), hint)


def _moved(document: Document, upgraded: v1alpha1.Upgraded) -> list[int]:
    """The marks of the new document, in its own order: each node is where its origin was."""
    marks = index(document)
    packed: list[int] = []
    for trail, origin in upgraded.origins.items():
        mark = marks[origin]
        if trail and isinstance(trail[-1], str):
            packed.append(_packed(*mark.key, mark.key_file))
        packed.append(_packed(*mark.value, mark.value_file))
    return packed


def _packed(line: int, column: int, file: int) -> int:
    return file << FILE_BITS | line << COLUMN_BITS | column


# What was wrong then


def _problems(document: Document, file: Path, version: str, *, is_partial: bool) -> Iterator[Diagnostic]:
    value: Any = document.value
    kinds = _schema(version)["$defs"]
    kind = value.get("kind")
    marks = index(document)
    if not isinstance(kind, str) or kind not in kinds:
        message = f"kind: expected one of {', '.join(kinds)}, got {show(kind)}"
        place = document.position(marks.get(("kind",), marks[()]), file)
        yield error(
            "unknown-kind", message, place, did_you_mean(kind, kinds) if isinstance(kind, str) else None
        )
        return
    for failure in _validator(version, kind).iter_errors(value):
        if not _is_left_to_others(failure, is_partial=is_partial):
            yield from _said(failure, document, file, marks, kind=kind)


def _is_left_to_others(failure: ValidationError, *, is_partial: bool) -> bool:
    """True of what may be right after all: a reference to a variable, a part of a whole document."""
    has_reference = isinstance(failure.instance, str) and _REFERENCE in failure.instance
    return has_reference or (is_partial and failure.validator in ("required", "oneOf"))


def _said(
    failure: ValidationError, document: Document, file: Path, marks: Mapping[Trail, Mark], *, kind: str
) -> Iterator[Diagnostic]:
    trail: Trail = tuple(failure.absolute_path)
    instance: Any = failure.instance
    subject = path_text(trail[1:] if trail[:1] == ("spec",) else trail)
    schema: Any = failure.schema
    if _is_secret(kind, trail):
        found = secret_in_clear(failure.instance)
        yield error(
            found.code, f"{subject}: {found.message}", document.position(marks[trail], file), found.hint
        )
    elif failure.validator == "additionalProperties":
        for key in instance.keys() - schema["properties"].keys():
            place = document.position(marks[(*trail, key)], file, at_key=True)
            hint = did_you_mean(key, schema["properties"]) or f"known here: {', '.join(schema['properties'])}"
            yield error("unknown-key", f'unknown field "{key}" of {subject or kind}', place, hint)
    elif failure.validator == "required":
        missing = failure.message.split("'")[1]
        place = document.position(marks[trail], file, at_key=True)
        yield error("missing", f"{missing} is missing", place, f"add {missing}")
    else:
        expected = _expected(schema, failure)
        place = document.position(marks[trail], file)
        yield error("version", f"{subject}: expected {expected}, got {show(failure.instance)}", place)


def _is_secret(kind: str, trail: Trail) -> bool:
    known = fields(kind) if kind in KINDS else {}
    fact = known.get(str(trail[1])) if len(trail) > 1 and trail[0] == "spec" else None
    return fact is not None and fact.is_secret


def _expected(schema: Mapping[str, Any], failure: ValidationError) -> str:
    """What a schema asks for, in words."""
    if failure.validator == "oneOf":
        return " or ".join(word for choice in schema["oneOf"] for word in choice.get("required", ()))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_expected(choice, failure) for choice in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if key in schema]
    return ", ".join([_TYPES.get(str(schema.get("type")), "another value"), *limits])


_LIMITS = {"minimum": "at least", "maximum": "at most"}
_TYPES = {
    "string": "text of the right form",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


@cache
def _schema(version: str) -> Any:
    name = version.rpartition("/")[2]
    path = Path(schemas.__path__[0]) / name / "json" / "reconciler.schema.json"
    return json.loads(path.read_bytes())


@cache
def _validator(version: str, kind: str) -> Validator:
    from jsonschema import Draft202012Validator

    schema = {"$ref": f"#/$defs/{kind}", "$defs": _schema(version)["$defs"]}
    return Draft202012Validator(schema)
