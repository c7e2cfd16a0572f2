"""Holds one plan against every policy that is asked for: the estate's own, the shipped ones, further directories.

`pipeline` calls it once the plan is made. Without policies it costs the look for a directory. It reads policy files and
the lines that findings point at, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.declared.files import read_file
from reconciler.declared.layout import POLICIES, locate
from reconciler.declared.source import DirectorySource, Source
from reconciler.model import Diagnostic, Position
from reconciler.verdict import UNJUDGED, Judged

if TYPE_CHECKING:
    from reconciler.guardrails.evaluate import Planned
    from reconciler.guardrails.policy import PolicySet

SHIPPED_WORD = "shipped"  # --policies shipped


@dataclass(frozen=True, slots=True)
class Guard:
    """What a run asks for beside the estate's own policies: "shipped" or directories, and labels for every resource.
    The environment that is planned, one of the overlays, is such a label too."""

    policies: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Those of the policies that are named by their directory."""
        return tuple(Path(one) for one in self.policies if one != SHIPPED_WORD)

    def load(self, estate: Source | Path | None) -> PolicySet:
        """The policies and waivers for an estate; None: only those that are asked for. The estate's own win over others
        of the same id."""
        from reconciler.guardrails.files import SHIPPED, combine, estate_policies, load_policies
        from reconciler.guardrails.policy import PolicySet

        asked = [load_policies(SHIPPED if one == SHIPPED_WORD else Path(one)) for one in self.policies]
        return combine(*asked, estate_policies(estate) if estate is not None else PolicySet())

    def judge(self, planned: Planned, estate: Source | Path | None, *, now: datetime | None = None) -> Judged:
        """Hold the plan against them. `now` is this moment unless given, with its time zone."""
        environment = self.environment
        if isinstance(estate, Path):
            root, environment = locate(estate, environment)
            estate = DirectorySource(root)
        if not self.policies and (estate is None or POLICIES not in estate.directories(estate.root)):
            return UNJUDGED
        from reconciler.guardrails.evaluate import Circumstances, judge

        policies = self.load(estate)
        if not (policies.policies or policies.waivers or policies.diagnostics):
            return UNJUDGED
        labels = {**({"environment": environment} if environment else {}), **self.labels}
        circumstances = Circumstances(now or datetime.now(UTC), labels, overlay=environment)
        verdict = judge(planned, policies, circumstances)
        return Judged(verdict, {**_excerpts(verdict.diagnostics, estate), **policies.sources})


def _excerpts(diagnostics: Iterable[Diagnostic], source: Source | None) -> Mapping[Path, str]:
    """The text of every declaration that a finding points into, without what may be a secret."""
    from reconciler.declared.excerpts import masked

    if source is None:
        return {}
    places: list[Position | None] = [diagnostic.position for diagnostic in diagnostics]
    found: dict[Path, str] = {}
    for file in sorted({place.file for place in places if place is not None}):
        content = read_file(file, source.read)
        if not isinstance(content, Diagnostic):
            found[file] = masked(content.content.decode("utf-8-sig", errors="replace"))
    return found
