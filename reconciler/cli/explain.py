"""`reconcile explain`: what is known of kinds, fields, documents, rules and policies; no runtime is asked."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import JsonValue

from reconciler.cli.common import (
    DONE,
    format_option,
    print_diagnostics,
    print_json,
    print_text,
    say,
    tells_errors,
    terminal_width,
)
from reconciler.cli.topics import Guardrails, Topic, of_guardrails, of_language
from reconciler.expected import ExpectedError
from reconciler.rendering.text import printable
from schemas.v1.facts import FieldFacts, fields
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS
from schemas.v1.samples import SERVERS

_SERVERS = "servers"
NOT_ENFORCED = "declared, not yet enforced"


@click.command()
@click.argument("subject", metavar="[KIND|KIND.FIELD|FIELD|PART|RULE|POLICY]", required=False)
@click.option(
    "--estate",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also the policies of this estate; one of them takes the place of a shipped one of its id.",
)
@format_option
@tells_errors
def explain(subject: str | None, estate: Path | None, output: str) -> int:
    """Say what a kind or a field means: its default, its range, what a change restarts, Exchange's name for it.

    Kinds and fields are found in any case, fields by Exchange's name too. A field without its kind is looked up in all
    of them. A field that the runtime does not act on yet is marked "declared, not yet enforced".

    Other parts of documents, the ids of findings and of policies are explained as well.

    \b
      reconcile explain                                        all kinds
      reconcile explain ImapSettings                           all fields of one
      reconcile explain ImapSettings.maxConnectionsPerUser     one field
      reconcile explain Server.services.imap4.startupType
      reconcile explain ImapSettings.servers                   which servers a document is for
      reconcile explain MaxConnectionsPerUser                  every kind that has it
      reconcile explain lifecycle                              also metadata, secretRef, Variables, overlay, Waiver
      reconcile explain unknown-reference                      a rule of the language
      reconcile explain open-relay                             a policy
      reconcile explain ms-Exch-SMTP-Submit                    an extended right
    """
    word, _, path = (subject or "").partition(".")
    kind = _kind_named(word)
    if not subject:
        _explain_all(output)
    elif kind is None:
        _explain_everywhere(subject, output, of_guardrails(estate))
    elif not path:
        _explain_kind(kind, output)
    elif path.lower() == _SERVERS and KINDS[kind].selects_servers:
        _explain_servers(kind, output)
    elif shared := _shared_parts(path):
        _tell([], shared, output)
    else:
        _explain_path(kind, path, output)
    return DONE


def _kind_named(word: str) -> str | None:
    return next((kind for kind in KINDS if kind.lower() == word.lower()), None)


def _is_meant(word: str, field: FieldFacts) -> bool:
    """True of the field's path or Exchange's name for it, in any case."""
    return word.lower() in (field.path.lower(), (field.exchange or "").lower())


def _shared_parts(path: str) -> list[Topic]:
    """The part of all documents that has this path, with what is in it."""
    below = path.partition(".")[0].lower() in ("metadata", "lifecycle")
    return [topic for topic in of_language() if topic.answers(path)] if below else []


def _explain_everywhere(word: str, output: str, guardrails: Guardrails) -> None:
    """A field of whichever kinds have it, and all that is called so besides. Raises ExpectedError when nothing is, with
    what may be meant."""
    print_diagnostics(guardrails.diagnostics, guardrails.sources)
    known = (*of_language(), *guardrails.topics)
    topics = [topic for topic in known if topic.answers(word)]
    found = [
        (kind, field)
        for kind in KINDS
        for field in fields(kind).values()
        if _is_meant(word, field) or field.path.lower().endswith(f".{word.lower()}")
    ]
    if not (found or topics):
        paths = [(kind, path) for kind in KINDS for path in fields(kind)]
        names = [*KINDS, *(path for _, path in paths), *(f"{kind}.{path}" for kind, path in paths)]
        names += [topic.name for topic in known]
        known_name(word, dict.fromkeys(names), what="kind, field, part of a document, rule, right or policy")
    _tell(found, topics, output)


def _tell(found: Sequence[tuple[str, FieldFacts]], topics: Sequence[Topic], output: str) -> None:
    if output != "json":
        paragraphs = [*(_paragraph(kind, field) for kind, field in found), *map(_topic, topics)]
        print_text("\n\n".join(paragraphs))
        return
    told: dict[str, Any] = {f"{kind}.{field.path}": _json(field) for kind, field in found}
    for topic in topics:
        name = f"{topic.name} ({topic.what})" if topic.name in told else topic.name
        told[name] = {
            "is": topic.what or "part of a document",
            "description": topic.description,
            **topic.facts,
        }
    print_json(told)


def _topic(topic: Topic) -> str:
    indent = " " * max((13, *(len(name) + 4 for name in topic.facts)))
    lines = [f"  {line}" for line in textwrap.wrap(topic.description, terminal_width() - 2)]
    for name, text in topic.facts.items():
        first, *others = [part for line in text.splitlines() for part in _wrapped(line, indent)]
        lines += [f"  {name + ':':{len(indent) - 2}}{first}", *(indent + other for other in others)]
    head = f"{topic.name} ({topic.what})" if topic.what else topic.name
    return "\n".join(map(printable, (head, *lines)))


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, terminal_width() - len(indent), break_long_words=False, break_on_hyphens=False)


def _explain_servers(kind: str, output: str) -> None:
    """The selector stands in documents alone, so it is no field of what is live."""
    description = f"Which servers a document of kind {kind} is for; each of them gets a resource of its own."
    if output == "json":
        forms = dict(SERVERS)
        print_json(
            {_SERVERS: {"type": "selector", "required": True, "description": description, "written": forms}}
        )
        return
    rows = [f"    {written}\n        {meaning}" for written, meaning in SERVERS]
    print_text("\n".join([f"{kind}.{_SERVERS}", f"  {description}", "  required:  yes", "  written:", *rows]))


def _explain_all(output: str) -> None:
    if output == "json":
        print_json(
            {kind.name: {"description": kind.description, "scope": kind.scope} for kind in KINDS.values()}
        )
        return
    _print_columns((kind.name, kind.description) for kind in KINDS.values())
    parts = [topic.name for topic in of_language() if not topic.what and "." not in topic.name]
    click.echo()
    say(f"Explained too: {', '.join(parts)}; the ids of rules, types, rights and policies.")


def _explain_kind(kind: str, output: str) -> None:
    facts = fields(kind)
    if output == "json":
        print_json({path: _json(field) for path, field in facts.items()})
        return
    say(f"{kind}: {KINDS[kind].description}")
    click.echo()
    rows = [("FIELD", "TYPE", "DEFAULT", "A CHANGE"), *(_row(field) for field in facts.values())]
    if KINDS[kind].selects_servers:
        rows.insert(1, (_SERVERS, "selector", "(required)", "other servers have the resource"))
    _print_columns(rows)
    if waiting := [path for path, field in facts.items() if not field.is_enforced]:
        click.echo()
        say(f"{NOT_ENFORCED.capitalize()}:")
        print_text(
            textwrap.fill(", ".join(waiting), terminal_width(), initial_indent="  ", subsequent_indent="  ")
        )
    for topic in of_language():
        if topic.answers(kind):
            print_text("\n" + _topic(topic))


def _explain_path(kind: str, path: str, output: str) -> None:
    facts = fields(kind)
    path = next((field.path for field in facts.values() if _is_meant(path, field)), path)
    below = {name: field for name, field in facts.items() if name.lower().startswith(f"{path.lower()}.")}
    if path not in facts and not below:
        known_name(path, facts, what=f"field of {kind}")
    found = {path: facts[path]} if path in facts else below
    if output == "json":
        print_json({name: _json(field) for name, field in found.items()})
        return
    print_text("\n\n".join(_paragraph(kind, field) for field in found.values()))


def _paragraph(kind: str, field: FieldFacts) -> str:
    rows = [
        ("type", field.type + (f", {field.unit}" if field.unit else "")),
        ("allowed", field.allowed),
        ("default", None if field.is_required else _value(field.default)),
        ("required", "yes" if field.is_required else None),
        ("secret", "yes: declared by secretRef, never shown" if field.is_secret else None),
        ("a change", _cost(field)),
        ("security", f"it {field.security}" if field.security else None),
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
        "security": field.security,
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
        say("  ".join([*cells, row[-1]]).rstrip())
