"""Generated files: stale ones are found, written and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.v1.generated import Generated, main


def made(directory: Path, **texts: str) -> Generated:
    return Generated(directory / "out", "*.md", {f"{name}.md": text for name, text in texts.items()})


def test_a_missing_file_is_stale(tmp_path: Path) -> None:
    assert made(tmp_path, a="A").stale() == (tmp_path / "out" / "a.md",)


def test_what_was_written_is_not_stale(tmp_path: Path) -> None:
    made(tmp_path, a="A").write()
    assert made(tmp_path, a="A").stale() == ()


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    made(tmp_path, a="A", b="B").write()
    assert [path.name for path in made(tmp_path, a="A", b="C").write()] == ["b.md"]


def test_what_should_not_be_there_is_removed(tmp_path: Path) -> None:
    made(tmp_path, a="A", b="B").write()
    made(tmp_path, a="A").write()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.md"]


def test_the_check_fails_until_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generated = made(tmp_path, a="A")
    assert [main(generated, [action]) for action in ("--check", "--write", "--check")] == [1, 0, 0]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["stale", "wrote"]
