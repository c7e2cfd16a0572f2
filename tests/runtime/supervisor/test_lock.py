"""One supervisor a state directory, and none beside the hosts of another."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.supervisor.lock import AlreadyRunningError, acquire


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "state" / "runtime"
    directory.mkdir(parents=True)
    return directory / "supervisor.lock"


@contextmanager
def held(path: Path, text: str) -> Iterator[int]:
    """The lock, held by a file description of its own, with `text` in the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, text.encode())
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def ended_process() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_holder_writes_its_id(path: Path) -> None:
    descriptor = acquire(path)
    assert path.read_text(encoding="utf-8") == f"{os.getpid()}\n"
    os.close(descriptor)


def test_a_living_holder_is_named(path: Path) -> None:
    with (
        held(path, str(os.getpid())),
        pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}.*state"),
    ):
        acquire(path)


def test_hosts_of_a_dead_holder_are_waited_for(path: Path) -> None:
    with held(path, str(ended_process())) as descriptor:
        threading.Timer(0.2, fcntl.flock, (descriptor, fcntl.LOCK_UN)).start()
        os.close(acquire(path))


def test_a_glance_at_the_lock_does_no_harm(path: Path) -> None:
    with held(path, str(os.getpid())) as descriptor:
        threading.Timer(0.1, fcntl.flock, (descriptor, fcntl.LOCK_UN)).start()
        os.close(acquire(path))
