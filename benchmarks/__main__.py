"""`make bench`: measure, print a table, write benchmarks/results/latest.json. Never run by the tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import daemon, mail, planning
from benchmarks.results import Figure, print_table, write_json


def _measure(args: argparse.Namespace) -> Iterator[Figure]:
    if args.area in {"all", "plan"}:
        yield from planning.run(tuple(args.sizes))
    if args.area in {"all", "review"}:
        yield from planning.run_review((max(args.sizes),))
    if args.area in {"all", "daemon"}:
        yield from daemon.run(max(args.sizes))
    if args.area in {"all", "mail"}:
        yield from mail.run(seconds=args.seconds)


def main(argv: list[str]) -> int:
    """Run what was asked for; each figure is announced on standard error as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("area", nargs="?", choices=["all", "plan", "review", "daemon", "mail"], default="all")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(planning.TARGETS), help="resources to plan"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "latest.json")
    args = parser.parse_args(argv)
    figures = []
    for figure in _measure(args):
        figures.append(figure)
        print(f"{figure.work}: {figure.value:.4g} {figure.unit}", file=sys.stderr, flush=True)
    print_table(figures)
    write_json(figures, args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
