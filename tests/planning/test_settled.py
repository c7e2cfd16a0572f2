"""The quick answer "there is nothing to do" is given exactly when a whole plan says nothing."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings

from reconciler.authoring.imported import import_live
from reconciler.declared.layout import Inputs
from reconciler.declared.load import Loaded, load
from reconciler.declared.outline import OutlineFile
from reconciler.planning.plan import make_plan
from reconciler.settled import empty_plan, settled
from reconciler.targets.memory import MemoryTarget
from tests.authoring.estates import targets


def declare(target: MemoryTarget, directory: Path) -> Loaded:
    """What is live there, as files, read."""
    for name, text in import_live(target.observe(), server=None, secrets="comment").files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return load(directory)


@settings(deadline=None, max_examples=25)
@given(targets(), targets())
def test_it_agrees_with_a_whole_plan(one: MemoryTarget, other: MemoryTarget) -> None:
    with TemporaryDirectory() as root:
        loaded = declare(one, Path(root, "estate"))
        assert loaded.desired is not None, loaded.diagnostics
        file = OutlineFile(Path(root, "cache"), Path(root, "estate"), Inputs())
        file.keep(loaded.desired, files=loaded.files, remarks=())
        for target in (one, other):
            plan = make_plan(loaded.desired, target.observe(), digests={})
            says_nothing = plan.is_empty and not plan.undeclared
            found = settled(file, target)
            assert found is None or says_nothing
            assert found is None or empty_plan(found) == plan
            is_waiting = any(service.pending for service in target.services().values())
            assert found is not None or is_waiting or not says_nothing
        declare(other, Path(root, "estate"))
        again = OutlineFile(Path(root, "cache"), Path(root, "estate"), Inputs())
        now = load(Path(root, "estate")).desired
        if now is None or now.digest != loaded.desired.digest:
            assert settled(again, one) is None
