"""`reconcile explain`: what is known of kinds and fields, straight from the schemas; no runtime is asked."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import click
from pydantic import JsonValue

from reconciler.cli.common import DONE, ExpectedError, format_option, print_json, tells_errors, terminal_width
from schemas.v1.base import Impact
from schemas.v1.facts import FieldFacts, fields
from schemas.v1.kinds import KINDS

NOT_ENFORCED = "declared, not yet enforced"


@click.command()
@click.argument("subject", metavar="[KIND[.FIELD]]", required=False)
@format_option
@tells_errors
def explain(subject: str | None, output: str) -> int:
    """Say what a kind or a field means: its default, its range, what a change restarts, Exchange's name for it.

    A field that the runtime does not act on yet is marked "declared, not yet enforced".

    \b
      reconcile explain                                        all kinds
      reconcile explain ImapSettings                           all fields of one
      reconcile explain ImapSettings.maxConnectionsPerUser     one field
      reconcile explain Server.services.imap4.startupType
    """
    kind, _, path = (subject or "").partition(".")
    if not kind:
        _explain_all(output)
    elif not path:
        _explain_kind(known_name(kind, KINDS, what="kind"), output)
    else:
        _explain_path(known_name(kind, KINDS, what="kind"), path, output)
    return DONE


def _explain_all(output: str) -> None:
    if output == "json":
        print_json(
            {kind.name: {"description": kind.description, "scope": kind.scope} for kind in KINDS.values()}
        )
        return
    _print_columns((kind.name, kind.description) for kind in KINDS.values())


def _explain_kind(kind: str, output: str) -> None:
    facts = fields(kind)
    if output == "json":
        print_json({path: _json(field) for path, field in facts.items()})
        return
    click.echo(f"{kind}: {KINDS[kind].description}\n")
    _print_columns([("FIELD", "TYPE", "DEFAULT", "A CHANGE"), *(_row(field) for field in facts.values())])
    if waiting := [path for path, field in facts.items() if not field.is_enforced]:
        click.echo(f"\n{NOT_ENFORCED.capitalize()}:")
        click.echo(
            textwrap.fill(", ".join(waiting), terminal_width(), initial_indent="  ", subsequent_indent="  ")
        )


def _explain_path(kind: str, path: str, output: str) -> None:
    facts = fields(kind)
    below = {name: field for name, field in facts.items() if name.startswith(f"{path}.")}
    if path not in facts and not below:
        known_name(path, facts, what=f"field of {kind}")
    found = {path: facts[path]} if path in facts else below
    if output == "json":
        print_json({name: _json(field) for name, field in found.items()})
        return
    click.echo("\n\n".join(_paragraph(kind, field) for field in found.values()))


def _paragraph(kind: str, field: FieldFacts) -> str:
    rows = [
        ("type", field.type + (f", {field.unit}" if field.unit else "")),
        ("allowed", field.allowed),
        ("default", None if field.is_required else _value(field.default)),
        ("required", "yes" if field.is_required else None),
        ("secret", "yes: declared by secretRef, never shown" if field.is_secret else None),
        ("a change", _cost(field)),
        ("Exchange", field.exchange),
        ("state", None if field.is_enforced else NOT_ENFORCED),
    ]
    description = textwrap.wrap(field.description, terminal_width() - 2)
    lines = [f"{kind}.{field.path}", *(f"  {line}" for line in description)]
    return "\n".join([*lines, *(f"  {name + ':':10} {value}" for name, value in rows if value)])


def _row(field: FieldFacts) -> tuple[str, ...]:
    default = "(required)" if field.is_required else _value(field.default)
    return field.path, field.type, default, _cost(field)


def _cost(field: FieldFacts) -> str:
    if field.impact is Impact.NONE:
        return "takes effect at once"
    return (
        f"{field.impact}s {', '.join(field.services)}" if field.services else f"{field.impact}s what uses it"
    )


def _value(value: JsonValue) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False).strip('"')


def _json(field: FieldFacts) -> dict[str, Any]:
    return {
        "type": field.type,
        "unit": field.unit,
        "allowed": field.allowed,
        "required": field.is_required,
        "default": field.default,
        "secret": field.is_secret,
        "impact": field.impact.value,
        "services": list(field.services),
        "exchange": field.exchange,
        "enforced": field.is_enforced,
        "description": field.description,
    }


def known_name(name: str, table: Mapping[str, Any], *, what: str) -> str:
    """The name as the table spells it. Raises ExpectedError with the nearest one."""
    if name in table:
        return name
    by_lower = {known.lower(): known for known in table}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[near[0]]}?" if near else ""
    raise ExpectedError(f"there is no {what} named {name}{hint}")


def _print_columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Left-aligned columns, the last one as wide as it likes."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
