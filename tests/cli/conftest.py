"""One applied estate a module, and `reconcile` run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.cli.main import main
from tests.support.estate import Runtime, start_runtime


@dataclass(frozen=True)
class Ran:
    """What one command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def reconcile(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A running runtime with nothing applied."""
    found = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@pytest.fixture(scope="module")
def applied(runtime: Runtime) -> Runtime:
    """The same, with its estate applied."""
    runtime.apply()
    return runtime
