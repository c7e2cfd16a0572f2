"""The loop of one feed and one target, put together: its rounds give signs of life, and write under the lease alone.

Every write and every restart asks first whether the lease is held. Each of them, and each probe, is a sign of life: the
rest of an apply is questions that are given up soon. `reconcile daemon` and `reconcile up` call this; it decides
nothing.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.applying.apply import Applier
from reconciler.daemon.feed import Feed
from reconciler.daemon.fence import FencedTarget
from reconciler.daemon.loop import Loop, Outside
from reconciler.daemon.planner import Holds, Planner
from reconciler.daemon.rounds import Healing, Rounds, Tell
from reconciler.declared.layout import Inputs


def following(
    feed: Feed,
    applier: Applier,
    inputs: Inputs,
    *,
    holds: Holds,
    healing: Healing | None,
    tell: Tell,
    outside: Outside,
) -> Loop:
    """The loop that plans from `feed` against the applier's target, and applies with it; a wish to stop of `outside`
    stops an apply too."""
    pulse = outside.pulse
    target = FencedTarget(applier.target, pulse.beside(outside.check))
    alive = replace(
        applier,
        target=target,
        verify=pulse.beside(applier.verify),
        should_stop=outside.wish.is_stopping,
    )
    planner = Planner(feed, target, inputs, holds=holds)
    rounds = Rounds(planner, alive, feed, tell=tell, healing=healing)
    return Loop(feed, planner, rounds, tell=tell, outside=outside)
