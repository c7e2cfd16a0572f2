"""Figures with their units, as a table for people and JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured value. `target` is what we want to reach and `peer` what Dovecot (mail) or octoDNS (plans) did in
    the same run, both in the same unit, or None."""

    area: str
    work: str
    value: float
    unit: str
    target: float | None = None
    lower_is_better: bool = False
    peer: float | None = None

    @property
    def against_peer(self) -> float | None:
        """How many times better than the peer in the same run; above 1.0 is better, whichever direction that is."""
        if not self.peer or not self.value:
            return None
        return self.peer / self.value if self.lower_is_better else self.value / self.peer

    @property
    def ratio(self) -> float | None:
        """How far the target is reached: 1.0 and more is reached, whichever direction is better."""
        if self.target is None or not self.value:
            return None
        return self.target / self.value if self.lower_is_better else self.value / self.target


def print_table(figures: Sequence[Figure]) -> None:
    """A table on standard output."""
    table = Table(title="Benchmarks", title_justify="left")
    for heading in ("area", "work"):
        table.add_column(heading)
    for heading in ("measured", "unit", "target", "reached", "peer", "ratio"):
        table.add_column(heading, justify="right")
    for figure in figures:
        table.add_row(
            figure.area,
            figure.work,
            _number(figure.value),
            figure.unit,
            _number(figure.target),
            _number(figure.ratio),
            _number(figure.peer),
            _number(figure.against_peer),
        )
    Console(width=140).print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """The same with what they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    rows = [
        asdict(figure) | {"reached": figure.ratio, "against_peer": figure.against_peer} for figure in figures
    ]
    path.write_text(json.dumps({"machine": machine, "figures": rows}, indent=2) + "\n", encoding="utf-8")
