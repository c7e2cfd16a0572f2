"""One apply at a time; the other one is told who."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.applying.lock import LockedError, apply_lock


def test_a_second_apply_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with (
        apply_lock(tmp_path / "apply.lock", actor="alice"),
        pytest.raises(LockedError, match=rf"another apply is running: alice \(process {os.getpid()}, since"),
        apply_lock(tmp_path / "apply.lock", actor="bob"),
    ):
        pytest.fail("two applies hold the lock")


def test_the_lock_is_free_afterwards(tmp_path: Path) -> None:
    with apply_lock(tmp_path / "apply.lock", actor="alice"):
        pass
    with apply_lock(tmp_path / "apply.lock", actor="bob"):
        assert (tmp_path / "apply.lock").read_text().startswith("bob")


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), apply_lock(tmp_path / "apply.lock", actor="alice"):
        raise ValueError("broken")
    with apply_lock(tmp_path / "apply.lock", actor="bob"):
        pass
