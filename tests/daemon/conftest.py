"""One applied estate a module, and daemons on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemons
from tests.support.estate import Runtime, start_runtime


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A running runtime with its estate applied."""
    found = start_runtime(tmp_path_factory.mktemp("daemon"))
    try:
        found.reconcile("apply", str(found.directory), "--yes")
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@pytest.fixture
def start(runtime: Runtime, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons on the runtime's state; all are gone at the end, and the estate is as it was."""
    with daemons(runtime, tmp_path) as run:
        yield run
    runtime.apply()
