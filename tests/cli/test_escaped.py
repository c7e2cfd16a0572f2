"""Names that somebody else chose, such as those of a pull request, never reach the terminal as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.up import how_to_connect, tell
from reconciler.daemon import notices
from reconciler.rendering.guardrails_json import waived_text
from tests.cli.conftest import Ran
from tests.guardrails.builders import imap, judged, policies, policy, waiver
from tests.support.estate import Ports, write_estate

Reconcile = Callable[..., Ran]
#: A file name that ends the line, sets the title of a terminal and turns the direction of text.
EVIL, SHOWN = "z\n\x1b]0;own\x07\u202ea", "z\\n\\x1b]0;own\\x07\\u202ea"
OLD = """\
apiVersion: reconciler/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domainName: contoso.example}
"""


def is_plain(text: str) -> bool:
    return not set(text) & set("\x1b\x07\u202e")


@pytest.mark.parametrize("verb", ["fmt", "upgrade"])
@pytest.mark.parametrize("option", [(), ("--check",), ("--write",)])
def test_the_name_of_a_broken_file_is_escaped(
    tmp_path: Path, reconcile: Reconcile, verb: str, option: tuple[str, ...]
) -> None:
    (tmp_path / f"{EVIL}.yaml").write_text("a: [\n", encoding="utf-8")
    ran = reconcile(verb, *option, tmp_path)
    assert ran.code == 1
    assert ran.err.startswith(f"{tmp_path}/{SHOWN}.yaml: line")
    assert is_plain(ran.out + ran.err)


@pytest.mark.parametrize(
    ("verb", "text"), [("fmt", "spec: {a: 'x'}\nkind: Server\n"), ("upgrade", OLD)], ids=["fmt", "upgrade"]
)
@pytest.mark.parametrize("option", [(), ("--check",), ("--write",)])
def test_the_name_of_a_file_that_changes_is_escaped(
    tmp_path: Path, reconcile: Reconcile, verb: str, text: str, option: tuple[str, ...]
) -> None:
    (tmp_path / f"{EVIL}.yaml").write_text(text, encoding="utf-8")
    ran = reconcile(verb, *option, tmp_path)
    assert f"{tmp_path}/{SHOWN}.yaml" in ran.out
    assert is_plain(ran.out + ran.err)


def test_lines_of_a_difference_are_escaped(tmp_path: Path, reconcile: Reconcile) -> None:
    (tmp_path / "a.yaml").write_text("spec: {a: 'x'}  # \u202e\nkind: Server\n", encoding="utf-8")
    ran = reconcile("fmt", tmp_path)
    assert "-spec: {a: 'x'}  # \\u202e\n" in ran.out
    assert is_plain(ran.out)


def test_the_name_of_a_valid_directory_is_escaped(tmp_path: Path, reconcile: Reconcile) -> None:
    write_estate(tmp_path / EVIL, Ports())
    ran = reconcile("--state", tmp_path / "state", "validate", tmp_path / EVIL)
    assert ran.out.startswith(f"{tmp_path}/{SHOWN}: ")
    assert ran.out.endswith(" resources, no errors.\n")


def test_the_names_of_new_files_are_escaped(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = reconcile("init", tmp_path / EVIL)
    assert f"wrote {tmp_path}/{SHOWN}/README.md\n" in ran.out
    assert is_plain(ran.out)


def test_what_a_policy_of_the_estate_says_is_escaped(tmp_path: Path, reconcile: Reconcile) -> None:
    text = policy("true").replace("A rule", '"\\e]0;own"')
    policies(tmp_path / "policies", text)
    listed = reconcile("policy", "list", tmp_path / "policies")
    explained = reconcile("explain", "--estate", tmp_path, "rule")
    assert "\\x1b]0;own" in listed.out
    assert "\\x1b]0;own" in explained.out
    assert is_plain(listed.out + explained.out)


def test_what_fails_under_up_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    tell(notices.Failed(f"{EVIL} cannot be read", None, is_last=True))
    assert capsys.readouterr().err == f"Error: {SHOWN} cannot be read\n"


def test_the_file_of_a_certificate_to_trust_is_escaped() -> None:
    server: dict[str, Any] = {
        "services": [{"id": "ex01/imap4", "listening": [{"address": "127.0.0.1:1", "tls": "none"}]}],
        "certificates": [{"file": EVIL}],
    }
    assert f"  trust {SHOWN}" in how_to_connect({"servers": [server]})


def test_the_reason_of_a_waiver_is_escaped(tmp_path: Path) -> None:
    exempt = waiver().replace("it is meant", '"\\e]0;own"')
    rules = policies(tmp_path, policy("false", match="{kinds: [ImapSettings]}"), exempt)
    (line,) = waived_text(judged(rules, imap())).splitlines()
    assert line.endswith(": \\x1b]0;own")
