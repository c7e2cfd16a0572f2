"""Files that are made from the declarations and checked in: what they should hold, which are stale, writing them.

`json_schema.py` and `reference.py` say which files; both are programs through `main`. A stale file is one that is
missing, differs, or should not be there any more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """All files of one directory that match `pattern`, by name, with their text."""

    directory: Path
    pattern: str
    texts: Mapping[str, str]

    def stale(self) -> tuple[Path, ...]:
        """Return the files that do not hold what they should, sorted."""
        found = {path.name for path in self.directory.glob(self.pattern)}
        names = sorted(found | self.texts.keys())
        return tuple(self.directory / name for name in names if self._is_stale(name))

    def _is_stale(self, name: str) -> bool:
        path = self.directory / name
        return not path.exists() or path.read_text(encoding="utf-8") != self.texts.get(name)

    def write(self) -> tuple[Path, ...]:
        """Write or remove the stale files and return them."""
        self.directory.mkdir(parents=True, exist_ok=True)
        stale = self.stale()
        for path in stale:
            if path.name in self.texts:
                path.write_text(self.texts[path.name], encoding="utf-8")
            else:
                path.unlink()
        return stale


def main(generated: Generated, arguments: list[str] | None = None) -> int:
    """Run `--write` or `--check`; names the files concerned. Exit code 1: something is stale."""
    parser = argparse.ArgumentParser()
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the files that are stale")
    action.add_argument("--check", action="store_true", help="exit with 1 when a file is stale")
    is_write: bool = parser.parse_args(arguments).write
    paths = generated.write() if is_write else generated.stale()
    sys.stdout.writelines(f"{'wrote' if is_write else 'stale'} {path}\n" for path in paths)
    return 0 if is_write or not paths else 1
