"""What a process used: wall time and peak memory of a command, proportional memory of a running one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Used:
    """One finished command: seconds of wall clock and of CPU, peak resident memory in MiB, exit code."""

    wall: float
    cpu: float
    peak_mib: float
    exit_code: int


def measure(command: Sequence[str], *, cwd: Path, environment: dict[str, str]) -> Used:
    """Run `command` to its end, output thrown away, and account for it alone (wait4).

    Compiled modules are kept from one run to the next, as on a user's machine, whatever this one is set to."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)


def memory_kib(pids: Sequence[int]) -> int:
    """Proportional set size (PSS) of these processes together, in KiB, from /proc."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel tells no Pss of process {pid}")


def pin(pids: Sequence[int], core: int) -> None:
    """Keep these processes, with all their threads, on one core, when the machine has it."""
    if core not in os.sched_getaffinity(0):
        return
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
