"""The units in examples/systemd: systemd takes them, they fit each other, and what the runtime's starts runs."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.daemon.process import STOP_TIMEOUT

UNITS = Path(__file__).resolve().parents[2] / "examples" / "systemd"
NAMES = ("reconcile-runtime.service", "reconcile.service")
PROGRAMS = {
    "/opt/reconcile/bin/python": sys.executable,
    "/usr/local/bin/reconcile": str(Path(sys.executable).with_name("reconcile")),
}


def text_of(name: str, **places: str) -> str:
    """The unit with the programs of this environment, and what else lies elsewhere here."""
    found = PROGRAMS | places
    return re.sub("|".join(found), lambda place: found[place[0]], (UNITS / name).read_text(encoding="utf-8"))


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#", delimiters="=")
    parser.read_string(text.replace("\\\n", " "))
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text(text_of(name), encoding="utf-8")
    command = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in NAMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if any(name in line for name in NAMES)] == []


def test_the_daemon_comes_after_the_runtime_and_works_on_its_state() -> None:
    runtime, daemon = (unit(text_of(name)) for name in NAMES)
    for option in ("After", "Wants"):
        assert NAMES[0] in daemon["Unit"][option].split()
    for option in ("User", "Group", "StateDirectory", "StateDirectoryMode", "Environment"):
        assert daemon["Service"][option] == runtime["Service"][option]
    assert runtime["Install"]["WantedBy"] == daemon["Install"]["WantedBy"] == "multi-user.target"


def test_the_runtime_drains_before_its_hosts_end() -> None:
    service = unit(text_of(NAMES[0]))["Service"]
    assert (service["KillMode"], service["TimeoutStopSec"]) == ("mixed", f"{STOP_TIMEOUT / 60:g}min")


def test_what_the_runtimes_unit_starts_answers_and_ends(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    service = unit(text_of(NAMES[0], **{"/var/lib/reconcile": state}))["Service"]
    environment = os.environ | dict([service["Environment"].split("=", 1)])
    with subprocess.Popen(service["ExecStart"].split(), env=environment, cwd="/") as runtime:
        try:
            subprocess.run(["sh", "-c", service["ExecStartPost"]], env=environment, timeout=60, check=True)
            assert runtime.poll() is None
        finally:
            runtime.send_signal(getattr(signal, service["KillSignal"]))
            assert runtime.wait(60) == 0
