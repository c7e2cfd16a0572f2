"""`reconcile fmt`: what it shows, checks and writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Ran

UGLY, GOOD = "spec: {a: 'x'}\nkind: Server\n", "kind: Server\nspec: {a: x}\n"
Reconcile = Callable[..., Ran]


def test_it_shows_the_difference_and_writes_nothing(tmp_path: Path, reconcile: Reconcile) -> None:
    (tmp_path / "a.yaml").write_text(UGLY, encoding="utf-8")
    ran = reconcile("fmt", tmp_path)
    assert ran.code == 2
    assert "+spec: {a: x}" in ran.out
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == UGLY


def test_check_names_the_files(tmp_path: Path, reconcile: Reconcile) -> None:
    (tmp_path / "a.yaml").write_text(UGLY, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD, encoding="utf-8")
    ran = reconcile("fmt", "--check", tmp_path)
    assert (ran.code, ran.out) == (2, f"{tmp_path / 'a.yaml'}: not in canonical style\n")


def test_write_rewrites_and_then_all_is_well(tmp_path: Path, reconcile: Reconcile) -> None:
    (tmp_path / "a.yaml").write_text(UGLY, encoding="utf-8")
    assert reconcile("fmt", "--write", tmp_path).code == 0
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == GOOD
    assert reconcile("fmt", "--check", tmp_path).code == 0


def test_a_broken_file_is_named_and_the_others_are_written(tmp_path: Path, reconcile: Reconcile) -> None:
    (tmp_path / "a.yaml").write_text("a: [\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(UGLY, encoding="utf-8")
    ran = reconcile("fmt", "--write", tmp_path)
    assert ran.code == 1
    assert "a.yaml: line" in ran.err
    assert (tmp_path / "b.yaml").read_text(encoding="utf-8") == GOOD
