"""`reconcile plan` as a user runs it: a whole process, cold and warm, against a live state that is equal."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.estates import RECONCILE, Work, running, write_estate
from benchmarks.process import Used, measure
from benchmarks.results import Figure

#: resources → (no-op cold s, no-op warm s, peak MiB) that we want to reach.
TARGETS: dict[int, tuple[float | None, float | None, float | None]] = {
    100: (None, None, None),
    1000: (0.3, 0.2, None),
    10000: (1.5, 0.5, 250.0),
}
RUNS = 5


def run(sizes: tuple[int, ...] = tuple(TARGETS)) -> Iterator[Figure]:
    """Figures for each size, and for the command that does nothing but help."""
    helped = _median(measure((*RECONCILE, "--help"), cwd=Path.cwd(), environment={}) for _ in range(RUNS))
    yield Figure("plan", "reconcile --help", helped.wall, "s", 0.15, lower_is_better=True)
    for size in sizes:
        with tempfile.TemporaryDirectory() as root, running(Path(root)) as work:
            yield from _one_size(work, size)


def _one_size(work: Work, size: int) -> Iterator[Figure]:
    write_estate(work.root / "estate", size)
    cold_target, warm_target, memory_target = TARGETS.get(size, (None, None, None))
    name = f"{size:,} resources"
    created = _median(_plan(work, expect=2, cold=True) for _ in range(RUNS))
    yield Figure("plan", f"{name}, all new, cold", created.wall, "s")
    started = time.perf_counter()
    work.reconcile("apply", "estate", "--yes")
    applied = time.perf_counter() - started
    yield Figure(
        "apply", f"{name}, all new", applied, "s", 3.0 if size == 1000 else None, lower_is_better=True
    )
    cold = _median(_plan(work, expect=0, cold=True) for _ in range(RUNS))
    yield Figure("plan", f"{name}, no-op, cold", cold.wall, "s", cold_target, lower_is_better=True)
    warm = _median(_plan(work, expect=0, cold=False) for _ in range(RUNS))
    yield Figure("plan", f"{name}, no-op, warm", warm.wall, "s", warm_target, lower_is_better=True)
    yield Figure(
        "plan", f"{name}, no-op, peak memory", cold.peak_mib, "MiB", memory_target, lower_is_better=True
    )


def _plan(work: Work, *, expect: int, cold: bool) -> Used:
    if cold:
        shutil.rmtree(work.root / "state" / "cache", ignore_errors=True)
    used = measure((*RECONCILE, "plan", "estate"), cwd=work.root, environment=work.environment)
    if used.exit_code != expect:
        raise RuntimeError(f"reconcile plan exited {used.exit_code}, expected {expect}")
    return used


def _median(runs: Iterator[Used]) -> Used:
    return sorted(runs, key=lambda used: used.wall)[RUNS // 2]
