"""A saved plan over a target in memory: plan, save, read back, admit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.applying.secrets import digests
from reconciler.model import Desired, Hold, Key, LiveState, Prune, Selection
from reconciler.planning.plan import EVERYTHING, NO_PRUNE, make_plan
from reconciler.planning.prune import MANAGER
from reconciler.saved import document
from reconciler.saved.admit import admit, instance_of
from reconciler.saved.check import Remaining
from reconciler.saved.document import SavedPlan
from reconciler.saved.save import new_origin, saved_plan
from reconciler.saved.used import UsedPlans
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution, Reader
from schemas.v1.codec import parse_spec
from tests.applying.builders import Bench

DB02 = Key("MailboxDatabase", "db02")


@dataclass
class Desk:
    """A bench, and plans saved beside it."""

    path: Path
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        self.bench = Bench(self.path / "state")

    @property
    def used(self) -> UsedPlans:
        return UsedPlans(self.path / "used")

    @property
    def file(self) -> Path:
        return self.path / "change.plan"

    def with_databases(self) -> None:
        """db01 and db02 are live; no file declares them."""
        for key in (Key("MailboxDatabase", "db01"), DB02):
            spec = parse_spec("MailboxDatabase", {"server": "ex01"})
            by = Attribution("alice")
            MemoryTarget.write(self.bench.target, key, spec, secrets={}, expect=None, by=by)
            self.age(key, managed_by=MANAGER)

    def age(self, key: Key, **facts: str) -> None:
        """Have what is said of a live resource be otherwise."""
        live = self.bench.target._live
        live[key] = replace(live[key], **facts)  # type: ignore[arg-type]

    def save(
        self, desired: Desired, *, selection: Selection = EVERYTHING, prune: Prune = NO_PRUNE
    ) -> SavedPlan:
        """Plan `desired`, write the plan to `file`, and read it back."""
        found, problems = digests(desired, self.bench.target.digest_key())
        assert not problems
        return self.save_against(
            desired, self.bench.target.observe(), found, selection=selection, prune=prune
        )

    def save_against(
        self,
        desired: Desired,
        live: LiveState,
        found: object = None,
        *,
        selection: Selection = EVERYTHING,
        prune: Prune = NO_PRUNE,
    ) -> SavedPlan:
        plan = make_plan(desired, live, digests=found or {}, selection=selection, prune=prune)  # type: ignore[arg-type]
        origin = new_origin(
            instance=instance_of(self.bench.target), estate=self.path / "estate", made_by="alice", commit=None
        )
        saved = saved_plan(plan, desired=desired, live=live, digests=found or {}, origin=origin)  # type: ignore[arg-type]
        self.file.write_bytes(document.written(saved, self.bench.target.digest_key()))
        return document.read(self.file)

    def admit(
        self, saved: SavedPlan | None = None, *, target: Reader | None = None, holds: Sequence[Hold] = ()
    ) -> Remaining:
        saved = saved or document.read(self.file)
        remaining, _ = admit(saved, target or self.bench.target, self.used, holds=holds)
        return remaining

    def edit(self, old: str, new: str) -> None:
        """Change the file as somebody with an editor would."""
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.file.write_text(text.replace(old, new), encoding="utf-8")

    def data(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.file.read_bytes())
        return found
