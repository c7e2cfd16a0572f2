"""`reconcile plan` and `review` as users run them: whole processes, cold and warm, where little or nothing changes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import octodns
from benchmarks.estates import RECONCILE, Work, running, write_estate
from benchmarks.process import Used, measure
from benchmarks.results import Figure

#: resources → (no-op cold s, no-op warm s, peak MiB) that we want to reach.
TARGETS: dict[int, tuple[float | None, float | None, float | None]] = {
    100: (None, None, None),
    1000: (0.3, 0.2, None),
    10000: (1.5, 0.5, 250.0),
}
#: resources → seconds of a warm review of one changed file.
REVIEW_TARGETS = {10000: 3.0}
RUNS = 5
_GIT = ("git", "-c", "user.name=alice", "-c", "user.email=alice@contoso.example")


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
    peer = octodns.seconds(size, runs=RUNS)
    yield Figure("plan", f"{name}, no-op, cold", cold.wall, "s", cold_target, lower_is_better=True, peer=peer)
    warm = _median(_plan(work, expect=0, cold=False) for _ in range(RUNS))
    yield Figure("plan", f"{name}, no-op, warm", warm.wall, "s", warm_target, lower_is_better=True, peer=peer)
    yield Figure(
        "plan", f"{name}, no-op, peak memory", cold.peak_mib, "MiB", memory_target, lower_is_better=True
    )


def run_review(sizes: tuple[int, ...] = tuple(REVIEW_TARGETS)) -> Iterator[Figure]:
    """A pull request that changes one file, reviewed with nothing kept and with what the last review kept."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as root:
            directory = Path(root)
            _write_pull_request(directory, size)
            name = f"{size:,} resources, one file changed"
            cold = _median(_review(directory, cold=True) for _ in range(RUNS))
            yield Figure("review", f"{name}, cold", cold.wall, "s")
            warm = _median(_review(directory, cold=False) for _ in range(RUNS))
            target = REVIEW_TARGETS.get(size)
            yield Figure("review", f"{name}, warm", warm.wall, "s", target, lower_is_better=True)
            yield Figure("review", f"{name}, peak memory", cold.peak_mib, "MiB")


def _write_pull_request(directory: Path, size: int) -> None:
    write_estate(directory / "estate", size)
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "estate")
    _git(directory, "commit", "--quiet", "--message=estate")
    _git(directory, "checkout", "--quiet", "-b", "change")
    file = directory / "estate" / "ex000.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("maxConnectionsPerUser: 32", "maxConnectionsPerUser: 48"), encoding="utf-8")
    _git(directory, "commit", "--quiet", "--all", "--message=change")


def _git(directory: Path, *arguments: str) -> None:
    subprocess.run([*_GIT, *arguments], cwd=directory, check=True)


def _review(directory: Path, *, cold: bool) -> Used:
    state = directory / "state"
    if cold:
        shutil.rmtree(state / "cache", ignore_errors=True)
    state.mkdir(mode=0o700, exist_ok=True)
    command = (
        *RECONCILE,
        "--state",
        str(state),
        "review",
        "estate",
        "--base",
        "main",
        "--output",
        "review.md",
    )
    used = measure(command, cwd=directory, environment={})
    if not (directory / "review.md").exists():
        raise RuntimeError(f"reconcile review exited {used.exit_code} and wrote nothing")
    return used


def _plan(work: Work, *, expect: int, cold: bool) -> Used:
    if cold:
        shutil.rmtree(work.root / "state" / "cache", ignore_errors=True)
    used = measure((*RECONCILE, "plan", "estate"), cwd=work.root, environment=work.environment)
    if used.exit_code != expect:
        raise RuntimeError(f"reconcile plan exited {used.exit_code}, expected {expect}")
    return used


def _median(runs: Iterator[Used]) -> Used:
    return sorted(runs, key=lambda used: used.wall)[RUNS // 2]
