"""`reconcile daemon` in the mode report over a large estate: from a saved file to the event that says what it means,
also while it reads everything again, and the memory of the process."""

from __future__ import annotations

import json
import os
import queue
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.estates import RECONCILE, Work, running, write_estate
from benchmarks.process import memory_kib
from benchmarks.results import Figure

#: Resources of the estate that the targets are for.
SIZE = 10_000
SAVES = 40
#: Seconds from the rename that ends a save to the event, and MiB of proportional memory.
LATENCY_TARGET = 0.2
MEMORY_TARGET = 150.0
#: Seconds between two saves, shortest and longest: the daemon reads everything again two seconds after one, so that
#: the next comes before, while or after it does.
PAUSES = (1.0, 4.0)
PATIENCE = 60.0


@dataclass(frozen=True)
class _Event:
    """One line of the daemon, and when it came (seconds, monotonic)."""

    at: float
    data: dict[str, Any]


class _Daemon:
    """A running daemon and the events that it writes."""

    def __init__(self, process: subprocess.Popen[bytes], stream: IO[bytes]) -> None:
        self.process = process
        self._events: queue.Queue[_Event] = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def forget(self) -> None:
        """Drop what it has said so far."""
        while not self._events.empty():
            self._events.get()

    def wait_for(self, name: str) -> _Event:
        """The next event of this name. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"the daemon did not say {name} within {PATIENCE:g} seconds") from None
            if event.data["event"] == name:
                return event

    def memory_mib(self) -> float:
        """Proportional set size now."""
        return memory_kib([self.process.pid]) / 1024

    def peak_mib(self) -> float:
        """The most that was ever resident, shared pages in full."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmHWM:"))

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._events.put(_Event(time.monotonic(), json.loads(line)))


def run(size: int = SIZE, saves: int = SAVES) -> Iterator[Figure]:
    """Figures for one daemon that follows `saves` saves of one file of an estate."""
    with tempfile.TemporaryDirectory() as root, running(Path(root)) as work:
        write_estate(work.root / "estate", size)
        work.reconcile("apply", "estate", "--yes")
        with _daemon(work) as daemon:
            yield from _figures(daemon, work.root / "estate" / "mailboxes-00000.yaml", size, saves)


def _figures(daemon: _Daemon, file: Path, size: int, saves: int) -> Iterator[Figure]:
    name = f"{size:,} resources"
    daemon.wait_for("in-sync")
    yield _memory(daemon, f"{name}, after the start")
    chance = random.Random(1)
    latencies = [_save(daemon, file, number, pause=chance.uniform(*PAUSES)) for number in range(saves)]
    target = LATENCY_TARGET if size >= SIZE else None
    for what, value in (("median", statistics.median(latencies)), ("worst", max(latencies))):
        yield Figure("daemon", f"{name}, save to event, {what}", value, "s", target, lower_is_better=True)
    yield _memory(daemon, f"{name}, after {saves} saves")
    yield Figure(
        "daemon", f"{name}, peak resident", daemon.peak_mib(), "MiB", MEMORY_TARGET, lower_is_better=True
    )


def _save(daemon: _Daemon, file: Path, number: int, *, pause: float) -> float:
    """Save as an editor does (write beside, rename), and wait for the plan; seconds from the rename."""
    time.sleep(pause)
    text = file.read_text(encoding="utf-8")
    marker = "maxSendSize: "
    head, _, rest = text.partition(marker)
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(f"{head}{marker}{100 + number}MB\n{rest.partition(chr(10))[2]}", encoding="utf-8")
    daemon.forget()
    started = time.monotonic()
    beside.rename(file)
    return daemon.wait_for("plan").at - started


def _memory(daemon: _Daemon, when: str) -> Figure:
    return Figure(
        "daemon", f"{when}, memory (PSS)", daemon.memory_mib(), "MiB", MEMORY_TARGET, lower_is_better=True
    )


@contextmanager
def _daemon(work: Work) -> Iterator[_Daemon]:
    with subprocess.Popen(
        [
            *RECONCILE,
            "daemon",
            "estate",
            "--interval",
            "5s",
            "--log-format",
            "ndjson",
            "--listen",
            "127.0.0.1:0",
        ],
        cwd=work.root,
        env=os.environ | work.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            yield _Daemon(process, process.stdout)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
