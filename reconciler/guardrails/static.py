"""Policies held against files alone: what a plan would say of resources if live were as declared.

`reconcile policy check` uses it where no runtime is at hand, such as before a commit. Policies about changes, services
and sites find nothing, because nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.declared.layout import locate
from reconciler.declared.source import DirectorySource, Source
from reconciler.guardrails.files import estate_policies
from reconciler.guardrails.guard import SHIPPED_WORD, Guard
from reconciler.model import Desired, LiveState, Plan, Present
from reconciler.planning.plan import make_plan
from reconciler.verdict import Judged


@dataclass(frozen=True, slots=True)
class _Planned:
    desired: Desired
    live: LiveState
    plan: Plan


def judge_files(desired: Desired, directory: Path | Source, guard: Guard) -> Judged:
    """Hold what is declared against the policies; the shipped ones when neither the estate nor the caller has any.
    Waivers are no policies."""
    estate = DirectorySource(locate(directory, None)[0]) if isinstance(directory, Path) else directory
    if not guard.policies and not estate_policies(estate).policies:
        guard = replace(guard, policies=(SHIPPED_WORD,))
    resources = {key: Present(resource.spec, 1) for key, resource in desired.resources.items()}
    live = LiveState(resources, {})
    return guard.judge(_Planned(desired, live, make_plan(desired, live, digests={})), directory)
