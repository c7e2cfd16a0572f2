"""A pull request that opens a connector to the world: seen first, found by the shipped guardrails, at its line."""

from __future__ import annotations

from pathlib import Path

from reconciler.review.renderings import render_markdown
from reconciler.verdict import Finding
from tests.review.repositories import ESTATE, Clone

CONNECTOR = """\
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {name: inbound}
spec:
  servers: [ex01]
  usage: Internet
  transportRole: FrontendTransport
  bindings: ["0.0.0.0:25"]
"""
DOMAIN = """\
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domainName: contoso.example}
"""
RELAY = "ms-Exch-SMTP-Accept-Any-Recipient"
AS_OURS = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"


def granting(root: Path, right: str, *, groups: str = "") -> Clone:
    """A clone whose branch grants a right to anonymous clients."""
    connector = CONNECTOR + groups
    clone = Clone(root, {**ESTATE, "estate/inbound.yaml": connector, "estate/domain.yaml": DOMAIN})
    clone.branch()
    granted = f"  extendedRights:\n    anonymousLogon: [{right}]\n"
    clone.commit({"estate/inbound.yaml": connector + granted})
    return clone


def place(finding: Finding) -> str:
    return f"{finding.policy} {finding.diagnostic.position}"


def test_a_granted_right_is_looked_at_first(tmp_path: Path) -> None:
    (concern,) = granting(tmp_path, RELAY).compare().concerns
    assert (str(concern.key), concern.path) == (
        "ReceiveConnector/ex01/inbound",
        "extendedRights.anonymousLogon",
    )
    assert (concern.old, concern.new) == ([], [RELAY])
    assert concern.why == "decides who may send and relay through the connector"
    assert str(concern.position) == "estate/inbound.yaml:10:21"


def test_it_stands_before_everything_else_in_the_comment(tmp_path: Path) -> None:
    comment = render_markdown(granting(tmp_path, RELAY).review(), name="estate")
    headings = [line for line in comment.splitlines() if line.startswith(("#### ", "<details>"))]
    assert headings[0] == "#### Look at these first (1)"
    assert "#### Guardrails: new findings (1)" in headings


def test_an_open_relay_blocks(tmp_path: Path) -> None:
    found = granting(tmp_path, RELAY).compare().findings
    assert [place(one) for one in found.new] == ["open-relay estate/inbound.yaml:10:21"]
    assert found.is_blocking


def test_strangers_as_our_senders_are_told(tmp_path: Path) -> None:
    found = granting(tmp_path, AS_OURS, groups="  permissionGroups: [Partners]\n").compare().findings
    (finding,) = found.new
    assert finding.policy == "anonymous-as-our-sender"
    assert not found.is_blocking
