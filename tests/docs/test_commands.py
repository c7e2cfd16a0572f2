"""Every command shown in the documentation runs, in the order shown, and ends as the page says.

In a fenced block marked `console`, a line after `$ ` is a command, and what follows is output for the reader. A line
`(exit 2)` tells the exit code when it is not 0; a "…" in the output stands for anything. The commands of one page run
one after another in a copy of the examples; a comment `<!-- before: COMMAND -->` is one that the reader need not see.
Blocks marked `sh` are for the set-up commands, which this test cannot run inside itself; it checks that those of make
are in the Makefile, and `test_installing` runs those that install.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
#: The quickstart's ports. Something else may listen on them here.
PORTS = ("10143", "10993", "10110", "10995", "10025", "10587", "11993", "11995")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BEFORE = re.compile(r"^<!-- before: (.*) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A command as the page shows it, with the output and exit code that it promises."""

    command: str
    output: str
    exit_code: int

    def describes(self, output: str) -> bool:
        """True when this is what the page shows, with anything where it shows "…"."""
        parts = (re.escape(part) for part in self.output.split("…"))
        return re.fullmatch(".*".join(parts), output.strip(), re.DOTALL) is not None


def _blocks(page: Path, language: str) -> Iterator[str]:
    for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if found[1] == language:
            yield found[2]


def shown(page: Path) -> list[Shown]:
    """The commands of a page, in order; a line that ends with a backslash goes on in the next."""
    text = page.read_text(encoding="utf-8")
    found = [(match.start(), [Shown(match[1], "…", 0)]) for match in _BEFORE.finditer(text)]
    found += [
        (match.start(), list(_commands(match[2]))) for match in _FENCE.finditer(text) if match[1] == "console"
    ]
    return [command for _, commands in sorted(found, key=lambda row: row[0]) for command in commands]


def _commands(block: str) -> Iterator[Shown]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        exits = re.search(r"^\(exit (\d+)\)$", output, re.MULTILINE)
        output = re.sub(r"^\(exit \d+\)$", "", output, flags=re.MULTILINE)
        yield Shown(command, output.strip(), int(exits[1]) if exits else 0)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A directory with the examples, on ports that are free here, whose runtime is stopped afterwards."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    moved = {port: str(free_port()) for port in PORTS}
    for path in (tmp_path / "examples").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub("|".join(PORTS), lambda found: moved[found[0]], text), encoding="utf-8")
    yield tmp_path
    _run("reconcile runtime stop", tmp_path)


def _run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("page", [page for page in PAGES if shown(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, checkout: Path) -> None:
    for step in shown(page):
        done = _run(step.command, checkout)
        assert done.returncode == step.exit_code, f"{step.command}\n{done.stdout}\n{done.stderr}"
        if step.output:
            said = done.stdout, done.stderr, done.stdout + done.stderr
            assert any(step.describes(output) for output in said), (
                f"{step.command}\n{done.stdout}\n{done.stderr}"
            )


def test_the_tour_ends_well(checkout: Path) -> None:
    done = _run("sh examples/tour.sh", checkout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_names_the_ports_of_the_quickstart() -> None:
    declared = "".join(file.read_text() for file in (ROOT / "examples" / "quickstart").glob("*.yaml"))
    named = re.findall(r"\b1[01]\d{3}\b", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(PORTS) == sorted(re.findall(r"\b1[01]\d{3}\b", declared))


def test_the_set_up_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [line for page in PAGES for block in _blocks(page, "sh") for line in block.splitlines()]
    targets = [
        command.removeprefix("make ").split()[0] for command in commands if command.startswith("make ")
    ]
    assert targets
    assert [
        target for target in targets if not re.search(rf"^{target}[: ]|[ :]{target}:", makefile, re.MULTILINE)
    ] == []
