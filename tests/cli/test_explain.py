"""What `reconcile explain` tells beside kinds and fields; every text is compared with where it is declared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.topics import Topic, of_guardrails, of_language
from reconciler.declared.rules import RULES
from reconciler.guardrails.files import SHIPPED, load_policies
from schemas.v1.extended_rights import NOT_ACTED_ON, Right
from tests.cli.conftest import Ran

Reconcile = Callable[..., Ran]
ROOT = Path(__file__).resolve().parents[2]

POLICY = """\
apiVersion: reconciler/policy/v1
kind: Policy
id: {id}
title: Ours
severity: warning
require: "true"
message: never said
remedy: ask the postmaster
docs: https://wiki.contoso.example/mail#ours
"""


def _all() -> tuple[Topic, ...]:
    return (*of_language(), *of_guardrails(None).topics)


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """An estate with a policy of its own, and one in the place of a shipped one."""
    policies = tmp_path / "estate" / "policies"
    policies.mkdir(parents=True)
    for name in ("ours", "open-relay"):
        (policies / f"{name}.yaml").write_text(POLICY.format(id=name), encoding="utf-8")
    return policies.parent


def _one(reconcile: Reconcile, *arguments: object) -> dict[str, dict[str, str]]:
    ran = reconcile("explain", "--format", "json", *arguments)
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, dict[str, str]] = json.loads(ran.out)
    return found


def test_a_policy_is_told_with_its_reason_remedy_page_and_source(reconcile: Reconcile) -> None:
    (policy,) = (one for one in load_policies(SHIPPED).policies if one.id == "open-relay")
    assert _one(reconcile, "Open-Relay") == {
        "open-relay": {
            "is": "policy",
            "description": policy.title,
            "severity": "error",
            "why": policy.fact,
            "remedy": policy.remedy,
            "exception": "by a Waiver, with the reason and its last day",
            "docs": "docs/guardrails.md#open-relay",
            "source": f"shipped, {policy.position}",
        }
    }


def test_a_policy_as_text(reconcile: Reconcile) -> None:
    out = reconcile("explain", "open-relay").out
    assert out.startswith(
        "open-relay (policy)\n  A connector relays for whoever reaches it\n  severity:  error\n"
    )
    assert "\n  docs:      docs/guardrails.md#open-relay\n" in out


def test_every_shipped_policy_is_explained() -> None:
    told = {topic.name for topic in of_guardrails(None).topics if topic.what == "policy"}
    assert told == {one.id for one in load_policies(SHIPPED).policies}


def test_every_rule_of_the_language_is_explained() -> None:
    told = {topic.name: topic for topic in of_language() if topic.what == "rule"}
    assert told.keys() >= RULES.keys()
    for name, rule in RULES.items():
        assert (told[name].description, told[name].facts["severity"]) == (rule.tells, rule.severity)


def test_policies_of_an_estate_are_explained_and_come_before_shipped_ones(
    estate: Path, reconcile: Reconcile
) -> None:
    ours = _one(reconcile, "--estate", estate, "ours")["ours"]
    assert ours["source"] == f"{estate}/policies/ours.yaml:3:5"
    assert ours["exception"].startswith("by reconciler/allow")
    assert _one(reconcile, "--estate", estate, "open-relay")["open-relay"]["description"] == "Ours"
    assert _one(reconcile, "open-relay")["open-relay"]["description"] != "Ours"


def test_a_broken_policy_of_an_estate_is_told_and_the_others_explained(
    estate: Path, reconcile: Reconcile
) -> None:
    (estate / "policies" / "broken.yaml").write_text(POLICY.format(id="broken").replace('"true"', "1 +"))
    ran = reconcile("explain", "--estate", estate, "ours")
    assert ran.out.startswith("ours (policy)\n")
    assert "broken.yaml:7:1: error" in ran.err


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("lifecycle", {"lifecycle", "lifecycle.ignore", "lifecycle.protect", "lifecycle.renamedFrom"}),
        ("lifecycle.ignore", {"lifecycle.ignore", "lifecycle.ignore.path", "lifecycle.ignore.reason"}),
        ("Mailbox.lifecycle.protect", {"lifecycle.protect"}),
        ("renamedfrom", {"lifecycle.renamedFrom"}),
        ("Variables", {"Variables", "Variables.type", "Variables.default", "Variables.value"}),
        ("secretRef", {"secretRef"}),
        ("overlay", {"overlay", "overlay.$patch", "overlay (rule)"}),
        ("Waiver", {"Waiver", "Waiver.policy", "Waiver.expires"}),
        ("unknown-reference", {"unknown-reference"}),
        ("port-clash", {"port-clash", "port-clash (policy)"}),
        ("range", {"range", "range (type of values)"}),
        ("plan-delete", {"plan-delete"}),
        ("ms-exch-smtp-submit", {"ms-Exch-SMTP-Submit"}),
    ],
)
def test_what_is_no_field_is_explained(subject: str, names: set[str], reconcile: Reconcile) -> None:
    assert _one(reconcile, subject).keys() >= names


def test_everything_is_described() -> None:
    assert [topic.name for topic in _all() if not topic.description] == []


def test_every_right_of_exchange_that_is_known_is_explained(reconcile: Reconcile) -> None:
    told = {topic.name for topic in of_language() if topic.what == "extended right"}
    assert told == {*Right, *NOT_ACTED_ON}
    out = reconcile("explain", "ms-Exch-Bypass-Anti-Spam").out
    assert "nothing here acts on it; leave it out." in out


@pytest.mark.parametrize(
    ("right", "held"),
    [
        (
            Right.ACCEPT_ANY_RECIPIENT,
            "ExchangeUsers in permissionGroups; ExternalAuthoritative in authMechanism",
        ),
        (Right.BYPASS_MESSAGE_SIZE_LIMIT, "ExternalAuthoritative in authMechanism"),
        (Right.ACCEPT_HEADERS_FOREST, "no permission group"),
    ],
)
def test_who_holds_a_right_is_told(right: Right, held: str, reconcile: Reconcile) -> None:
    assert _one(reconcile, right)[right]["held by"] == held


def test_what_a_severity_does_is_told(reconcile: Reconcile) -> None:
    assert "it is not applied" in _one(reconcile, "severity")["Policy.severity"]["description"]


def test_how_a_secret_is_written(reconcile: Reconcile) -> None:
    assert (
        "  written:   password: {secretRef: {file: secrets/alice}}\n" in reconcile("explain", "secretRef").out
    )


def test_a_kind_that_is_called_as_a_rule_is_followed_by_it(reconcile: Reconcile) -> None:
    out = reconcile("explain", "certificate").out
    assert out.startswith("Certificate: ")
    assert "\ncertificate (rule)\n" in out
    assert "rule" not in str(_one(reconcile, "Certificate").keys())


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("lifecyle.protect", "lifecycle.protect"),
        ("open-rely", "open-relay"),
        ("unknown-referenc", "unknown-reference"),
        ("Variabels", "Variables"),
        ("secretReff", "secretRef"),
        ("waver", "Waiver"),
        ("mass-deletions", "mass-deletion"),
        ("ms-Exch-SMTP-Accept-Authoritative-Domain", "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"),
    ],
)
def test_what_may_be_meant_is_told(typo: str, meant: str, reconcile: Reconcile) -> None:
    ran = reconcile("explain", typo)
    assert (ran.code, ran.out) == (1, "")
    assert f"did you mean {meant}?" in ran.err


def test_the_list_of_kinds_ends_with_what_else_there_is(reconcile: Reconcile) -> None:
    last = reconcile("explain").out.splitlines()[-1]
    assert last.startswith("Explained too: ")
    assert {"lifecycle", "Variables", "secretRef", "overlay"} <= set(re.findall(r"\w+", last))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_that_is_named_is_there() -> None:
    named = {docs for topic in _all() if (docs := topic.facts.get("docs", "")).startswith("docs/")}
    assert len(named) > 30
    for link in named:
        page, _, anchor = link.partition("#")
        assert not anchor or anchor in _anchors(ROOT / page), link
