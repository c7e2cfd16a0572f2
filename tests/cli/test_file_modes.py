"""Who can read what lies in a state directory that was used."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from tests.support.estate import Runtime
from tests.support.waiting import eventually


def open_to_others(state: Path) -> Iterator[str]:
    """What group or others may read, write or enter. A certificate is public by nature: whoever is to trust a
    self-signed one is handed that file, as it is."""
    for path in (state, *state.rglob("*")):
        if path.suffix != ".crt" and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{stat.filemode(path.lstat().st_mode)} {path.relative_to(state)}"


def test_a_used_state_directory_is_its_owners_alone(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=31)
    applied.reconcile("plan", str(applied.directory), expect=None)
    eventually(lambda: list(applied.state.glob("servers/ex01/logs/*/*")), what="protocol logs")
    names = {path.name for path in applied.state.rglob("*")}
    assert {"history.jsonl", "supervisor.log", "live.sqlite", "queue", "db01", "development.crt"} <= names
    assert list(applied.state.glob("journal/*.jsonl"))
    assert list(open_to_others(applied.state)) == []


def test_a_certificate_can_be_handed_out(applied: Runtime) -> None:
    (certificate,) = applied.state.glob("servers/ex01/certificates/*.crt")
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
