"""Programs that are not Python packages: skipped with the reason when missing, required with REQUIRE_CLIENTS=1."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def need(program: str) -> str:
    """The path of `program`; skips the test when it is missing, and fails it instead when REQUIRE_CLIENTS=1."""
    if path := shutil.which(program):
        return path
    reason = f"{program} is not installed; install Debian's package {program} to run this"
    if os.environ.get("REQUIRE_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def run(*command: str) -> str:
    """Run a client to its end and return its output, line ends as they are; AssertionError when it fails."""
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command[0]} exited {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
    return done.stdout.decode()
