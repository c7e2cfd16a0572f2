"""What a service would have to do to run its live configuration. Pure.

Compares the resources that the running generation was built from with the live ones, field by field, through
the same table of effects that the planner uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from runtime.supervisor.blueprint import Key, ServerResources
from schemas.v1.effects import effects
from schemas.v1.impact import Impact

Action = Literal["start", "stop", "restart", "reload"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Fields of one resource that ask for it."""

    key: Key
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """The action that is owed, its impact on clients, and why."""

    action: Action
    impact: Impact
    causes: tuple[Cause, ...]

    def to_json(self) -> dict[str, Any]:
        """As `GET /v1/status` shows it."""
        causes = [{"kind": one.key[0], "name": one.key[1], "fields": list(one.fields)} for one in self.causes]
        return {"action": self.action, "impact": str(self.impact), "causes": causes}


def pending(
    service: str, *, built_from: ServerResources | None, live: ServerResources, has_process: bool
) -> Pending | None:
    """What is owed to `service`; `built_from` is None when it does not run, and `has_process` is false also while
    the process that carried it is dead. None: it runs what is configured."""
    should_run = live.startup_type(service) == "Automatic"
    if should_run and (built_from is None or not has_process):
        return _startup("start", service, live)
    if built_from is None:
        return None
    if not should_run:
        return _startup("stop", service, live)
    found = list(_differences(service, built_from, live))
    if not found:
        return None
    impact = max(impact for impact, _ in found)
    action: Action = "restart" if impact == Impact.RESTART else "reload"
    return Pending(action, impact, tuple(cause for _, cause in found))


def _startup(action: Action, service: str, live: ServerResources) -> Pending:
    cause = Cause(("Server", live.server), (f"services.{service}.startupType",))
    return Pending(action, Impact.RESTART, (cause,))


def _differences(service: str, old: ServerResources, new: ServerResources) -> Iterator[tuple[Impact, Cause]]:
    """What is unreadable now cannot be compared: the generation goes on with what it was built from."""
    for key in sorted((old.specs.keys() | new.specs.keys()) - new.unreadable.keys()):
        before, after = old.specs.get(key), new.specs.get(key)
        if before == after:
            continue
        for effect in effects(*key, before, after):
            if (effect.server, effect.service) == (new.server, service):
                yield effect.impact, Cause(key, effect.fields)
