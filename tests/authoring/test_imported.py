"""What is live, as files: a plan right after is empty, and nothing is written twice or in clear."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from ruamel.yaml import YAML

from reconciler.authoring.canonical import format_text
from reconciler.authoring.imported import import_clashes, import_live
from reconciler.declared.load import load
from reconciler.model import Key, LiveState
from reconciler.planning.plan import make_plan
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution
from schemas.v1.codec import parse_spec
from schemas.v1.facts import fields
from tests.authoring.estates import targets


def written(live: LiveState, directory: Path, *, server: str | None = None) -> Path:
    for name, text in import_live(live, server=server, secrets="comment").files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return directory


@settings(deadline=None, max_examples=40)
@given(targets())
def test_a_plan_right_after_an_import_is_empty(target: MemoryTarget) -> None:
    live = target.observe()
    with TemporaryDirectory() as directory:
        loaded = load(written(live, Path(directory)))
    assert loaded.desired is not None, loaded.diagnostics
    plan = make_plan(loaded.desired, live, digests={})
    assert (plan.changes, plan.undeclared) == ((), ())


@settings(deadline=None, max_examples=30)
@given(targets())
def test_no_field_is_written_that_is_at_its_default(target: MemoryTarget) -> None:
    for document in documents(target):
        known = fields(document["kind"])
        for path, value in leaves(document["spec"]):
            facts = known.get(path)
            assert facts is None or facts.is_required or value != facts.default, (document, path)


@settings(deadline=None, max_examples=30)
@given(targets())
def test_a_server_has_a_directory_and_files_are_sorted(target: MemoryTarget) -> None:
    files = import_live(target.observe(), server=None, secrets="comment").files
    assert {name.split("/")[0] for name in files} <= {"servers", "shared"}
    for name, text in files.items():
        found = list(YAML(typ="safe").load_all(text))
        kinds = [kind for kind, _ in groupby(found, key=lambda one: one["kind"])]
        assert len(set(kinds)) == len(kinds), name
        for kind in kinds:
            names = [one["metadata"]["name"] for one in found if one["kind"] == kind]
            assert names == sorted(names), name
        servers = {one["spec"]["servers"][0] for one in found if "servers" in one["spec"]}
        assert all(name.startswith(f"servers/{server}/") for server in servers)


def documents(target: MemoryTarget) -> Iterator[dict[str, Any]]:
    for text in import_live(target.observe(), server=None, secrets="comment").files.values():
        yield from YAML(typ="safe").load_all(text)


def leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


@settings(deadline=None, max_examples=30)
@given(targets())
def test_an_import_is_in_canonical_style(target: MemoryTarget) -> None:
    for text in import_live(target.observe(), server=None, secrets="comment").files.values():
        assert format_text(text) == text


def test_a_name_that_two_have_is_told() -> None:
    target = MemoryTarget()
    for name in ("anna", "bert"):
        spec = parse_spec("Mailbox", {"database": "db01", "primarySmtpAddress": "x@contoso.example"})
        target.write(Key("Mailbox", name), spec, secrets={}, expect=None, by=Attribution("alice"))
    assert import_clashes(target.observe(), server=None) == (
        "Mailbox/bert primarySmtpAddress: x@contoso.example belongs to Mailbox/anna already",
    )
