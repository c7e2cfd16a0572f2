"""Which services a finished set of changes touches, what is done to each, and why.

A pass over the diff: each change tells its effects by the schemas' one table, effects on one service are merged to
the dearest, and the service's startup type and state decide what that means: Automatic and running is restarted (or
reloaded), Automatic and not running is started, anything else is stopped if it runs and left alone if it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model import (
    Action,
    Cause,
    Change,
    Desired,
    FieldChange,
    Key,
    LiveState,
    Present,
    ServiceAction,
    ServiceImpact,
    ServiceState,
)
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec
from schemas.v1.effects import Effect, effects
from schemas.v1.impact import Impact
from schemas.v1.services import SERVICES

_NOT_RUNNING = frozenset({"stopped", "failed"})
_PENDING_IMPACT = {"reload": Impact.RELOAD}


@dataclass(frozen=True, slots=True)
class Planned:
    """A change with the specs on both sides of it."""

    change: Change
    old: Spec | None
    new: Spec | None


@dataclass(frozen=True, slots=True)
class _Touch:
    service: str
    impact: Impact
    causes: tuple[Cause, ...]


def impacts_of(planned: Iterable[Planned], desired: Desired, live: LiveState) -> tuple[ServiceImpact, ...]:
    """One impact a touched service, by service id. What a service was waiting for already is done along with it."""
    planned = tuple(planned)
    gone = {item.change.key.name for item in planned if item.change.key.kind == "Server" and item.new is None}
    touched = _merged(touch for item in planned for touch in _touches(item))
    found = (_impact(touch, desired, live, gone) for touch in touched)
    return tuple(impact for impact in found if impact is not None)


def owed_actions(
    desired: Desired,
    live: LiveState,
    touched: Iterable[ServiceImpact],
    *,
    owes: Callable[[ServiceState], bool],
) -> tuple[ServiceImpact, ...]:
    """Services that live configuration waits for although no change touches them. `owes` says of a waiting service
    whether that is the plan's business."""
    done = {impact.service for impact in touched}
    waiting = (
        _Touch(state.service, _pending_impact(state), _pending_causes(state))
        for name, state in sorted(live.services.items())
        if state.pending and name not in done and owes(state)
    )
    found = (_impact(touch, desired, live, frozenset()) for touch in waiting)
    return tuple(impact for impact in found if impact is not None)


def _touches(planned: Planned) -> Iterator[_Touch]:
    for effect in _effects(planned):
        service = f"{effect.server}/{effect.service}"
        yield _Touch(service, effect.impact, _causes(planned.change, effect.fields))


def _effects(planned: Planned) -> tuple[Effect, ...]:
    """To a service a rename is one resource that goes and another that is new."""
    key, before = planned.change.key, planned.change.live_key
    if before == key:
        return effects(key.kind, key.name, planned.old, planned.new)
    return (
        *effects(key.kind, before.name, planned.old, None),
        *effects(key.kind, key.name, None, planned.new),
    )


def _causes(change: Change, paths: Iterable[str]) -> tuple[Cause, ...]:
    if change.action is not Action.UPDATE or change.renamed_from:
        return (Cause(change.key, "", None, None),)
    values = {field.path: field for field in change.fields}
    named = {field.path: field for path in paths for field in _fields_at(values, path)}
    return tuple(Cause(change.key, field.path, field.old, field.new) for field in named.values())


def _fields_at(values: Mapping[str, FieldChange], path: str) -> list[FieldChange]:
    if path in values:
        return [values[path]]
    return [
        field for name, field in values.items() if name.startswith(f"{path}.") or path.startswith(f"{name}.")
    ]


def _merged(touches: Iterable[_Touch]) -> list[_Touch]:
    by_service: dict[str, _Touch] = {}
    for touch in touches:
        known = by_service.get(touch.service, touch)
        causes = {(cause.key, cause.path): cause for cause in (*known.causes, *touch.causes)}
        impact = max(known.impact, touch.impact)
        by_service[touch.service] = _Touch(touch.service, impact, tuple(causes.values()))
    return [by_service[name] for name in sorted(by_service)]


def _impact(touch: _Touch, desired: Desired, live: LiveState, gone: Iterable[str]) -> ServiceImpact | None:
    state = live.services.get(touch.service)
    impact = max(touch.impact, _pending_impact(state))
    startup = "Disabled" if _server_of(touch.service) in gone else startup_type(touch.service, desired, live)
    action = _action(impact, startup, state)
    if action is None:
        return None
    return ServiceImpact(touch.service, action, touch.causes, _sessions(action, state))


def _action(impact: Impact, startup: str, state: ServiceState | None) -> ServiceAction | None:
    is_running = state is not None and state.state not in _NOT_RUNNING
    if startup != "Automatic":
        return ServiceAction.STOP if is_running else None
    if state is None or not is_running or state.pending == "start":
        return ServiceAction.START
    return ServiceAction.RELOAD if impact is Impact.RELOAD else ServiceAction.RESTART


def _sessions(action: ServiceAction, state: ServiceState | None) -> int | None:
    if action in (ServiceAction.START, ServiceAction.RELOAD):
        return 0
    return state.sessions if state is not None else None


def startup_type(service: str, desired: Desired, live: LiveState) -> str:
    """How the service is to start once the plan is applied: as declared, else as it is live."""
    server, name = service.split("/", 1)
    key = Key("Server", server)
    declared = desired.resources.get(key)
    observed = live.resources.get(key)
    if declared is not None:
        return _startup_in(declared.spec, name)
    if isinstance(observed, Present):
        return _startup_in(observed.spec, name)
    state = live.services.get(service)
    return state.startup_type if state is not None else SERVICES[name].default_startup_type


def _startup_in(server: Spec, service: str) -> str:
    services = dump_spec(server)["services"]
    declared = services.get(service) if isinstance(services, dict) else None
    if isinstance(declared, dict):
        return str(declared["startupType"])
    return SERVICES[service].default_startup_type


def _pending_impact(state: ServiceState | None) -> Impact:
    if state is None or state.pending is None:
        return Impact.NONE
    return _PENDING_IMPACT.get(state.pending, Impact.RESTART)


def _pending_causes(state: ServiceState) -> tuple[Cause, ...]:
    return tuple(Cause(key, path, None, None) for key, path in state.pending_fields)


def _server_of(service: str) -> str:
    return service.split("/", 1)[0]
