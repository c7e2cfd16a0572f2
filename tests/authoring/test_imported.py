"""What is live, as files: a plan right after is empty, and nothing is written twice or in clear."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings

from reconciler.authoring.canonical import format_text
from reconciler.authoring.imported import import_live
from reconciler.declared.load import load
from reconciler.model import LiveState
from reconciler.planning.plan import make_plan
from reconciler.targets.memory import MemoryTarget
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
def test_an_import_is_in_canonical_style(target: MemoryTarget) -> None:
    for text in import_live(target.observe(), server=None, secrets="comment").files.values():
        assert format_text(text) == text
