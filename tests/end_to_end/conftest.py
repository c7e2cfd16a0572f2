"""One running estate a test module; tests that change or kill it use their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.estate import Runtime, start_runtime


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """An applied estate for tests that only read and send mail."""
    runtime = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        runtime.apply()
        yield runtime
    finally:
        runtime.reconcile("runtime", "stop", expect=None)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """An applied estate that the test may reconfigure, restart and kill."""
    runtime = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        runtime.apply()
        yield runtime
    finally:
        runtime.reconcile("runtime", "stop", expect=None)
