"""Supervisors for the tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.supervisor.process import PopPorts, Supervisor, declare_pop, running


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor on an empty state directory."""
    with running(tmp_path / "state") as started:
        yield started


@pytest.fixture
def ports() -> PopPorts:
    """Free ports for POP3."""
    return PopPorts()


@pytest.fixture
def pop(supervisor: Supervisor, ports: PopPorts) -> Supervisor:
    """A supervisor whose ex01/pop3 runs on `ports`."""
    declare_pop(supervisor, ports)
    supervisor.restart("pop3")
    return supervisor
