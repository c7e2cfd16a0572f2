"""The commands that install it run as the page shows them, with the packages of this environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.support.programs import need

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operating.md"
#: What an installation is made from.
SHIPPED = ("reconciler", "runtime", "schemas", "policies", "pyproject.toml", "README.md", "LICENSE")
#: pip looks nothing up: dependencies and setuptools are those of this environment. "0" is how pip spells "without".
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def installing() -> str:
    """The commands of the page's section about installing it."""
    section = PAGE.read_text(encoding="utf-8").partition("## Installing it\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def run(command: str, directory: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=directory,
        env=os.environ | OFFLINE | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which building leaves nothing for others."""
    made = tmp_path / "checkout"
    made.mkdir()
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made / name)
    return made


@pytest.mark.parametrize("form", ["{}", "git+file://{}"], ids=["directory", "git"])
def test_what_the_page_says_installs_all_that_it_needs(tmp_path: Path, checkout: Path, form: str) -> None:
    if form.startswith("git"):
        need("git")
        who = "git -c user.name=alice -c user.email=alice@contoso.example"
        run(f"git init --quiet && git add . && {who} commit --quiet --message estate", checkout)
    (tmp_path / "bin").mkdir()
    places = {
        "/path/to/checkout": form.format(checkout),
        "/opt/reconcile": str(tmp_path / "opt"),
        "/usr/local/bin": str(tmp_path / "bin"),
    }
    run(re.sub("|".join(places), lambda found: places[found[0]], installing()), tmp_path)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    used = "reconcile init mail && reconcile --identity mail/identity.txt validate mail/estate"
    assert "no errors" in run(used, tmp_path, PATH=path)
    told = json.loads(run("reconcile explain open-relay --format json", tmp_path, PATH=path))
    assert str(tmp_path / "opt") in told["open-relay"]["source"]
    assert str(tmp_path / "opt") in run(
        f"{tmp_path}/opt/bin/python -P -c 'import runtime.supervisor as it; print(it.__file__)'", tmp_path
    )
