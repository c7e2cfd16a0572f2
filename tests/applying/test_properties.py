"""What holds for every live estate and every declaration: the real transaction leaves nothing to plan, and twice is
once. Only the target is in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings

from reconciler.applying.apply import Applier
from reconciler.applying.history import Author
from reconciler.model import Desired, Outcome, Plan, Present, Report
from reconciler.planning.plan import make_plan
from reconciler.state import StateDirectory
from reconciler.targets.memory import MemoryTarget
from tests.applying.builders import Probes, resource
from tests.authoring.estates import targets


def declared(target: MemoryTarget) -> Desired:
    """What lives there, as a declaration."""
    found = target.observe().resources.items()
    resources = {key: resource(key, one.spec) for key, one in found if isinstance(one, Present)}
    return Desired(resources, digest="d" * 64)


def planned(desired: Desired, target: MemoryTarget) -> Plan:
    return make_plan(desired, target.observe(), digests={})


def apply(desired: Desired, target: MemoryTarget) -> Report:
    with TemporaryDirectory() as directory:
        state = StateDirectory(Path(directory))
        state.make()
        applier = Applier(target, state, Author("alice"), Probes())
        return applier.apply(planned(desired, target), desired=desired, live=target.observe())


@settings(deadline=None, max_examples=25)
@given(targets(), targets())
def test_a_plan_after_apply_is_empty(target: MemoryTarget, other: MemoryTarget) -> None:
    desired = declared(other)
    report = apply(desired, target)
    assert report.is_success, report.error
    assert planned(desired, target).is_empty
    live = target.observe().resources
    for key, wanted in desired.resources.items():
        found = live[key]
        assert isinstance(found, Present)
        assert found.spec == wanted.spec


@settings(deadline=None, max_examples=25)
@given(targets(), targets())
def test_apply_twice_is_once(target: MemoryTarget, other: MemoryTarget) -> None:
    desired = declared(other)
    apply(desired, target)
    before, services = target.epoch(), target.status()
    again = apply(desired, target)
    assert again.is_success
    assert {step.outcome for step in again.steps} <= {Outcome.SKIPPED}
    assert (target.epoch(), target.status()) == (before, services)
