"""What a review finds in real repositories: changes, what to look at first, findings, environments, errors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler.guardrails.guard import Guard
from reconciler.model import Action, Desired, Key, LiveState, Plan, ServiceAction
from reconciler.planning.plan import make_plan
from reconciler.review.compose import title
from reconciler.review.difference import IGNORED
from reconciler.review.model import Comparison
from reconciler.review.renderings import render_markdown
from reconciler.review.review import ReviewError
from reconciler.verdict import Finding
from tests.guardrails.builders import waiver
from tests.review.repositories import ESTATE, IMAP, POLICY, SERVER, Clone, changed, mailbox

UNGUARDED = {name: text for name, text in ESTATE.items() if "policies" not in name}
WAIVER = waiver(policy="no-certificate")


def _plan(comparison: Comparison) -> Plan:
    assert comparison.plan is not None
    return comparison.plan


def _actions(comparison: Comparison) -> dict[str, Action]:
    return {str(change.key): change.action for change in _plan(comparison).changes}


def _fields(comparison: Comparison) -> list[tuple[str, object, object]]:
    return [
        (field.path, field.old, field.new) for change in _plan(comparison).changes for field in change.fields
    ]


def _rules(findings: Iterable[Finding]) -> set[str]:
    return {finding.policy for finding in findings}


def _concerns(comparison: Comparison) -> list[tuple[str, str]]:
    return [(str(concern.key), concern.path) for concern in comparison.concerns]


# What changes


def test_a_changed_value_is_shown_with_its_place(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "User: 16", "User: 32").compare()
    (change,) = _plan(found).changes
    (field,) = change.fields
    assert (field.path, field.old, field.new) == ("maxConnectionsPerUser", 16, 32)
    assert str(field.position) == "estate/imap.yaml:7:26"


def test_the_services_that_it_restarts_are_named(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "User: 16", "User: 32").compare()
    impacts = {impact.service: (impact.action, impact.sessions) for impact in _plan(found).impacts}
    assert impacts == dict.fromkeys(("ex01/imap4", "ex01/imap4-backend"), (ServiceAction.RESTART, None))


def test_whom_it_concerns_is_named(tmp_path: Path) -> None:
    reach = _plan(changed(tmp_path, "imap.yaml", "User: 16", "User: 32").compare()).reach
    assert (reach.servers, reach.mailboxes) == (("ex01",), 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maxConnectionsPerUser: 16", "maxConnectionsPerUser:   16  # as before"),
        ("  maxConnectionsPerUser: 16\n", ""),
        ("spec:\n", "# why\nspec:\n"),
        ("servers: [ex01]", "servers: {matchLabels: {site: dublin}}"),
        ("\n", "\r\n"),
    ],
)
def test_what_means_the_same_is_no_change(tmp_path: Path, old: str, new: str) -> None:
    review = changed(tmp_path, "imap.yaml", old, new).review()
    assert not review.is_changed
    assert not review.is_refused


def test_a_file_that_moves_changes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/protocols/ex01.yml": IMAP}, without=("estate/imap.yaml",))
    assert not clone.review().is_changed


def test_a_new_resource_is_new(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/bob.yaml": mailbox("bob")})
    found = clone.compare()
    assert _actions(found) == {"Mailbox/bob": Action.CREATE}
    assert ("Mailbox/bob", "password") in _concerns(found)


def test_a_resource_that_goes_is_no_longer_declared(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit(without=("estate/mailboxes.yaml",))
    found = clone.compare()
    assert _actions(found) == {"Mailbox/alice": Action.DELETE}
    assert str(_plan(found).changes[0].position) == "estate/mailboxes.yaml:1:1"


def test_a_crowd_that_goes_is_shown_whole(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, **{f"estate/{n}.yaml": mailbox(f"user{n}") for n in range(12)}})
    clone.branch()
    clone.commit(without=tuple(f"estate/{n}.yaml" for n in range(12)))
    assert list(_actions(clone.compare()).values()) == [Action.DELETE] * 12


def test_a_rename_is_one_change(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    text = mailbox("carol").replace("spec:", "lifecycle: {renamedFrom: alice}\nspec:")
    clone.commit({"estate/mailboxes.yaml": text})
    (change,) = _plan(clone.compare()).changes
    assert (change.action, change.renamed_from, change.key.name) == (Action.UPDATE, "alice", "carol")


def test_a_new_estate_is_all_new(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {"README": ""})
    clone.branch()
    clone.commit(ESTATE)
    assert set(_actions(clone.compare()).values()) == {Action.CREATE}


# Secrets and certificates


def test_a_password_file_in_git_that_changes_is_a_changed_secret(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/secrets/alice": "correct horse"})
    clone.branch()
    clone.commit({"estate/secrets/alice": "battery staple"})
    found = clone.compare()
    assert _fields(found) == [("password", None, None)]
    assert _concerns(found) == [("Mailbox/alice", "password")]


def test_a_password_file_that_moves_is_the_same_secret(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/secrets/alice": "correct horse"})
    clone.branch()
    clone.git("mv", "estate/secrets/alice", "estate/secrets/a")
    clone.replace("estate/mailboxes.yaml", "secrets/alice", "secrets/a")
    assert not clone.review().is_changed


def test_a_password_file_that_is_not_in_git_is_a_warning(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    (warning,) = clone.compare(head="main").head.warnings
    assert warning.code == "not-in-repository"
    assert "secrets/alice" in warning.message


ENCRYPTED = mailbox("alice").replace("file: secrets/alice", "encrypted: secrets/alice.age")


def test_an_encrypted_file_in_git_that_changes_is_a_changed_secret(tmp_path: Path) -> None:
    files = {"estate/mailboxes.yaml": ENCRYPTED, "estate/secrets/alice.age": "age-encryption.org/v1\na"}
    clone = Clone(tmp_path, {**ESTATE, **files})
    clone.branch()
    clone.commit({"estate/secrets/alice.age": "age-encryption.org/v1\nb"})
    found = clone.compare()
    assert _fields(found) == [("password", None, None)]
    assert found.head.warnings == ()


def test_an_encrypted_file_that_is_not_in_git_is_a_warning(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/mailboxes.yaml": ENCRYPTED})
    (warning,) = clone.compare(head="main").head.warnings
    assert warning.code == "not-in-repository"
    assert "secrets/alice.age" in warning.message


def test_another_reference_is_a_changed_secret(tmp_path: Path) -> None:
    found = changed(tmp_path, "mailboxes.yaml", "file: secrets/alice", "env: ALICE").compare()
    assert _concerns(found) == [("Mailbox/alice", "password")]


# What to look at first


def test_a_plain_text_logon_is_looked_at_first(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "SecureLogin", "PlainTextLogin").compare()
    (concern,) = found.concerns
    assert (concern.path, concern.old, concern.new) == ("loginType", "SecureLogin", "PlainTextLogin")
    assert concern.why == "decides whether a password may cross the network in clear text"


ALLOWED = "metadata:\n  name: imap\n  annotations: {reconciler/allow: 'few-connections: a test of load'}"


def test_what_a_document_allows_is_no_new_finding(tmp_path: Path) -> None:
    policy = POLICY.replace("severity: error", "severity: warning")
    clone = Clone(tmp_path, {**ESTATE, "estate/policies/connections.yaml": policy})
    clone.branch()
    text = IMAP.replace("metadata: {name: imap}", ALLOWED).replace("User: 16", "User: 500")
    clone.commit({"estate/imap.yaml": text})
    found = clone.compare().findings
    (allowed,) = found.allowed
    assert (found.new, found.problems) == ((), ())
    assert allowed.diagnostic.allowed is not None
    assert str(allowed.diagnostic.allowed.position) == "estate/imap.yaml:5:35"


def test_what_does_not_touch_security_is_not(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "spec:", "spec:\n  banner: hello").compare()
    assert found.is_changed
    assert found.concerns == ()


def test_a_new_connector_shows_what_its_template_gives(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    connector = IMAP.split("  loginType")[0].replace("ImapSettings", "ReceiveConnector") + "  usage: Client\n"
    clone.commit({"estate/connector.yaml": connector})
    paths = {concern.path for concern in clone.compare().concerns}
    assert paths == {"bindings", "authMechanism", "permissionGroups"}


def test_lost_protection_is_looked_at_first(tmp_path: Path) -> None:
    text = mailbox("alice").replace("spec:", "lifecycle: {protect: true}\nspec:")
    clone = Clone(tmp_path, {**ESTATE, "estate/mailboxes.yaml": text})
    clone.branch()
    clone.replace("estate/mailboxes.yaml", "protect: true", "protect: false")
    assert _concerns(clone.compare()) == [("Mailbox/alice", "lifecycle.protect")]


def test_a_field_left_to_others_is_looked_at_first(tmp_path: Path) -> None:
    ignoring = "lifecycle: {ignore: [{path: loginType, reason: a helpdesk}]}\nspec:"
    found = changed(tmp_path, "imap.yaml", "spec:", ignoring).compare()
    assert [(concern.path, concern.new) for concern in found.concerns] == [(IGNORED, "loginType: a helpdesk")]
    assert found.is_changed


def test_changed_policies_are_named(tmp_path: Path) -> None:
    review = changed(tmp_path, "policies/connections.yaml", "<= 100", "<= 1000").review()
    assert review.guarding == ("estate/policies/connections.yaml",)
    assert review.is_changed


# Guardrails


def test_a_finding_that_head_brings_is_new(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "User: 16", "User: 500").compare().findings
    assert [finding.policy for finding in found.new] == ["few-connections"]
    assert str(found.new[0].diagnostic.position) == "estate/imap.yaml:7:26"
    assert found.is_blocking


def test_a_finding_that_head_mends_is_fixed(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "500")})
    clone.branch()
    clone.replace("estate/imap.yaml", "500", "16")
    found = clone.compare().findings
    assert [finding.policy for finding in found.fixed] == ["few-connections"]
    assert not found.is_blocking


def test_a_finding_that_stays_is_still_there(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "500")})
    clone.branch()
    clone.replace("estate/imap.yaml", "500", "600")
    found = clone.compare().findings
    assert "few-connections" in _rules(found.remaining)
    assert (found.new, found.is_blocking) == ((), False)


def test_a_new_rule_does_not_make_old_trouble_new(tmp_path: Path) -> None:
    clone = Clone(
        tmp_path, {**ESTATE, "estate/policies/connections.yaml": POLICY.replace("<= 100", "<= 1000")}
    )
    clone.replace("estate/imap.yaml", "16", "500")
    clone.branch()
    clone.replace("estate/policies/connections.yaml", "<= 1000", "<= 100")
    assert "few-connections" in _rules(clone.compare().findings.remaining)


def test_a_new_error_beside_old_ones_blocks(tmp_path: Path) -> None:
    found = changed(tmp_path, "imap.yaml", "SecureLogin", "PlainTextLogin").compare().findings
    assert found.errors_before == 1
    assert found.is_blocking


def test_an_error_of_before_is_counted_and_does_not_block(tmp_path: Path) -> None:
    review = changed(tmp_path, "imap.yaml", "User: 16", "User: 32").review()
    assert "no-certificate" in _rules(review.comparisons[0].findings.remaining)
    assert not review.is_refused
    assert title(review).endswith(", 1 guardrail error was there before")


@pytest.mark.parametrize(
    "own", [{}, {"estate/policies/waivers.yaml": WAIVER}, {"estate/policies/rules.yaml": POLICY}]
)
def test_the_shipped_policies_are_asked_whatever_the_estate_has(tmp_path: Path, own: dict[str, str]) -> None:
    clone = Clone(tmp_path, {**UNGUARDED, **own})
    clone.branch()
    clone.replace("estate/imap.yaml", "SecureLogin", "PlainTextLogin")
    assert "plain-text-logon" in _rules(clone.compare().findings.new)


def test_one_of_the_estate_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    own = POLICY.replace("few-connections", "plain-text-logon")
    clone = Clone(tmp_path, {**UNGUARDED, "estate/policies/own.yaml": own})
    clone.branch()
    clone.replace("estate/imap.yaml", "SecureLogin", "PlainTextLogin")
    assert _rules(clone.compare().findings.new) == {"ntlm-in-clear"}


def test_policies_that_the_run_names_take_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    clone = changed(tmp_path / "clone", "imap.yaml", "SecureLogin", "PlainTextLogin")
    (tmp_path / "none").mkdir()
    found = clone.compare(guard=Guard((str(tmp_path / "none"),))).findings
    assert (found.new, found.remaining) == ((), ())


def test_a_waiver_of_a_shipped_policy_holds(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**UNGUARDED, "estate/policies/waivers.yaml": WAIVER})
    found = clone.compare(head="main").findings
    assert (_rules(found.waived), found.problems) == ({"no-certificate"}, ())


# Which revisions


def test_what_happened_on_base_meanwhile_is_nobodys_change(tmp_path: Path) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    clone.git("checkout", "--quiet", "main")
    clone.commit({"estate/bob.yaml": mailbox("bob")})
    assert list(_actions(clone.compare(head="change"))) == ["ImapSettings/ex01"]


def test_a_merge_commit_shows_what_its_branch_brings(tmp_path: Path) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    clone.git("checkout", "--quiet", "main")
    clone.commit({"estate/bob.yaml": mailbox("bob")})
    clone.git("checkout", "--quiet", "-b", "merged")
    clone.git("merge", "--quiet", "--no-edit", "change")
    assert list(_actions(clone.compare(head="merged"))) == ["ImapSettings/ex01"]


def test_the_work_tree_does_not_count(tmp_path: Path) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    (clone.root / "estate/imap.yaml").write_text("not yaml: [", encoding="utf-8")
    assert _fields(clone.compare()) == [("maxConnectionsPerUser", 16, 32)]


def test_nothing_is_written(tmp_path: Path) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    before = {path: path.stat().st_mtime_ns for path in clone.root.rglob("*")}
    clone.review()
    assert {path: path.stat().st_mtime_ns for path in clone.root.rglob("*")} == before


# Errors


def test_a_head_that_does_not_validate_is_refused(tmp_path: Path) -> None:
    review = changed(tmp_path, "imap.yaml", "User: 16", "User: many").review()
    (error,) = review.comparisons[0].head.errors
    assert str(error.position) == "estate/imap.yaml:7:26"
    assert review.is_refused


def test_a_change_by_a_variable_says_where_it_was_set(tmp_path: Path) -> None:
    variables = "apiVersion: reconciler/v1\nkind: Variables\nmetadata: {name: estate}\n"
    variables += "spec: {limit: {type: integer, default: 16}}\n"
    imap = IMAP.replace("User: 16", "User: ${limit}")
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": imap, "estate/variables.yaml": variables})
    clone.branch()
    clone.replace("estate/variables.yaml", "default: 16", "default: 32")
    plan = clone.compare().plan
    assert plan is not None
    assert plan.changes[0].fields[0].note == "${limit} is set at estate/variables.yaml:4:40"
    assert "`${limit} is set at estate/variables.yaml:4:40`" in render_markdown(clone.review(), name="estate")


def test_no_place_of_the_clone_shows(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/again.yaml": IMAP})
    messages = [problem.message for problem in clone.compare().head.errors]
    assert messages == ["ImapSettings/ex01 is declared already, at estate/again.yaml:1:1"]


def test_a_broken_base_is_said_and_not_compared(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "many")})
    clone.branch()
    clone.replace("estate/imap.yaml", "many", "500")
    found = clone.compare()
    assert found.plan is None
    assert len(found.base.errors) == 1
    assert found.is_changed
    assert {"few-connections", "no-certificate"} <= _rules(found.findings.new)
    assert found.is_refused


# Environments

_OVERLAID = {
    "estate/base/server.yaml": SERVER,
    "estate/base/imap.yaml": IMAP,
    "estate/overlays/production/imap.yaml": IMAP.replace("  servers: [ex01]\n", "").replace("16", "20"),
    "estate/overlays/staging/imap.yaml": IMAP.replace("  servers: [ex01]\n", "").replace("16", "8"),
}


def _overlaid(root: Path) -> Clone:
    clone = Clone(root, _OVERLAID)
    clone.branch()
    clone.replace("estate/overlays/production/imap.yaml", "20", "40")
    return clone


def test_every_environment_is_reviewed(tmp_path: Path) -> None:
    production, staging = _overlaid(tmp_path).review().comparisons
    assert (production.environment, staging.environment) == ("production", "staging")
    assert _fields(production) == [("maxConnectionsPerUser", 20, 40)]
    assert not staging.is_changed


def test_one_environment_can_be_chosen(tmp_path: Path) -> None:
    (only,) = _overlaid(tmp_path).review(environments=("staging",)).comparisons
    assert only.environment == "staging"


def test_a_directory_that_is_an_overlay_chooses_it(tmp_path: Path) -> None:
    (only,) = _overlaid(tmp_path).review("estate/overlays/production").comparisons
    assert (only.environment, only.is_changed) == ("production", True)


def test_the_base_is_no_estate_of_its_own(tmp_path: Path) -> None:
    review = _overlaid(tmp_path).review("estate/base")
    assert review.directory == "estate"
    assert {comparison.environment for comparison in review.comparisons} == {"production", "staging"}


def test_a_new_environment_is_all_new(tmp_path: Path) -> None:
    clone = Clone(tmp_path, _OVERLAID)
    clone.branch()
    clone.commit({"estate/overlays/test/imap.yaml": _OVERLAID["estate/overlays/staging/imap.yaml"]})
    found = {comparison.environment: comparison for comparison in clone.review().comparisons}
    assert set(_actions(found["test"]).values()) == {Action.CREATE}


def test_an_environment_that_goes_is_all_gone(tmp_path: Path) -> None:
    clone = Clone(tmp_path, _OVERLAID)
    clone.branch()
    clone.commit(without=("estate/overlays/staging/imap.yaml",))
    found = {comparison.environment: comparison for comparison in clone.review().comparisons}
    assert set(_actions(found["staging"]).values()) == {Action.DELETE}


# Live


def test_head_is_planned_against_live_too(tmp_path: Path) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    (found,) = clone.review(live=_against_nothing).comparisons
    assert found.live is not None
    assert {change.key.kind for change in found.live.changes} >= {"Server", "Mailbox", "ImapSettings"}


def test_two_environments_cannot_be_live_at_once(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="name it with --environment"):
        _overlaid(tmp_path).review(live=_against_nothing)


def _against_nothing(head: Desired) -> Plan:
    assert Key("Server", "ex01") in head.resources
    return make_plan(head, LiveState({}, {}), digests={})


# What was read before


def test_a_second_review_reads_what_the_first_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone(tmp_path / "clone", UNGUARDED)  # files of policies are read each time
    clone.branch()
    clone.replace("estate/imap.yaml", "User: 16", "User: 32")
    first = clone.review(cache=tmp_path / "cache")

    def unexpected(*_: object) -> None:
        raise AssertionError("a file that did not change is parsed again")

    monkeypatch.setattr("reconciler.declared.reader.read", unexpected)
    monkeypatch.setattr("reconciler.guardrails.files.read", lambda content, path: ([], []))
    second = clone.review(cache=tmp_path / "cache")
    assert second.comparisons[0].plan == first.comparisons[0].plan


def test_without_a_place_for_it_nothing_is_kept(tmp_path: Path) -> None:
    clone = changed(tmp_path / "clone", "imap.yaml", "User: 16", "User: 32")
    clone.review()
    assert [path.name for path in tmp_path.iterdir()] == ["clone"]
    assert clone.git("status", "--porcelain") == ""
