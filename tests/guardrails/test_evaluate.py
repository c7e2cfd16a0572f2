from __future__ import annotations

from pathlib import Path

from reconciler.guardrails.evaluate import evaluate
from reconciler.model import Severity
from reconciler.secret import SecretRef
from tests.guardrails.builders import (
    NOW,
    codes,
    imap,
    judged,
    planned,
    policies,
    policy,
    resource,
    subjects,
)

SERVER = resource(
    "Server", "ex01", {"fqdn": "ex01.contoso.example", "site": "dublin"}, labels={"tier": "gold"}
)
LIMIT = "resource.spec.maxConnectionsPerUser <= 16"
IMAP = "{kinds: [ImapSettings]}"


def test_a_finding_is_a_diagnostic_at_the_field(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        policy(
            LIMIT,
            match=IMAP,
            message='"{resource.spec.maxConnectionsPerUser} is {{too}} many"',
            more="at: [banner, maxConnectionsPerUser]\nremedy: take 16\ndocs: docs/x.md#rule\n",
        ),
    )
    declared = resource(
        "ImapSettings", "ex01", {"maxConnectionsPerUser": 32}, lines={"maxConnectionsPerUser": 7}
    )
    (found,) = evaluate(planned([declared]), rules, now=NOW, environment={})
    assert (found.code, found.severity) == ("rule", Severity.ERROR)
    assert found.message == "ImapSettings/ex01: 32 is {too} many"
    assert found.hint == "take 16; see docs/x.md#rule"
    assert found.position is not None
    assert found.position.line == 7


def test_a_long_list_is_cut_in_a_message(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        policy("false", match="{kinds: [ReceiveConnector]}", message='"{resource.spec.remoteIPRanges}"'),
    )
    ranges = [f"203.0.{number}.0/24" for number in range(100, 125)]
    connector = resource(
        "ReceiveConnector", "ex01/in", {"bindings": ["0.0.0.0:25"], "remoteIPRanges": ranges}
    )
    (found,) = judged(rules, connector).diagnostics
    assert found.message.endswith(", 203.0.119.0/24, and 5 more")


def test_a_field_that_is_not_declared_is_told_at_its_document(tmp_path: Path) -> None:
    rules = policies(
        tmp_path, policy("resource.spec.protocolLogEnabled", match=IMAP, more="at: [protocolLogEnabled]\n")
    )
    (found,) = judged(rules, imap()).diagnostics
    assert found.position is not None
    assert found.position.line == 1


def test_a_warning_does_not_block(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, policy("false", severity="warning", match=IMAP)), imap())
    assert (subjects(verdict), verdict.is_blocking) == (["ImapSettings/ex01"], False)


def test_when_says_of_what_it_is_asked(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match=IMAP, more='when: resource.name == "ex02"\n'))
    assert subjects(judged(rules, imap("ex01"), imap("ex02"))) == ["ImapSettings/ex02"]


def test_names_are_globs(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match='{names: ["ex0[12]"], kinds: [ImapSettings]}'))
    assert subjects(judged(rules, imap("ex01"), imap("ex03"))) == ["ImapSettings/ex01"]


def test_labels_come_from_the_run_the_server_and_the_resource(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match="{kinds: [ImapSettings], labels: {tier: gold}}"))
    assert subjects(judged(rules, SERVER, imap())) == ["ImapSettings/ex01"]
    assert subjects(judged(rules, imap(), tier="gold")) == ["ImapSettings/ex01"]
    silver = resource("ImapSettings", "ex01", labels={"tier": "silver"})
    assert subjects(judged(rules, SERVER, silver, tier="gold")) == []


def test_the_server_of_a_mailbox_is_that_of_its_database(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy('server.site == "cork"', match="{kinds: [Mailbox]}"))
    database = resource("MailboxDatabase", "db01", {"server": "ex01"})
    alice = resource("Mailbox", "alice", {"database": "db01", "primarySmtpAddress": "alice@contoso.example"})
    assert subjects(judged(rules, SERVER, database, alice)) == ["Mailbox/alice"]


def test_a_policy_sees_what_changes(tmp_path: Path) -> None:
    rules = policies(
        tmp_path, policy('resource.changed != ["banner"] || resource.action != "update"', match=IMAP)
    )
    assert subjects(judged(rules, imap(banner="hello"), live=[imap()])) == ["ImapSettings/ex01"]
    assert subjects(judged(rules, imap(banner="hello"), live=[])) == []


def test_secrets_are_seen_as_references_alone(tmp_path: Path) -> None:
    rules = policies(
        tmp_path, policy('string(resource.secrets["password"].source) == "x"', message='"{resource}"')
    )
    spec = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
    alice = resource("Mailbox", "alice", spec, secrets={"password": SecretRef("file", "/secrets/alice")})
    (found,) = judged(rules, alice).diagnostics
    assert "/secrets/alice" not in found.message


def test_a_policy_that_cannot_be_evaluated_blocks(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("resource.nothing == 1", severity="warning", match=IMAP))
    verdict = judged(rules, imap("ex01"), imap("ex02"))
    (problem,) = verdict.problems
    assert (problem.code, verdict.is_blocking) == ("policy-failed", True)
    assert 'ImapSettings/ex01: there is no "nothing"' in problem.message
    assert problem.position is not None
    assert problem.position.file == tmp_path / "policies.yaml"


def test_a_broken_policy_blocks(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, policy("nope")), imap())
    assert (codes(verdict), verdict.is_blocking) == (["policy-expression"], True)


def test_a_message_without_a_value_hides_no_finding(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match=IMAP, message='"is {resource.nothing}"'))
    (found,) = judged(rules, imap()).diagnostics
    assert found.message == "ImapSettings/ex01: is {resource.nothing}"


def test_a_plan_is_looked_at_once(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("plan.summary.create < 2", match="{each: plan}"))
    assert subjects(judged(rules, imap("ex01"), imap("ex02"), live=[])) == ["Plan"]
    assert subjects(judged(rules, imap("ex01"), imap("ex02"))) == []


def test_changes_are_looked_at_one_by_one(tmp_path: Path) -> None:
    rules = policies(
        tmp_path, policy('change.action != "create"', match="{each: change, kinds: [ImapSettings]}")
    )
    assert subjects(judged(rules, SERVER, imap(), live=[])) == ["ImapSettings/ex01"]


def test_sites_are_looked_at_one_by_one(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy('site.servers == ["ex01"]', match="{each: site}"))
    other = resource("Server", "ex02", {"fqdn": "ex02.contoso.example"}, labels={"site": "cork"})
    assert subjects(judged(rules, SERVER, other)) == ["Site/cork"]


def test_findings_are_in_the_order_of_the_files(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match=IMAP))
    late = resource("ImapSettings", "ex01", lines={"": 9})
    assert subjects(judged(rules, late, imap("ex02"))) == ["ImapSettings/ex02", "ImapSettings/ex01"]
