"""`reconcile live get|set`: the live values, past the files.

A value set here is drift until it is declared or healed.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from io import StringIO
from typing import Any

import click
from pydantic import JsonValue, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from reconciler.cli.common import (
    DONE,
    current_user,
    format_option,
    open_reader,
    open_target,
    print_json,
    print_note,
    print_text,
    say,
    tells_errors,
)
from reconciler.cli.explain import known_name
from reconciler.expected import ExpectedError
from reconciler.model import Key, Present, Unreadable
from reconciler.targets.embedded import EmbeddedReader
from reconciler.targets.target import Attribution
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def live() -> None:
    """Look at live values, or change one by hand as an administrator would.

    \b
      reconcile live get                                           everything that is live
      reconcile live get ImapSettings/ex01                         one resource
      reconcile live set ImapSettings/ex01 maxConnectionsPerUser=99
    """


@live.command()
@click.argument("subject", metavar="[KIND[/NAME]]", required=False)
@format_option
@click.pass_context
@tells_errors
def get(ctx: click.Context, subject: str | None, output: str) -> int:
    """Show the live resources, those of one kind, or one of them with all its fields.

    \b
      reconcile live get Mailbox
      reconcile live get --format json ReceiveConnector/ex01/client
    """
    kind, _, name = (subject or "").partition("/")
    kind = known_name(kind, KINDS, what="kind") if kind else kind
    with open_reader(ctx) as runtime:
        if name:
            _show_one(runtime, Key(kind, name), output)
        else:
            _show_many(runtime, kind, output)
    return DONE


@live.command("set")
@click.argument("subject", metavar="KIND/NAME")
@click.argument("assignments", metavar="FIELD=VALUE…", nargs=-1, required=True)
@click.pass_context
@tells_errors
def set_values(ctx: click.Context, subject: str, assignments: tuple[str, ...]) -> int:
    """Change fields of one live resource, and say which services now wait for a restart.

    Values are written as in YAML; a dotted path reaches into a group. Nothing is restarted: see `reconcile status`.

    \b
      reconcile live set ImapSettings/ex01 maxConnectionsPerUser=99
      reconcile live set Server/ex01 services.pop3.startupType=Automatic
      reconcile live set ReceiveConnector/ex01/client 'bindings=["127.0.0.1:10587"]'
    """
    key = _key(subject)
    with open_target(ctx) as runtime:
        before = _present(runtime, key)
        spec = _changed(key, before, assignments)
        if spec == before.spec:
            say(f"{key}: these are the live values already; nothing was written.")
            return DONE
        revision = runtime.write(
            key, spec, secrets={}, expect=before.revision, by=Attribution(current_user())
        )
        _tell_change(key, before, dump_spec(spec), revision)
        _tell_pending(runtime, key)
    return DONE


def _show_one(runtime: EmbeddedReader, key: Key, output: str) -> None:
    found = _present(runtime, key)
    if output == "json":
        print_json(_json(key, found))
        return
    origin = f"by {found.updated_by or 'somebody'} at {found.updated_at}"
    say(f"# {key}, revision {found.revision}, {origin}")
    print_text(_yaml(dump_spec(found.spec)))


def _show_many(runtime: EmbeddedReader, kind: str, output: str) -> None:
    resources = sorted(runtime.observe().resources.items())
    wanted = [(key, value) for key, value in resources if not kind or key.kind == kind]
    if output == "json":
        print_json([_json(key, value) for key, value in wanted if isinstance(value, Present)])
        return
    for key, value in wanted:
        say(f"{key}  {_summary(value)}")
    if not wanted:
        print_note("Nothing is live yet." if not kind else f"No {kind} is live.")


def _summary(value: object) -> str:
    if isinstance(value, Present):
        return f"revision {value.revision}, by {value.updated_by or 'somebody'} at {value.updated_at}"
    return f"unreadable: {value.error}" if isinstance(value, Unreadable) else "absent"


def _json(key: Key, value: Present) -> dict[str, Any]:
    return {
        "kind": key.kind,
        "name": key.name,
        "revision": value.revision,
        "spec": dump_spec(value.spec),
        "managedBy": value.managed_by,
        "updatedAt": value.updated_at,
        "updatedBy": value.updated_by,
        "applyId": value.apply_id,
    }


def _key(subject: str) -> Key:
    kind, _, name = subject.partition("/")
    if not name:
        raise ExpectedError(f"{subject} names no resource; write KIND/NAME, such as ImapSettings/ex01")
    return Key(known_name(kind, KINDS, what="kind"), name)


def _present(runtime: EmbeddedReader, key: Key) -> Present:
    found = runtime.read(key)
    if isinstance(found, Present):
        return found
    if isinstance(found, Unreadable):
        raise ExpectedError(f"{key} cannot be read: {found.error}")
    raise ExpectedError(f"{key} is not live; `reconcile live get {key.kind}` lists what is")


def _changed(key: Key, before: Present, assignments: tuple[str, ...]) -> Spec:
    values: dict[str, Any] = deepcopy(dump_spec(before.spec))
    for assignment in assignments:
        path, _, text = assignment.partition("=")
        if "=" not in assignment:
            raise ExpectedError(f"{assignment!r} sets nothing; write FIELD=VALUE")
        _assign(key.kind, values, path, _parsed(text))
    try:
        return parse_spec(key.kind, values)
    except ValidationError as error:
        raise ExpectedError(f"{key} was not changed:", *_problems(error)) from error


def _assign(kind: str, values: dict[str, Any], path: str, value: JsonValue) -> None:
    facts = fields(kind)
    if path in facts and facts[path].is_secret:
        raise ExpectedError(
            f"{path} is a secret; declare it with a secretRef and apply, so that it is shown nowhere"
        )
    groups = {name[: len(path)] for name in facts if name.startswith(f"{path}.")}
    known_name(path, {**facts, **dict.fromkeys(groups)}, what=f"field of {kind}")
    *way, last = path.split(".")
    for step in way:
        values = values[step] if isinstance(values.get(step), dict) else values.setdefault(step, {})
    values[last] = value


def _parsed(text: str) -> JsonValue:
    """A YAML scalar or flow value; what is neither ("Ready: go", a date) is text as it stands."""
    try:
        value: JsonValue = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text
    is_flow = text.lstrip().startswith(("[", "{"))
    is_scalar = value is None or isinstance(value, str | int | float | bool)
    return value if is_scalar or is_flow else text


def _problems(error: ValidationError) -> list[str]:
    return [f"  {'.'.join(map(str, line['loc'])) or 'the whole'}: {line['msg']}" for line in error.errors()]


def _tell_change(key: Key, before: Present, after: Mapping[str, JsonValue], revision: int) -> None:
    say(f"{key}: revision {before.revision} -> {revision}")
    for path, old, new in _differences("", dump_spec(before.spec), after):
        say(f"  {path}: {_shown(old)} -> {_shown(new)}")


def _tell_pending(runtime: EmbeddedReader, key: Key) -> None:
    waiting = [state for state in runtime.observe().services.values() if state.pending]
    for state in waiting:
        if any(cause == key for cause, _ in state.pending_fields):
            say(f"{state.service} does not know of it yet: a {state.pending} is pending.")


def _differences(path: str, old: Any, new: Any) -> list[tuple[str, JsonValue, JsonValue]]:
    if isinstance(old, dict) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            found
            for key in keys
            for found in _differences(f"{path}.{key}".removeprefix("."), old.get(key), new.get(key))
        ]
    return [] if old == new else [(path, old, new)]


def _shown(value: JsonValue) -> str:
    return _yaml(value).removesuffix("...\n").strip() if not isinstance(value, dict | list) else str(value)


def _yaml(value: Any) -> str:
    """Block style in the order of declaration, null written out."""
    text = StringIO()
    yaml = YAML(pure=True)
    yaml.representer.add_representer(type(None), _null)
    yaml.dump(value, text)
    return text.getvalue()


def _null(representer: RoundTripRepresenter, _: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
