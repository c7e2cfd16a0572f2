"""Broken files, each with the exact text that the user sees in `expected.txt` beside them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared.load import load
from reconciler.rendering.diagnostics import render_diagnostics_text
from tests.declared.pem import certificate_pem, key_pem, on_an_unknown_curve

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(path.name for path in BROKEN.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key, the key once more where others can read it, and a key of something else; and as
    if they were on a curve that nobody supports."""
    directory = tmp_path_factory.mktemp("made")
    key = ec.generate_private_key(ec.SECP256R1())
    (directory / "server.crt").write_bytes(certificate_pem(key))
    (directory / "unknown-curve.crt").write_bytes(on_an_unknown_curve(certificate_pem(key)))
    for name, pem, mode in (
        ("server.key", key_pem(key), 0o600),
        ("open.key", key_pem(key), 0o644),
        ("unknown-curve.key", on_an_unknown_curve(key_pem(key)), 0o600),
        ("other.key", key_pem(ec.generate_private_key(ec.SECP256R1())), 0o600),
    ):
        (directory / name).write_bytes(pem)
        (directory / name).chmod(mode)
    return directory


@pytest.mark.parametrize("case", CASES)
def test_tells_exactly_what_is_wrong(
    case: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = tmp_path / "estate"
    shutil.copytree(BROKEN / case, estate, ignore=shutil.ignore_patterns("expected.txt"))
    shutil.copytree(made, estate / "made")
    monkeypatch.chdir(estate)
    loaded = load(Path())
    shown = render_diagnostics_text(loaded.diagnostics, loaded.sources, colour=False)
    if os.environ.get("WRITE_GOLDEN_FILES"):
        (BROKEN / case / "expected.txt").write_text(shown, encoding="utf-8")
    assert shown == (BROKEN / case / "expected.txt").read_text(encoding="utf-8")
    assert loaded.desired is None


def test_there_are_at_least_thirty() -> None:
    assert len(CASES) >= 30
