"""The reference pages docs/reference/<Kind>.md, made from the declarations.

Run as `python -m schemas.v1.reference --write` or `--check`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import JsonValue

from schemas.v1.facts import FieldFacts, fields
from schemas.v1.generated import Generated, main
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS, Kind
from schemas.v1.samples import ENVELOPE, SAMPLES, SECRETS, SECRETS_RULE, SERVERS, WRITING
from schemas.v1.services import SERVICES

_NOTE = "<!-- Made from schemas/v1 by `python -m schemas.v1.reference --write`; do not edit. -->"
_SCOPES = {
    "estate": "A document declares one resource of the whole estate, named by `metadata.name`.",
    "server": "A document declares one resource for each server that `spec.servers` selects, named as the server.",
    "server-named": "A document declares one resource for each server that `spec.servers` selects, named "
    "`<server>/<metadata.name>`.",
}


def page(kind: Kind) -> str:
    """Return the Markdown page of one kind."""
    rows = fields(kind.name).values()
    head = [f"# {kind.name}", "", _NOTE, "", f"{kind.description} {_SCOPES[kind.scope]}", ""]
    head += ["```yaml", *SAMPLES[kind.name].splitlines(), "```", ""]
    if kind.selects_servers:
        head += [
            "`servers` is a list of names or `{matchLabels: {…}}`; see [Servers](README.md#servers).",
            "",
        ]
    return "\n".join([*head, *_table(list(rows)), "", *_details(list(rows))]).rstrip() + "\n"


def _table(rows: list[FieldFacts]) -> Iterator[str]:
    yield "| field | type | default | a change |"
    yield "|---|---|---|---|"
    for row in rows:
        yield f"| [`{row.path}`](#{_anchor(row.path)}) | {row.type} | {_default(row)} | {_change(row)} |"


def _anchor(path: str) -> str:
    return path.lower().replace(".", "")


def _details(rows: list[FieldFacts]) -> Iterator[str]:
    for row in rows:
        yield f"## {row.path}"
        yield ""
        yield row.description
        yield ""
        yield from (f"- {label}: {text}" for label, text in _properties(row) if text)
        yield ""


def _properties(row: FieldFacts) -> Iterator[tuple[str, str | None]]:
    yield (
        "Type",
        row.type + (", may be null" if row.is_nullable else "") + (" (secret)" if row.is_secret else ""),
    )
    yield "Required" if row.is_required else "Default", "yes" if row.is_required else _default(row)
    yield "Allowed", row.allowed
    yield "Unit", row.unit
    yield "Names a", f"[{row.reference}]({row.reference}.md)" if row.reference else None
    yield "A change", _change(row)
    yield "Security", f"it {row.security}" if row.security else None
    yield "Exchange", f"`{row.exchange}`" if row.exchange else None
    yield "State", None if row.is_enforced else "declared, not yet enforced"


def _default(row: FieldFacts) -> str:
    return "(required)" if row.is_required else f"`{_yaml(row.default)}`"


def _yaml(value: JsonValue) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _change(row: FieldFacts) -> str:
    if row.impact is Impact.NONE:
        return "takes effect at once"
    return f"{row.impact}s {', '.join(row.services)}"


def index() -> str:
    """Return the page that lists the kinds and the services."""
    kinds = (f"| [{kind.name}]({kind.name}.md) | {kind.description} |" for kind in KINDS.values())
    services = (
        f"| `{service.name}` | {service.host_role} | {service.exchange_name} | {service.default_startup_type} |"
        for service in SERVICES.values()
    )
    lines = [
        "# Reference",
        "",
        _NOTE,
        "",
        *_documents(),
        "## Kinds",
        "",
        "| kind | |",
        "|---|---|",
        *kinds,
        "",
    ]
    table = ["| service | host | Exchange's name | startup type |", "|---|---|---|---|", *services]
    return "\n".join([*lines, *_values(), "## Services", "", *table]) + "\n"


def _documents() -> Iterator[str]:
    """The parts that documents of all kinds share."""
    yield from ("## A document", "", "```yaml", *ENVELOPE.splitlines(), "```", "")
    yield "Documents of one file are separated by `---`. `reconcile explain KIND.FIELD` says the same as these pages."
    yield from ("", "## Servers", "")
    yield "A document of a kind that belongs to a server says in `spec.servers` which servers it is for."
    yield from ("", *_forms(SERVERS), "", "## Secrets", "")
    yield SECRETS_RULE
    yield from ("", *_forms(SECRETS), "")


def _forms(forms: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from ("| written | means |", "|---|---|")
    yield from (f"| `{written}` | {meaning} |" for written, meaning in forms)


def _values() -> Iterator[str]:
    yield from ("## Types of values", "", "| type | syntax | examples |", "|---|---|---|")
    for name, writing in WRITING.items():
        examples = ", ".join(f"`{example}`" for example in writing.examples)
        yield f"| {name} | {writing.syntax} | {examples} |"
    yield ""
    yield "A `list of` these is written in brackets, `[first, second]`, or one a line behind `- `."
    yield ""


def generated() -> Generated:
    """Return the files of docs/reference."""
    texts = {f"{name}.md": page(kind) for name, kind in KINDS.items()} | {"README.md": index()}
    return Generated(Path(__file__).parents[2] / "docs" / "reference", "*.md", texts)


if __name__ == "__main__":
    sys.exit(main(generated()))
