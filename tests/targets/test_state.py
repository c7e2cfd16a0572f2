"""The state directory is closed to others, or refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reconciler.state import OpenStateError, StateDirectory, append_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [0o755, 0o770, 0o701])
def test_one_that_is_open_is_closed(tmp_path: Path, before: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(before)
    StateDirectory.at(state).make()
    assert mode(state) == 0o700


def test_one_that_is_everybodys_is_refused_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(OpenStateError, match="open to others and not ours alone to close; chmod 700"):
        StateDirectory.at(tmp_path).make()
    assert mode(tmp_path) == 0o1777


def test_a_private_file_is_appended_to(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        with append_private(tmp_path / "file") as file:
            file.write(line)
    assert (tmp_path / "file").read_bytes() == b"one\ntwo\n"
    assert mode(tmp_path / "file") == 0o600
