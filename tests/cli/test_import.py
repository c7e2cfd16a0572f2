"""`reconcile import` on a real runtime."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.estate import PASSWORDS, Runtime, write_estate


def imported(applied: Runtime, directory: Path) -> Path:
    applied.reconcile("import", "--out", str(directory))
    return directory


def test_a_plan_right_after_an_import_is_empty(applied: Runtime, tmp_path: Path) -> None:
    out = imported(applied, tmp_path / "estate")
    assert "No changes" in applied.reconcile("plan", str(out)).stdout
    assert applied.reconcile("fmt", "--check", str(out)).stdout == ""
    assert (out / "servers/ex01/mailboxes.yaml").read_text(encoding="utf-8").count("# password: ") == len(
        PASSWORDS
    )


def test_an_import_overwrites_nothing(applied: Runtime, tmp_path: Path) -> None:
    out = imported(applied, tmp_path / "estate")
    before = (out / "servers/ex01/server.yaml").read_text(encoding="utf-8")
    assert "is there already" in applied.reconcile("import", "--out", str(out), expect=1).stderr
    assert (out / "servers/ex01/server.yaml").read_text(encoding="utf-8") == before


def test_an_update_takes_over_what_was_changed_by_hand(applied: Runtime, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", applied.ports)
    assert applied.reconcile("import", "--update", str(tmp_path / "estate")).stdout == ""
    applied.reconcile("live", "set", "PopSettings/ex01", "maxConnectionsPerUser=7")
    ran = applied.reconcile("import", "--update", str(tmp_path / "estate"))
    assert ran.stdout == f"updated {tmp_path / 'estate' / 'estate.yaml'}\n"
    applied.reconcile("drift", str(tmp_path / "estate"))


def test_an_unknown_server_is_refused(applied: Runtime, tmp_path: Path) -> None:
    ran = applied.reconcile("import", "--out", str(tmp_path), "--server", "ex09", expect=1)
    assert "no server ex09 is live" in ran.stderr


def test_one_server_alone_can_be_imported(applied: Runtime, tmp_path: Path) -> None:
    applied.reconcile("import", "--out", str(tmp_path / "estate"), "--server", "ex01")
    applied.reconcile("validate", str(tmp_path / "estate"))


def test_what_no_files_could_declare_is_named_and_nothing_is_written(
    applied: Runtime, tmp_path: Path
) -> None:
    imap = json.loads(applied.reconcile("live", "get", "ImapSettings/ex01", "--format", "json").stdout)
    pop = json.loads(applied.reconcile("live", "get", "PopSettings/ex01", "--format", "json").stdout)
    port, before = imap["spec"]["proxyTargetPort"], pop["spec"]["proxyTargetPort"]
    applied.reconcile("live", "set", "PopSettings/ex01", f"proxyTargetPort={port}")
    try:
        ran = applied.reconcile("import", "--out", str(tmp_path / "estate"), expect=1)
        told = f"  PopSettings/ex01 proxyTargetPort: 127.0.0.1:{port} belongs to ImapSettings/ex01"
        assert f"nothing was written:\n{told}" in ran.stderr
        assert "\ntake it away from one of the two first" in ran.stderr
        assert not (tmp_path / "estate").exists()
        write_estate(tmp_path / "files", applied.ports)
        text = (tmp_path / "files" / "estate.yaml").read_text(encoding="utf-8")
        applied.reconcile("import", "--update", str(tmp_path / "files"), expect=1)
        assert (tmp_path / "files" / "estate.yaml").read_text(encoding="utf-8") == text
    finally:
        applied.reconcile("live", "set", "PopSettings/ex01", f"proxyTargetPort={before}")
