"""The state directory is closed to others before anything is put into it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runtime.supervisor.layout import Layout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_state_directory_that_is_open_is_closed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "runtime").mkdir(parents=True)
    state.chmod(0o755)
    Layout(state).prepare()
    assert (mode(state), mode(state / "runtime")) == (0o700, 0o700)


def test_a_state_directory_that_is_everybodys_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(PermissionError, match="open to others and not ours alone to close"):
        Layout(tmp_path).prepare()
    assert list(tmp_path.iterdir()) == []
