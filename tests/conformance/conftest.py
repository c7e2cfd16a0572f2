"""A runtime process a module, asked over its socket, and every target by turns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from reconciler.daemon.process import end_child, spawn, wait_until_up
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Target

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTarget]:
    state = StateDirectory(tmp_path_factory.mktemp("state"))
    process = spawn(state)
    try:
        wait_until_up(state, process)
        with EmbeddedTarget(state) as target:
            yield target
    finally:
        end_child(state, process)


@pytest.fixture(params=["memory", "embedded"])
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "memory":
        return MemoryTarget()
    found: Target = request.getfixturevalue("embedded")
    return found


@pytest.fixture
def server() -> str:
    return f"ex{next(NUMBERS):02}"
