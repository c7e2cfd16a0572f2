"""A directory of policy files → a `PolicySet`; several of them → one. The only module of this room that reads policies.

Every `*.yaml` below the directory counts, tests included. Declarations of resources (apiVersion reconciler/v1) are left
to `declared`. What is broken becomes a diagnostic with its place; what is whole is still returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from reconciler.declared.files import SourceFile, read_file
from reconciler.declared.layout import POLICIES
from reconciler.declared.positions import Document
from reconciler.declared.reader import read
from reconciler.declared.source import DirectorySource, Source
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.guardrails.check import Checked, check
from reconciler.guardrails.policy import Policy, PolicySet, Trial
from reconciler.model import Diagnostic
from reconciler.verdict import Waiver
from schemas.v1.document import API_VERSION as RESOURCES

SHIPPED = Path(__file__).resolve().parents[2] / "policies"


def load_policies(source: Source | Path) -> PolicySet:
    """Everything that the files of a source say; a path is a directory. Nothing is raised."""
    source = DirectorySource(source) if isinstance(source, Path) else source
    if (problem := source.problem()) is not None:
        return PolicySet(diagnostics=(problem,))
    return _load(source, source.root)


def estate_policies(source: Source | Path) -> PolicySet:
    """What lies in the directory `policies` of an estate; nothing when there is none."""
    source = DirectorySource(source) if isinstance(source, Path) else source
    has_policies = POLICIES in source.directories(source.root)
    return _load(source, source.root / POLICIES) if has_policies else PolicySet()


def _load(source: Source, directory: Path) -> PolicySet:
    checked: list[Checked] = []
    problems: list[Diagnostic] = []
    sources: dict[Path, str] = {}
    for path in source.yaml_files(directory):
        file = read_file(path, source.read)
        if isinstance(file, Diagnostic):
            problems.append(file)
            continue
        sources[path] = file.content.decode("utf-8-sig", errors="replace")
        found, wrong = _take(file, sources[path])
        checked.extend(found)
        problems.extend(wrong)
    policies = tuple(found for found in checked if isinstance(found, Policy))
    return PolicySet(
        policies=policies,
        waivers=tuple(found for found in checked if isinstance(found, Waiver)),
        trials=tuple(found for found in checked if isinstance(found, Trial)),
        diagnostics=(*problems, *_duplicates(policies)),
        sources=sources,
    )


def combine(*sets: PolicySet) -> PolicySet:
    """One set of all. A policy of a later set takes the place of an earlier one of the same id, so that a copy of a
    shipped policy can be changed. Waivers and tests of policies that nobody has are errors; those of a shipped one that
    is not asked are there and not used."""
    policies = {policy.id: policy for found in sets for policy in found.policies}
    waivers = tuple(waiver for found in sets for waiver in found.waivers)
    trials = tuple(trial for found in sets for trial in found.trials)
    # A file that holds a broken policy may hold the one that is missed.
    unknown = () if any(found.diagnostics for found in sets) else _unknown((*waivers, *trials), policies)
    return PolicySet(
        policies=tuple(policies.values()),
        waivers=waivers,
        trials=trials,
        diagnostics=(*(problem for found in sets for problem in found.diagnostics), *unknown),
        sources={file: text for found in sets for file, text in found.sources.items()},
    )


def with_tested(policies: PolicySet) -> PolicySet:
    """The set with the shipped policies that only its tests are about, so that those can be run."""
    missing = {trial.policy for trial in policies.trials} - {policy.id for policy in policies.policies}
    if not missing:
        return policies
    shipped = tuple(policy for policy in load_policies(SHIPPED).policies if policy.id in missing)
    return replace(policies, policies=(*policies.policies, *shipped))


def _take(file: SourceFile, text: str) -> tuple[list[Checked], list[Diagnostic]]:
    """What one file holds, and what is wrong with it."""
    documents, unread = read(file.content, file.path)
    results = [check(document, file.path, text) for document in documents if not _is_resource(document)]
    wrong = [problem for _, problems in results for problem in problems]
    return [found for found, _ in results if found is not None], [*unread, *wrong]


def _is_resource(document: Document) -> bool:
    return isinstance(document.value, dict) and document.value.get("apiVersion") == RESOURCES


def _duplicates(policies: Iterable[Policy]) -> Iterator[Diagnostic]:
    first: dict[str, Policy] = {}
    for policy in policies:
        known = first.setdefault(policy.id, policy)
        if known is not policy:
            message = f"policy {policy.id} is there already, at {known.position}"
            yield error("duplicate-policy", message, policy.position, "give one of them another id")


def _unknown(found: Iterable[Waiver | Trial], known: Iterable[str]) -> Iterator[Diagnostic]:
    shipped = {file.stem for file in SHIPPED.glob("*.yaml")}  # each is called as its policy
    names = sorted({*known, *shipped})
    for one in found:
        if one.policy not in names:
            hint = did_you_mean(one.policy, names) or "`reconcile policy list` names them all"
            yield error("unknown-policy", f'there is no policy "{one.policy}"', one.position, hint)
