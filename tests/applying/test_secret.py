"""Reading a secret where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.secret import SecretError, SecretRef, resolve


def _in_file(path: Path, text: str) -> SecretRef:
    path.write_text(text, encoding="utf-8")
    return SecretRef("file", str(path))


def test_a_line_end_is_not_part_of_it(tmp_path: Path) -> None:
    assert resolve(_in_file(tmp_path / "password", "x" * 1024 + "\n")).reveal() == "x" * 1024


def test_a_secret_that_no_logon_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is 1026 octets long; a password has at most 1024") as caught:
        resolve(_in_file(tmp_path / "password", "ü" * 513))
    assert "ü" not in str(caught.value)


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is empty"):
        resolve(_in_file(tmp_path / "password", "\n"))
