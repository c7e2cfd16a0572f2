"""`reconcile daemon` as a process, and what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.estate import Runtime
from tests.support.waiting import eventually

DAEMON = (sys.executable, "-m", "reconciler.cli.main", "daemon", "--log-format", "ndjson")


@dataclass(frozen=True)
class Daemon:
    """A running daemon and the file that takes its events."""

    process: subprocess.Popen[bytes]
    output: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has told of this so far."""
        lines = self.output.read_text().splitlines(keepends=True)
        return [event for event in map(json.loads, filter(_is_whole, lines)) if event["event"] == name]

    def said(self, name: str, *, times: int = 1) -> dict[str, Any]:
        """Wait until it has told of this event so often; the last of them."""
        eventually(lambda: len(self.events(name)) >= times, within=60, what=f"{times} times {name}")
        return self.events(name)[-1]

    def look_now(self) -> None:
        """Ask for a round."""
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _is_whole(line: str) -> bool:
    return line.endswith("\n")


@contextmanager
def daemons(runtime: Runtime, directory: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons on the runtime's state with what it is given as options, and the estate unless `estate` is another
    one; their output goes to `directory`. All are gone at the end."""
    started: list[Daemon] = []

    def run(*options: str, estate: Path | None = None, **environment: str) -> Daemon:
        output = directory / f"events-{len(started)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*DAEMON, str(estate or runtime.directory), *options],
                stdout=file,
                env=os.environ | {"RECONCILE_STATE": str(runtime.state)} | environment,
            )
        started.append(Daemon(process, output))
        return started[-1]

    try:
        yield run
    finally:
        for daemon in started:
            daemon.process.kill()
            daemon.process.wait()


def health(port: int) -> tuple[int, list[str]]:
    """The status of /healthz and its reasons; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)["reasons"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["reasons"]
    except urllib.error.URLError:
        return 0, []


def metric(port: int, name: str) -> float:
    """The value of one metric, named with its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])
