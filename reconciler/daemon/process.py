"""The runtime as a process: start it in the background or as a child, wait until it answers, end it.

The reconciler knows no more of the runtime than the name of its program and its control API. Used by `reconcile
runtime` and `reconcile up`. It never sends a signal to a process that it did not start itself.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.age import IDENTITY_FILE, IDENTITY_KEY
from reconciler.expected import ExpectedError
from reconciler.state import StateDirectory, append_private
from reconciler.targets.embedded import EmbeddedReader, EmbeddedTarget
from reconciler.targets.target import Json, NotRunningError, TransientError

#: Seconds until the runtime has to answer, and until it has to be gone (it drains its sessions first).
START_TIMEOUT = 60.0
STOP_TIMEOUT = 180.0
SECONDS_BETWEEN_LOOKS = 0.05
#: What opens encrypted secrets is the reconciler's alone.
_NOT_FOR_THE_RUNTIME = (IDENTITY_FILE, IDENTITY_KEY)
#: Lines of the runtime's log that are shown when it does not start.
SHOWN_LOG_LINES = 20


class RuntimeProcessError(ExpectedError):
    """The runtime did not start or did not end; the text says what its log says."""


def spawn(state: StateDirectory) -> subprocess.Popen[bytes]:
    """Start the runtime in a session of its own, so that a Ctrl-C here does not reach it. Nothing is imported from the
    current directory (-P), which may hold anything."""
    state.make()
    state.runtime.mkdir(mode=0o700, exist_ok=True)
    with append_private(state.runtime_log) as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "runtime.supervisor", "--state", str(state.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_THE_RUNTIME},
        )


def wait_until_up(state: StateDirectory, process: subprocess.Popen[bytes]) -> Json:
    """What /v1/health answers, once it does. Raises RuntimeProcessError with the last lines of the log."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeProcessError(
                f"the runtime ended with exit code {process.returncode}:", *log_tail(state).split("\n")
            )
        if (health := health_of(state)) is not None and health["pid"] == process.pid:
            return health
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise RuntimeProcessError(
        f"the runtime does not answer after {START_TIMEOUT:g} seconds:", *log_tail(state).split("\n")
    )


def health_of(state: StateDirectory) -> Json | None:
    """The runtime's version, instance and process id, or None when none runs."""
    try:
        with EmbeddedReader(state) as reader:
            return reader.health()
    except (NotRunningError, TransientError):
        return None


def failed_services(status: Json) -> list[tuple[str, str]]:
    """Each service that is to run and does not, and why."""
    servers: Any = status["servers"]
    return [
        (service["id"], service["lastError"] or "the runtime gives no reason")
        for server in servers
        for service in server["services"]
        if service["state"] == "failed"
    ]


def ask_to_stop(state: StateDirectory) -> None:
    """Ask the runtime to drain and end, and wait until it has. Raises NotRunningError, RuntimeProcessError."""
    with EmbeddedTarget(state) as target:
        target.shutdown()
    if not _becomes_true(lambda: not is_locked(state.runtime / "supervisor.lock"), within=STOP_TIMEOUT):
        raise RuntimeProcessError(
            f"the runtime still drains after {STOP_TIMEOUT:g} seconds; see {state.runtime_log}, it will end by itself"
        )


def end_child(state: StateDirectory, process: subprocess.Popen[bytes]) -> None:
    """End the runtime that this process started: politely, then by SIGTERM, then by SIGKILL."""
    try:
        with EmbeddedTarget(state) as target:
            target.shutdown()
    except (NotRunningError, TransientError):
        process.terminate()
    for ending in (process.terminate, process.kill):
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            ending()
    process.wait()


def is_locked(path: Path) -> bool:
    """True while a process holds the lock on this file. The kernel drops it with the process, zombie or not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def log_tail(state: StateDirectory) -> str:
    """The last lines of the runtime's log."""
    if not state.runtime_log.exists():
        return f"{state.runtime_log} is empty"
    lines = state.runtime_log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["", *lines[-SHOWN_LOG_LINES:], f"(the whole log: {state.runtime_log})"])


def _becomes_true(condition: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return condition()
