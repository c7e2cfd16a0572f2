"""octoDNS as the peer in the same run, where `octodns-sync` is installed: it too compares YAML with what is live.

Its resources are smaller than ours: one name, one type, one address each. It is told to leave out what costs it most
and a plan of ours has no counterpart of (the order of records, the checksum of the plan).
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.process import measure

_CONFIG = """\
manager: {enable_checksum: false}
providers:
  declared: {class: octodns.provider.yaml.YamlProvider, directory: ./declared, enforce_order: false}
  live: {class: octodns.provider.yaml.YamlProvider, directory: ./live, enforce_order: false}
zones:
  contoso.example.: {sources: [declared], targets: [live]}
"""
_RECORD = "host{number:05d}: {{ttl: 300, type: A, value: 192.0.2.{last}}}\n"


def seconds(size: int, *, runs: int) -> float | None:
    """The median of whole processes that find nothing to do for so many records; None where it is not installed."""
    sync = shutil.which("octodns-sync")
    if sync is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "config.yaml").write_text(_CONFIG, encoding="utf-8")
        zone = "".join(_RECORD.format(number=number, last=number % 250 + 1) for number in range(size))
        for name in ("declared", "live"):
            (root / name).mkdir()
            (root / name / "contoso.example.yaml").write_text(f"---\n{zone}", encoding="utf-8")
        return median(_plan(sync, root) for _ in range(runs))


def _plan(sync: str, root: Path) -> float:
    used = measure((sync, "--config-file", "config.yaml"), cwd=root, environment={})
    if used.exit_code != 0:
        raise RuntimeError(f"octodns-sync exited {used.exit_code}")
    return used.wall
